"""Requests and answers as the kit and its tenants see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson

JSON = "application/json; charset=utf-8"
READS = ("GET", "HEAD", "OPTIONS")
Body = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One request. Header names are in lower case; `query` keeps repeated parameters in order."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    request_id: str
    # Parameters that came but are not in `query`.
    overlooked: Mapping[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, method: str, target: str, headers: Mapping[str, str], body: bytes, request_id: str) -> Request:
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True)
        return cls(method, parts.path.rstrip("/") or "/", query, headers, body, request_id)

    @property
    def is_write(self) -> bool:
        return self.method not in READS

    def first(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next(iter(self.query.get(name, ())), None)

    def target_with(self, **changes: str) -> str:
        """Path and query of this request with some parameters replaced."""
        query = {**self.query, **self.overlooked, **{name: [text] for name, text in changes.items()}}
        return f"{self.path}?{urlencode(query, doseq=True)}"

    def without_parameters(self, names: set[str]) -> Request:
        """The same request as seen by somebody who overlooks these; its addresses still name them."""
        kept = {name: texts for name, texts in self.query.items() if name not in names}
        return replace(self, query=kept, overlooked={name: self.query[name] for name in names & self.query.keys()})

    def parsed(self) -> Any:
        """The body as JSON; ValueError when it is none. An empty body is None."""
        return orjson.loads(self.body) if self.body.strip() else None

    def shown_body(self) -> Any:
        """The body for the journal: parsed where it is JSON, else as text."""
        try:
            return self.parsed()
        except ValueError:
            return self.body.decode("utf-8", "replace")


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON


def json_answer(status: int, content: Any, **headers: str) -> Answer:
    """An answer in JSON; `retry_after="3"` becomes a Retry-After header."""
    return Answer(
        status, orjson.dumps(content), {name.replace("_", "-").title(): text for name, text in headers.items()}
    )


class RefusalError(Exception):
    """The simulated system refuses; nothing of the request is applied."""

    def __init__(self, status: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {content}")
        self.status, self.content, self.headers = status, content, dict(headers or {})

    def answer(self) -> Answer:
        return Answer(self.status, orjson.dumps(self.content), dict(self.headers))
