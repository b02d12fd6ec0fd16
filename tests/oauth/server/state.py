"""What the server remembers besides its database: exchanges made, faults wanted, sessions opened, rows of the system."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

from tests.oauth.server.settings import CHOSEN

lock = threading.RLock()
stopping = threading.Event()
exchanges: list[dict[str, Any]] = []
"""Every request for a token that was answered or failed: grant_type, status, error."""

fault: dict[str, Any] = {}
"""{"kind": "500" | "503" | "html" | "hang" | "answer_lost", "times": how many, "seconds": of hang}"""

_sessions: dict[str, float] = {}


def note(grant_type: str, status: int, error: str = "") -> None:
    with lock:
        exchanges.append({"grant_type": grant_type, "status": status, "error": error})


def take_fault() -> dict[str, Any]:
    """The fault for this request, if one is wanted."""
    with lock:
        if not fault or fault["times"] == 0:
            return {}
        fault["times"] -= 1
        return dict(fault)


def open_session() -> str:
    with lock:
        token = secrets.token_urlsafe(24)
        _sessions[token] = time.monotonic() + CHOSEN["session_seconds"]
        return token


def is_session(token: str) -> bool:
    with lock:
        return _sessions.get(token, 0.0) > time.monotonic()


def end_sessions() -> None:
    with lock:
        _sessions.clear()


def vendors() -> list[dict[str, Any]]:
    return [
        {"id": str(number), "code": f"V-{number:04}", "name": f"Vendor {number}", "email": f"v{number}@erp.example"}
        for number in range(1, 8)
    ]


def orders() -> list[dict[str, Any]]:
    return list(_orders())


def _orders() -> Iterator[dict[str, Any]]:
    for number in range(1001, 1006):
        yield {
            "id": str(number),
            "number": f"PO-{number}",
            "text": "Spare parts for the cooling pumps",
            "status": "open",
            "vendor_id": "7",
            "currency": "EUR",
            "total": "120.00",
            "ordered_on": "2026-10-05",
            "updated_at": f"2026-10-{number - 996:02}T08:00:00Z",
            "lines": [{"id": f"{number}-1", "text": "Mechanical seal", "quantity": 8, "unit": "pcs", "price": "15.00"}],
        }
