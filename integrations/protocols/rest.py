"""JSON over REST: lists by GET, one object at its own address."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from core.errors import BadAnswerError, ConfigError, NotSupportedError
from core.http import UNSET, Request, Response
from integrations.protocols.paging import Cursor, Paging
from integrations.sdk.answers import error_of
from integrations.sdk.auth import Auth, NoAuth
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import Resource
from integrations.sdk.pages import CheckResult, Page, Position, Window
from integrations.sdk.raw_calls import RAW_ANSWER_BYTES, RAW_SECONDS, address_below, merged
from integrations.sdk.splitting import Head, Splitter

# Numbers with a point stay exact: money must not become a float.
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class RestConnector(Connector):
    """A system whose lists are GET requests under `base_url`. `check_path` answers who we are, cheaply."""

    auth: ClassVar[Auth] = NoAuth()
    check_path: ClassVar[str] = ""
    headers: ClassVar[Mapping[str, str]] = {"Accept": "application/json"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._readers: dict[str, tuple[Splitter, Head]] = {}

    def check(self) -> CheckResult:
        response = self.get(self.url(self.check_path or next(iter(self.resources().values())).path), {})
        response.json()
        return CheckResult(account="", now=self.now())

    def fetch_page(self, resource: Resource, window: Window, position: Position | None) -> Page:
        paging: Paging = resource.paging or Cursor()
        size = self.page_size()
        link, asked = paging.request(position, size)
        url = link or self.url(resource.path)
        parameters = {} if link else {**resource.parameters, **asked, **self.window_parameters(resource, window)}
        response = self.get(url, parameters)
        splitter, head = self._reader(resource, paging)
        raws, kept = splitter.split(response.body)
        records: list[tuple[str, bytes]] = []
        unreadable: list[tuple[str, bytes]] = []
        changed: list[str] = []
        for raw in raws:
            key, value = head.read(raw)
            if key is None:
                unreadable.append((f"no value at `{resource.id}`", raw))
                continue
            records.append((key, raw))
            if value is not None:
                changed.append(value)
        return Page(
            records=records,
            unreadable=unreadable,
            next=paging.following(position, size, len(raws), kept, url),
            newest=self.newest(resource, changed),
            total=_whole(kept.get(getattr(paging, "total", "") or "")),
        )

    def fetch_one(self, resource: Resource, remote_id: str) -> bytes:
        if not resource.detail:
            raise NotSupportedError(f"{self.title} cannot read one {resource.spec.title.lower()} again.")
        parts = [quote(part, safe="") for part in remote_id.split("|")]
        response = self.get(self.url(resource.detail.format(*parts, id=parts[0])), {})
        response.json()
        return response.body

    def decode(self, raw: bytes) -> Any:
        return _DECODER.decode(raw)

    # --- what a system may do otherwise -------------------------------------------------------------------------

    def window_parameters(self, resource: Resource, window: Window) -> dict[str, Any]:
        """Query parameters that ask only for what changed since the window began."""
        if window.since is None or resource.changes is None or window.open_too:
            return {}
        return {resource.changes.parameter: window.since.strftime(resource.changes.format)}

    def newest(self, resource: Resource, changed: list[str]) -> datetime | None:
        """The greatest change time of a page. ISO texts of one form compare as they are; one is parsed."""
        if not changed:
            return None
        try:
            moment = datetime.fromisoformat(max(changed))
        except (TypeError, ValueError) as error:
            raise BadAnswerError(f"The change time {max(map(str, changed))!r} is not a date and time.") from error
        return (moment if moment.tzinfo else moment.replace(tzinfo=self.settings.zone)).astimezone(UTC)

    def url(self, path: str) -> str:
        """The whole address of a path below `base_url`."""
        base = str(self.settings.config.get("base_url", "")).rstrip("/")
        if not base:
            raise ConfigError("The connection has no base_url.")
        return f"{base}/{path.lstrip('/')}"

    def get(self, url: str, parameters: Mapping[str, Any]) -> Response:
        """GET with the credential; the errors of `error_of` for anything but 2xx."""
        request = Request(
            method="GET",
            url=url,
            params=parameters,
            headers={**self.headers, **self.auth.headers(self.settings)},
            total_timeout=self.call_seconds,
        )
        response = self.send(request)
        if 200 <= response.status < 300:
            return response
        raise error_of(response, message=self.message_of(response))

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
            headers=merged(self.headers, headers, self.auth.headers(self.settings)),
            json=UNSET if is_text else body,
            content=body.encode() if is_text else None,
            total_timeout=min(self.call_seconds, RAW_SECONDS),
            max_bytes=RAW_ANSWER_BYTES,
            is_write=not self.is_read(method, path),
        )
        return self.send(request)

    def message_of(self, response: Response) -> str | None:
        """The system's own words in an error answer, if they are where most put them."""
        try:
            body = msgspec.json.decode(response.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None  # a page of HTML says nothing a person should be shown
        if not isinstance(body, dict):
            return None
        found = body.get("message") or body.get("detail") or body.get("error")
        if isinstance(found, dict):
            found = found.get("message")
        return found[:500] if isinstance(found, str) else None

    def _reader(self, resource: Resource, paging: Paging) -> tuple[Splitter, Head]:
        name = resource.spec.name
        if name not in self._readers:
            changed = resource.changes.path if resource.changes else None
            self._readers[name] = Splitter(resource.items, paging.keep), Head(resource.id, changed, self.decode)
        return self._readers[name]


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None
