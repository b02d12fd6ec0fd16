"""JSON over REST: what is read (`rest_reads`), what is written (`rest_writes`), and raw calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from core.http import UNSET, Request, Response
from integrations.protocols.rest_writes import RestWrites
from integrations.sdk.pages import CheckResult
from integrations.sdk.raw_calls import RAW_ANSWER_BYTES, RAW_SECONDS, address_below, merged


class RestConnector(RestWrites):
    """A system whose lists are GET requests under `base_url`. `check_path` answers who we are, cheaply."""

    check_path: ClassVar[str] = ""

    def check(self) -> CheckResult:
        response = self.get(self.url(self.check_path or next(iter(self.resources().values())).path), {})
        response.json()
        return CheckResult(account="", now=self.now())

    def passthrough(
        self, method: str, path: str, query: Mapping[str, Any], headers: Mapping[str, str], body: Any
    ) -> Response:
        """A call to a path below `base_url`. Text for another content type than JSON is sent as it is."""
        kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "application/json")
        is_text = "json" not in kind.lower() and isinstance(body, str)
        request = Request(
            method=method,
            url=address_below(self.url("").rstrip("/"), path),
            params=query,
            headers=merged(self.headers, headers),
            json=UNSET if is_text else body,
            content=body.encode() if is_text else None,
            total_timeout=min(self.call_seconds, RAW_SECONDS),
            max_bytes=RAW_ANSWER_BYTES,
            is_write=not self.is_read(method, path),
        )
        return self.send_signed(request)
