"""Systems that accept a write and work on it: the operation asks for their job, holding no worker in between."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection as database

from connections.models import Connection
from integrations.simulators.kit.server import Simulator
from syncs.models import Operation
from tests.chaos import processes
from tests.chaos.operating import (  # noqa: F401
    ORDER,
    chaos_plant,
    cmms,
    killed_at,
    last_entry,
    object_of,
    reload,
    seen,
    work,
)
from tests.operating import CREATE, UPDATE, due_now, wanted

pytestmark = pytest.mark.django_db(transaction=True)
DELAY_SECONDS = 1.5


def accept(cmms: Simulator, outcome: str = "done", *methods: str) -> None:
    """From now on writes are answered 202 and done, or not, a little later."""
    cmms.control.settings(
        asynchronous={"methods": list(methods or ("POST", "PATCH")), "delay_seconds": DELAY_SECONDS, "outcome": outcome}
    )


def is_due(operation: Operation) -> bool:
    with database.cursor() as cursor:
        cursor.execute("SELECT due_at <= clock_timestamp() FROM syncs_operation WHERE id = %s", [operation.pk])
        return bool(cursor.fetchone()[0])


def work_when_due(operation: Operation, *, rounds: int = 8) -> None:
    """Worker after worker, each not before the row says so, until it has ended."""
    for _ in range(rounds):
        processes.until(lambda: is_due(operation), seconds=20, what="the operation falls due")
        assert work(operation) == 0
        if reload(operation).status in ("succeeded", "failed", "needs_review"):
            return
    raise AssertionError(f"{operation.status} after {rounds} rounds")


@pytest.mark.parametrize("kind", ["create", "update"])
def test_job_when_it_ends_well_then_what_it_made_is_read_back(
    chaos_plant: Connection, cmms: Simulator, kind: str
) -> None:
    accept(cmms)
    since, body = last_entry(cmms), {"title": "Later"}
    create = kind == "create"
    more: dict[str, Any] = {} if create else {"remote_id": ORDER}
    operation = wanted(chaos_plant, "work_order", CREATE if create else UPDATE, body, **more)
    assert work(operation) == 0
    assert (reload(operation).status, operation.stage) == ("awaiting_source", "accepted")
    assert operation.lease_until is None
    work_when_due(operation)
    assert (operation.status, operation.error) == ("succeeded", None)
    assert object_of(operation, cmms)["title"] == "Later"
    found = seen(operation, cmms, since=since)
    assert found.effects == ["created" if create else "updated"]
    assert found.events == {"record.created" if create else "record.updated": 1, "operation.succeeded": 1}


def test_job_when_workers_die_between_and_inside_of_polls_then_it_goes_on(
    chaos_plant: Connection, cmms: Simulator
) -> None:
    accept(cmms)
    since = last_entry(cmms)
    operation = wanted(chaos_plant, "work_order", CREATE, {"title": "Survives"})
    killed_at(operation, "answered")  # the job is known, and its worker died before it could wait
    assert (reload(operation).status, operation.stage) == ("running", "accepted")
    for _ in range(2):
        due_now(operation)
        killed_at(operation, "polled")
        assert reload(operation).stage == "accepted"
    work_when_due(operation)
    assert operation.status == "succeeded"
    found = seen(operation, cmms, since=since)
    assert (found.effects, found.events["operation.succeeded"]) == (["created"], 1)


def test_job_when_its_acceptance_was_not_stored_then_it_is_not_accepted_twice(
    chaos_plant: Connection, cmms: Simulator
) -> None:
    """The worker died with the job's id: the object is searched for by its mark, once it can be there."""
    accept(cmms)
    since = last_entry(cmms)
    operation = wanted(chaos_plant, "work_order", CREATE, {"title": "Unheard"})
    killed_at(operation, "sent")
    assert reload(operation).stage == "sending"
    work_when_due(operation)
    assert operation.status == "succeeded"
    assert seen(operation, cmms, since=since).effects == ["created"]


def test_job_when_it_fails_then_the_operation_has_failed(chaos_plant: Connection, cmms: Simulator) -> None:
    accept(cmms, "failed")
    since = last_entry(cmms)
    operation = wanted(chaos_plant, "work_order", CREATE, {"title": "Never"})
    assert work(operation) == 0
    work_when_due(operation)
    assert operation.status == "failed" and "aborted" in (operation.error or {})["message"]
    found = seen(operation, cmms, since=since)
    assert (found.effects, found.events) == ([], {"operation.failed": 1})


def test_job_when_it_does_not_end_in_time_then_its_outcome_is_unknown_and_asked_for_more_rarely(
    chaos_plant: Connection, cmms: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPERATION_JOB_SECONDS", "1")
    accept(cmms, "never")
    operation = wanted(chaos_plant, "work_order", CREATE, {"title": "Stuck"})
    assert work(operation) == 0
    assert reload(operation).status == "awaiting_source" and operation.job_deadline_at is not None
    for _ in range(3):
        processes.until(lambda: is_due(operation), seconds=20, what="the next poll")
        assert work(operation) == 0
        if reload(operation).status == "unknown":
            break
    assert (operation.status, (operation.error or {})["code"]) == ("unknown", "JOB_OVERDUE")

    # It is asked for all the same, and may still end well.
    cmms.control.settings(asynchronous=None)
    due_now(operation)
    assert work(operation) == 0 and reload(operation).status == "unknown"
