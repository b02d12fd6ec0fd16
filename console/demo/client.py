"""The platform's API over HTTP, as a product would use it; only the standard library."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.core.management.base import CommandError

TIMEOUT_SECONDS = 90
PAGE = 500

Body = dict[str, Any]


class ApiError(CommandError):
    """An answer other than 2xx, with what the API said."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class Api:
    """Calls with one token. Errors: ApiError; CommandError when there is no answer."""

    def __init__(self, address: str, token: str) -> None:
        self._host = urlsplit(address).netloc
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def get(self, path: str, **parameters: Any) -> Body:
        return self._call("GET", f"{path}?{urlencode(parameters)}" if parameters else path)

    def post(self, path: str, body: Body | None = None) -> Body:
        return self._call("POST", path, body)

    def patch(self, path: str, body: Body) -> Body:
        return self._call("PATCH", path, body)

    def every(self, path: str, **parameters: Any) -> Iterator[Body]:
        """All rows of a list, page by page."""
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, **parameters, limit=PAGE, **cursor)
            yield from page["data"]
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}

    def _call(self, method: str, path: str, body: Body | None = None) -> Body:
        sent = json.dumps(body).encode() if body is not None else None
        try:
            with closing(http.client.HTTPConnection(self._host, timeout=TIMEOUT_SECONDS)) as connection:
                connection.request(method, f"/api/v1{path}", sent, self._headers)
                answer = connection.getresponse()
                status, read = answer.status, answer.read()
            told: Body = json.loads(read)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise CommandError(f"{method} {path}: {type(error).__name__}: {error}") from error
        if not 200 <= status < 300:
            detail = told.get("detail") or read.decode(errors="replace")[:500]
            raise ApiError(f"{method} {path} answers {status}: {detail}", status)
        return told
