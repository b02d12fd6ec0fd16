"""What can go wrong with an answer of the test ERP."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.connectors.calls import Answer, Call, refuse

if TYPE_CHECKING:
    from tests.connectors.server import TestErpServer


@dataclass
class Fault:
    """What goes wrong: `kind` as in `FAULTS`, for the next `times` requests (None: all) to paths beginning with `on`,
    after leaving the first `skip` of them alone."""

    kind: str
    times: int | None = None
    on: str = ""
    skip: int = 0


def _status(status: str, message: str) -> Callable[[TestErpServer, Call], Answer]:
    return lambda server, call: refuse(status, message)


def _rate_limited(server: TestErpServer, call: Call) -> Answer:
    status, headers, body = refuse("429 Too Many Requests", "Slow down.")
    return status, {**headers, "Retry-After": server.retry_after}, body


def _html(server: TestErpServer, call: Call) -> Answer:
    return "200 OK", {"Content-Type": "text/html"}, b"<!DOCTYPE html><html><body>Please sign in</body></html>"


def _truncated(server: TestErpServer, call: Call) -> Answer:
    """Half the body, then the connection closes."""
    status, headers, body = server.answer(call)
    return status, {**headers, "Content-Length": str(len(body)), "Connection": "close"}, body[: len(body) // 2]


def _wrong_length(server: TestErpServer, call: Call) -> Answer:
    """Announces less than it sends: what the client reads ends too early."""
    status, headers, body = server.answer(call)
    return status, {**headers, "Content-Length": str(len(body) - 3), "Connection": "close"}, body


def _not_json(server: TestErpServer, call: Call) -> Answer:
    return "200 OK", {}, b'{"items": [{"id": "1001", '


def _empty_body(server: TestErpServer, call: Call) -> Answer:
    return "200 OK", {}, b""


def _on_page(change: Callable[[dict[str, Any], Call], None]) -> Callable[[TestErpServer, Call], Answer]:
    """A fault inside the list itself; answers that are no list stay as they are."""

    def fault(server: TestErpServer, call: Call) -> Answer:
        status, headers, body = server.answer(call)
        page = json.loads(body)
        if "items" in page:
            change(page, call)
        return status, headers, json.dumps(page).encode()

    return fault


def _on_first(**values: Any) -> Callable[[TestErpServer, Call], Answer]:
    def change(page: dict[str, Any], call: Call) -> None:
        if page["items"]:
            page["items"][0] = {**page["items"][0], **values}

    return _on_page(change)


def _duplicate_ids(page: dict[str, Any], call: Call) -> None:
    page["items"] += page["items"][:1]


def _missing_id(page: dict[str, Any], call: Call) -> None:
    if page["items"]:
        page["items"][0].pop("id")


def _repeated_token(page: dict[str, Any], call: Call) -> None:
    if page["next_cursor"]:
        page["next_cursor"] = call.parameters.get("cursor", page["next_cursor"])


def _empty_list(page: dict[str, Any], call: Call) -> None:
    page |= {"items": [], "next_cursor": None, "total": 0}


FAULTS: dict[str, Callable[[TestErpServer, Call], Answer]] = {
    "http_401": _status("401 Unauthorized", "Unknown key."),
    "http_403": _status("403 Forbidden", "Not for this role."),
    "http_404": _status("404 Not Found", "No such route."),
    "http_409": _status("409 Conflict", "Changed meanwhile."),
    "http_410": _status("410 Gone", "This cursor has expired."),
    "http_429": _rate_limited,
    "http_500": _status("500 Internal Server Error", "Database is locked."),
    "http_503": _status("503 Service Unavailable", "Maintenance."),
    "html": _html,
    "truncated": _truncated,
    "wrong_length": _wrong_length,
    "not_json": _not_json,
    "empty_body": _empty_body,
    "slow": lambda server, call: server.answer(call),
    "duplicate_ids": _on_page(_duplicate_ids),
    "nul": _on_first(notes="a\x00b"),
    "nul_id": _on_first(id="10\x0001"),
    "lone_surrogate": _on_first(notes="half \ud83d of it"),
    "long_id": _on_first(id="x" * 600),
    "bad_amount": _on_first(total="twelve"),
    "missing_id": _on_page(_missing_id),
    "repeated_token": _on_page(_repeated_token),
    "empty_list": _on_page(_empty_list),
}
"""`nul`, `lone_surrogate`, `bad_amount`, `long_id`, `nul_id`, `missing_id` spoil the first row of a page. `http_410` on a
request with a cursor is an expired token; `empty_list` is what a lost permission often looks like."""
