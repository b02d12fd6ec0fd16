"""Wishes what was planned, at an even pace, from several threads at once, and keeps what was answered."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db import connections as databases
from django_scopes import scope

from connections.models import Connection
from core.errors import LineshaftError
from syncs.choices import OperationKind
from syncs.models import Operation
from syncs.services.writes import Wish, request_operation
from tests.chaos.operations.checker import ENDED
from tests.chaos.operations.plan import Chain, Step

THREADS = 4
LOOK_SECONDS = 0.1


@dataclass
class Wanted:
    """A step that was wished: its operation, and everything that submitting it answered."""

    step: Step
    chain: Chain
    order: int
    operation_id: UUID
    answers: list[UUID]


@dataclass
class Progress:
    """Where a chain stands."""

    chain: Chain
    left: list[Step]
    record_id: UUID | None
    wanted: list[Wanted] = field(default_factory=list)
    is_busy: bool = False
    needs_record: bool = False


class Driver:
    """Steps that cannot be wished any more (their create failed) are counted in `dropped`, refused ones in `refused`."""

    def __init__(self, connection: Connection, chains: Sequence[Chain], *, per_second: float) -> None:
        self.connection, self.gap = connection, 1 / per_second
        self.todo: queue.Queue[Progress | None] = queue.Queue()
        self.fresh = [self._begin(chain) for chain in chains]
        self.open: list[Progress] = []
        self.wanted: list[Wanted] = []
        self.refused: list[str] = []
        self.dropped = 0
        self.broken: list[BaseException] = []
        self._lock, self._paced_at = threading.Lock(), time.monotonic()
        self._threads = [threading.Thread(target=self._submitting, daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _begin(chain: Chain) -> Progress:
        return Progress(chain, list(chain.steps), chain.on.record_id if chain.on else None)

    def add(self, chain: Chain) -> None:
        self.fresh.append(self._begin(chain))

    def close(self) -> None:
        for _ in self._threads:
            self.todo.put(None)
        for thread in self._threads:
            thread.join(30)

    # --- the main thread: what may be wished now ------------------------------------------------------------------

    def advance(self) -> None:
        """Hand on what may be wished now."""
        if self.broken:
            raise self.broken[0]
        states = self._states()
        for progress in [one for one in self.open if not one.is_busy]:
            self._advance(progress, states)
        while self.fresh and self.todo.qsize() < THREADS:
            self._submit(self.fresh.pop(0))

    def _states(self) -> dict[UUID, tuple[str, UUID | None]]:
        waiting = [one.wanted[-1].operation_id for one in self.open if one.wanted and not one.is_busy]
        rows = Operation.objects.filter(pk__in=waiting).values_list("pk", "status", "record_id")
        return {pk: (status, record_id) for pk, status, record_id in rows}

    def _advance(self, progress: Progress, states: dict[UUID, tuple[str, UUID | None]]) -> None:
        if not progress.left:
            self.open.remove(progress)
            return
        status, record_id = states.get(progress.wanted[-1].operation_id, ("", None)) if progress.wanted else ("", None)
        if progress.wanted and status not in ENDED:
            return
        progress.record_id = progress.record_id or record_id
        if status in ("failed", "needs_review") or progress.record_id is None:
            self._drop(progress)
            return
        self._submit(progress)

    def _drop(self, progress: Progress) -> None:
        with self._lock:
            self.dropped += len(progress.left)
        progress.left.clear()
        self.open.remove(progress)

    def _submit(self, progress: Progress) -> None:
        if progress not in self.open:
            self.open.append(progress)
        progress.is_busy = True
        self.todo.put(progress)

    # --- the threads that wish ------------------------------------------------------------------------------------

    def _submitting(self) -> None:
        try:
            with scope(workspace=self.connection.workspace_id):
                while (progress := self.todo.get()) is not None:
                    try:
                        self._submit_run(progress)
                    finally:
                        progress.is_busy = False
        except BaseException as error:
            self.broken.append(error)
        finally:
            databases.close_all()

    def _submit_run(self, progress: Progress) -> None:
        """The next step, and those behind it that need not wait for it: they queue up at the same record."""
        while progress.left:
            step = progress.left[0]
            if not self._pace_and_wish(progress, step):
                return
            if not progress.left or progress.left[0].waits or step.kind == "create":
                return

    def _pace_and_wish(self, progress: Progress, step: Step) -> bool:
        self._wait_for_turn()
        try:
            answers = self._wish(progress, step)
        except LineshaftError as error:
            with self._lock:
                self.refused.append(f"{step.kind} {step.action} {progress.chain.entity}: {error.code} {error.detail}")
                self.dropped += len(progress.left)
            progress.left.clear()
            return False
        with self._lock:
            wanted = Wanted(step, progress.chain, len(self.wanted), answers[0], answers)
            self.wanted.append(wanted)
        progress.wanted.append(wanted)
        progress.left.pop(0)
        return True

    def _wait_for_turn(self) -> None:
        with self._lock:
            self._paced_at = max(self._paced_at + self.gap, time.monotonic() - self.gap)
            at = self._paced_at
        time.sleep(max(0.0, at - time.monotonic()))

    def _wish(self, progress: Progress, step: Step) -> list[UUID]:
        """Submit it; a twice wished one from two threads at once, with the same key."""
        wish = Wish(
            entity=progress.chain.entity,
            kind=OperationKind(step.kind),
            body=step.body,
            record_id=None if step.kind == "create" else progress.record_id,
            action=step.action,
            key=f"key-{step.number}",
            by="chaos",
        )
        if not step.twice:
            return [request_operation(self.connection, wish).operation.pk]
        return at_once([lambda: request_operation(self.connection, replace(wish)).operation.pk] * 2, self.connection)


def at_once(calls: Sequence[Callable[[], Any]], connection: Connection) -> list[Any]:
    """The answers of several calls made at the same moment, each in a thread of its own."""
    barrier, answers, errors = threading.Barrier(len(calls)), [None] * len(calls), []

    def run(place: int, call: Callable[[], Any]) -> None:
        try:
            with scope(workspace=connection.workspace_id):
                barrier.wait(10)
                answers[place] = call()
        except BaseException as error:
            errors.append(error)
        finally:
            databases.close_all()

    threads = [threading.Thread(target=run, args=(place, call), daemon=True) for place, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]
    return answers
