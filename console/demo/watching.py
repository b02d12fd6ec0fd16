"""The first sync, watched over the API: a bar for each entity."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from console.demo.client import Api, Body

POLL_SECONDS = 0.5
LIMIT_SECONDS = 240.0


class Bars:
    """Bars on a terminal; lines elsewhere, one for each change of state."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.progress = Progress(
            TextColumn("  {task.description:<16}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}
        self._states: dict[str, str] = {}

    def show(self, entity: Body) -> None:
        name, state = entity["entity"], entity["status"]
        done, total = _progress(entity)
        if name not in self._bars:
            self._bars[name] = self.progress.add_task(name, total=None, state="")
        text = f"{state} {entity['phase'] or ''}".strip()
        self.progress.update(self._bars[name], completed=done, total=total, state=text)
        if state == "completed":
            self.progress.stop_task(self._bars[name])
        if not self._console.is_terminal and self._states.get(name) != state:
            self._console.print(f"  {name:<16} {state} {done or ''}".rstrip())
        self._states[name] = state


def _progress(entity: Body) -> tuple[int, int | None]:
    progress, counts = entity["progress"], entity["counts"] or {}
    if progress:
        return progress["done"], progress["total"]
    read = counts.get("read", 0)
    return read, read or None


class FirstSync:
    """Waits until every entity was synced once more than before."""

    def __init__(self, api: Api, connection_id: str, expected: Sequence[str]) -> None:
        self._api, self._connection_id, self._expected = api, connection_id, expected
        self._before = {entity["entity"]: entity["last_successful_sync_at"] for entity in self.status()["entities"]}

    def status(self) -> Body:
        (status,) = self._api.get("/sync-status", connection=self._connection_id)["data"]
        return dict(status)

    def wait(self, console: Console, look_after: Callable[[], Any]) -> Body:
        """The sync status when all is done; `look_after` is called at each look. CommandError when a sync fails."""
        deadline = time.monotonic() + LIMIT_SECONDS
        bars = Bars(console)
        with bars.progress:
            while True:
                look_after()
                status = self.status()
                for entity in status["entities"]:
                    bars.show(entity)
                _raise_trouble(status)
                if self._is_done(status):
                    return status
                if time.monotonic() > deadline:
                    raise CommandError(f"The first sync did not end within {LIMIT_SECONDS:.0f} s.")
                time.sleep(POLL_SECONDS)

    def _is_done(self, status: Body) -> bool:
        entities = {entity["entity"]: entity for entity in status["entities"]}
        return all(name in entities and self._is_synced(entities[name]) for name in self._expected)

    def _is_synced(self, entity: Body) -> bool:
        succeeded: str | None = entity["last_successful_sync_at"]
        return (
            entity["status"] == "completed"
            and succeeded is not None
            and succeeded != self._before.get(entity["entity"])
        )


def _raise_trouble(status: Body) -> None:
    for entity in status["entities"]:
        if entity["status"] in ("failed", "needs_review", "needs_reauth", "paused"):
            error = entity["error"] or {}
            told = " ".join(filter(None, (error.get("message"), error.get("action"))))
            raise CommandError(f"The sync of {entity['entity']} is {entity['status']}. {told}".rstrip())
