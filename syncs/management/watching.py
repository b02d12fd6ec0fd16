"""Watching runs from a terminal: a bar for each entity, until all have ended."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from django.db import connection as database
from django_scopes import scope
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from syncs.choices import ACTIVE
from syncs.models import SyncRun

POLL_SECONDS = 0.5


class Watch:
    """The runs of one workspace, read again at each look."""

    def __init__(self, workspace_id: UUID, run_ids: Sequence[UUID], *, show: bool) -> None:
        self.workspace_id, self.run_ids = workspace_id, list(run_ids)
        self._console = Console(file=sys.stderr)
        self._show = show and self._console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._bars: dict[UUID, TaskID] = {}

    def look(self) -> list[SyncRun]:
        """The runs as they are now; the bars follow."""
        with scope(workspace=self.workspace_id):
            runs = {run.pk: run for run in SyncRun.objects.filter(pk__in=self.run_ids).select_related("sync")}
        ordered = [runs[pk] for pk in self.run_ids if pk in runs]
        if self._show:
            for run in ordered:
                self._draw(run)
        return ordered

    def until_ended(self) -> list[SyncRun]:
        """Look again and again until every run has ended. Other processes do the work."""
        pause = threading.Event()
        with self._drawn():
            while True:
                runs = self.look()
                if not any(run.status in ACTIVE for run in runs):
                    return runs
                pause.wait(POLL_SECONDS)

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Keep the bars moving while the block does the work in this thread."""
        if not self._show:
            yield
            return
        stop = threading.Event()
        thread = threading.Thread(target=self._draw_until, args=[stop], name="watch", daemon=True)
        with self._drawn():
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join(timeout=10)
                self.look()

    @contextmanager
    def _drawn(self) -> Iterator[None]:
        if not self._show:
            yield
            return
        with self._progress:
            yield

    def _draw_until(self, stop: threading.Event) -> None:
        try:
            while not stop.wait(POLL_SECONDS):
                self.look()
        finally:
            database.close()  # of this thread

    def _draw(self, run: SyncRun) -> None:
        if run.pk not in self._bars:
            self._bars[run.pk] = self._progress.add_task(run.sync.entity, total=None, state="")
        total = run.total if run.status in ACTIVE else run.read_count
        state = f"{run.status} {run.phase}".strip()
        self._progress.update(self._bars[run.pk], completed=run.read_count, total=total, state=state)
