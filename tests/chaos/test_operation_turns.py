"""Two writes on one record asked for at the same moment: they are done in the order of their rows, never at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection as database
from django.db import connections as databases

from connections.models import Connection
from core import hints
from integrations.simulators.kit.server import Simulator
from syncs.models import Operation
from syncs.operations.execute import execute_operation
from tests.chaos import processes
from tests.chaos.operating import ORDER, chaos_plant, cmms, last_entry, object_of, reload  # noqa: F401
from tests.operating import UPDATE, due_now, wanted

pytestmark = pytest.mark.django_db(transaction=True)


class Asking(threading.Thread):
    """Asks for an update in a session of its own."""

    def __init__(self, plant: Connection, title: str) -> None:
        super().__init__(daemon=True)
        self.plant, self.title = plant, title
        self.operation: Operation | None = None

    def run(self) -> None:
        try:
            self.operation = wanted(self.plant, "work_order", UPDATE, {"title": self.title}, remote_id=ORDER)
        finally:
            databases.close_all()


def waits_for_a_lock() -> bool:
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_updates_when_the_first_is_stored_late_then_the_second_comes_after_it(
    chaos_plant: Connection, cmms: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has its place in the order and is not committed yet: nobody can see it, and nobody may pass it."""
    since, stored, go_on = last_entry(cmms), threading.Event(), threading.Event()
    original = hints.hint

    def slow(*args: Any, **kwargs: Any) -> None:
        if threading.current_thread() is first:
            stored.set()
            go_on.wait(20)
        original(*args, **kwargs)

    monkeypatch.setattr(hints, "hint", slow)
    first, second = Asking(chaos_plant, "First"), Asking(chaos_plant, "Second")
    first.start()
    assert stored.wait(20)
    second.start()
    processes.until(lambda: waits_for_a_lock() or not second.is_alive(), seconds=20, what="the second waits or is done")
    if second.operation is not None:
        execute_operation(second.operation.pk)
    go_on.set()
    first.join(20)
    second.join(20)
    assert first.operation is not None and second.operation is not None
    for operation in (second.operation, first.operation, second.operation):
        due_now(operation)
        execute_operation(operation.pk)
    assert [reload(one).status for one in (first.operation, second.operation)] == ["succeeded", "succeeded"]
    assert [entry["body"]["title"] for entry in cmms.control.journal(since)] == ["First", "Second"]
    assert first.operation.created_at < second.operation.created_at
    assert object_of(second.operation, cmms)["title"] == "Second"
