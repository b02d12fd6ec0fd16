"""What really happened: every change of state and every request of a write, in order."""

from __future__ import annotations

from typing import Any

from integrations.simulators.kit.messages import Request

Entry = dict[str, Any]


class Journal:
    """Append-only. Written under the store's lock, together with the change it tells."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._first = 1

    def add(
        self,
        request: Request,
        *,
        at: str,
        entity: str | None = None,
        object_id: int | None = None,
        effect: str = "none",
        fault: str | None = None,
        status: int | None = None,
        side_effect: bool = False,
        job: str | None = None,
    ) -> None:
        """`status` is what the client was (partly) told, None for nothing at all. A `side_effect` was not addressed by
        the request but changed with it; every other entry without `job` is one request."""
        self._entries.append(
            {
                "seq": self._first + len(self._entries),
                "at": at,
                "method": request.method,
                "path": request.path,
                "request_id": request.request_id,
                "body": request.shown_body(),
                "entity": entity,
                "object_id": object_id,
                "effect": effect,
                "fault": fault,
                "status": status,
                "side_effect": side_effect,
                "job": job,
            }
        )

    def after(self, seq: int) -> list[Entry]:
        return self._entries[max(0, seq - self._first + 1) :]

    def clear(self) -> None:
        """Forget what was; numbers go on, so that a reader's place stays right."""
        self._first += len(self._entries)
        self._entries = []
