"""A small Tryton JSON-RPC client, standard library only: plays a person who works in the customer's ERP.

For tests and demos. Shares no code with the connector, so that one can check the other.
"""

from __future__ import annotations

import base64
import datetime
import gzip
import json
import urllib.error
import urllib.request
from decimal import Decimal
from typing import Any

TIMEOUT_SECONDS = 60.0


class HttpError(Exception):
    """The server answered with another status than 200."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"HTTP {status}: {body[:300]}")
        self.status = status
        self.body = body


class RpcError(Exception):
    """The server answered 200 with an error: its kind ("UserError", ... or free text) and the rest of it."""

    def __init__(self, kind: str, rest: list[Any]) -> None:
        super().__init__(f"{kind}: {rest[:1]}"[:500])
        self.kind = kind
        self.rest = rest


def to_wire(value: Any) -> Any:
    """Turn Decimal, date, datetime, timedelta and bytes into Tryton's typed objects, at any depth."""
    if isinstance(value, dict):
        return {key: to_wire(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_wire(item) for item in value]
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    if isinstance(value, datetime.datetime):
        return {"__class__": "datetime"} | _day(value) | _clock(value)
    if isinstance(value, datetime.date):
        return {"__class__": "date"} | _day(value)
    if isinstance(value, datetime.timedelta):
        return {"__class__": "timedelta", "seconds": value.total_seconds()}
    if isinstance(value, bytes):
        return {"__class__": "bytes", "base64": base64.b64encode(value).decode()}
    return value


def _day(value: datetime.date) -> dict[str, int]:
    return {"year": value.year, "month": value.month, "day": value.day}


def _clock(value: datetime.datetime) -> dict[str, int]:
    return {"hour": value.hour, "minute": value.minute, "second": value.second, "microsecond": value.microsecond}


def from_wire(found: dict[str, Any]) -> Any:
    """Object hook for `json.loads`: the reverse of `to_wire`. Date-times stay naive (the server means UTC)."""
    match found.get("__class__"):
        case "Decimal":
            return Decimal(found["decimal"])
        case "date":
            return datetime.date(found["year"], found["month"], found["day"])
        case "datetime":
            parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
            return datetime.datetime(*(found[part] for part in parts))
        case "timedelta":
            return datetime.timedelta(seconds=found["seconds"])
        case "bytes":
            return base64.b64decode(found["base64"])
        case _:
            return found


class TrytonClient:
    """One session on one database."""

    def __init__(self, base_url: str, database: str, company: int | None = None) -> None:
        self.url = f"{base_url}/{database}/rpc/"
        self.context: dict[str, Any] = {"company": company} if company else {}
        self.user_id: int | None = None
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}

    def login(self, user: str, password: str) -> TrytonClient:
        """Open a session and take over the user's company; return self."""
        user_id, token, _bus = self.rpc("common.db.login", user, {"password": password}, "en")
        session = base64.b64encode(f"{user}:{user_id}:{token}".encode()).decode()
        self._headers["Authorization"] = f"Session {session}"
        self.user_id = user_id
        self.context = self.rpc("model.res.user.get_preferences", True, {}) | self.context
        return self

    def logout(self) -> None:
        self.rpc("common.db.logout")

    def call(self, method: str, *params: Any, **context: Any) -> Any:
        """Call `model.NAME.METHOD`; the user's context, with `context` over it, is added as the last parameter."""
        return self.rpc(method, *params, self.context | context)

    def rpc(self, method: str, *params: Any) -> Any:
        """Call without adding a context. Errors: HttpError, RpcError."""
        body = json.dumps({"id": 1, "method": method, "params": to_wire(params)}).encode()
        request = urllib.request.Request(self.url, data=body, headers=self._headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                raw, packed = answer.read(), answer.headers.get("Content-Encoding") == "gzip"
        except urllib.error.HTTPError as error:
            with error:
                raise HttpError(error.code, error.read().decode(errors="replace")) from error
        found = json.loads(gzip.decompress(raw) if packed else raw, object_hook=from_wire)
        if "error" in found:
            kind, *rest = found["error"]
            raise RpcError(kind, rest)
        return found["result"]
