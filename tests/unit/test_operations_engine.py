"""Operations against the simulated CMMS: each outcome, with the answers lost in every way."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection as database
from django_scopes import scope

from connections.models import Connection
from core.errors import BusinessRuleError, LineshaftError, NotFoundError, ValidationFailedError
from integrations.simulators.kit.server import Simulator
from syncs.models import Operation
from syncs.operations.copying import record_id_of
from syncs.operations.errors import KeyReusedError, VersionConflictError
from syncs.packing import body_of
from syncs.services.settling import refresh_record, resolve_operation, retry_operation
from syncs.services.writes import Wish, dry_run
from tests.operating import ACTION, CREATE, DELETE, UPDATE, cmms, due_now, plant, record_of, wanted, worked  # noqa: F401
from tests.syncing import events_of, record_events, run_sync, sync_of

pytestmark = pytest.mark.django_db(transaction=True)
LOST = ["apply_then_hang", "cut_answer", "apply_then_error"]
NOT_DONE = ["cut", "hang", "server_error", "garbage"]


def lose(cmms: Simulator, kind: str, method: str, *, times: int = 1) -> None:
    seconds: dict[str, Any] = {"seconds": 0.3} if kind.endswith("hang") else {}
    cmms.control.add_fault(kind, method, times=times, **seconds)


def named(cmms: Simulator, entity: str, field: str, value: str) -> list[dict[str, Any]]:
    return [found for found in cmms.control.objects(entity) if found.get(field) == value and not found.get("deletedAt")]


def test_create_when_all_is_well_then_object_copy_and_events_are_there(plant: Connection, cmms: Simulator) -> None:
    operation = worked(wanted(plant, "work_order", CREATE, {"title": "Grease the pump", "priority": "high"}))

    assert (operation.status, operation.error, operation.not_applied) == ("succeeded", None, [])
    (made,) = named(cmms, "workorders", "title", "Grease the pump")
    assert operation.remote_id == str(made["id"])
    record = record_of(operation)
    assert record is not None and "Grease the pump" in body_of(record)
    sync = sync_of(plant, "work_order")
    assert [event["type"] for event in events_of(sync)] == ["record.created", "operation.succeeded"]
    run_sync(sync, rounds=3)
    assert all(count == 1 for count in record_events(sync).values())


@pytest.mark.parametrize("kind", LOST)
def test_create_when_done_and_the_answer_is_lost_then_it_is_found_and_not_sent_again(
    plant: Connection, cmms: Simulator, kind: str
) -> None:
    lose(cmms, kind, "POST")
    operation = worked(wanted(plant, "work_order", CREATE, {"title": "Once only"}))
    assert (operation.status, operation.stage) == ("unknown", "sending")
    due_now(operation)
    worked(operation)

    assert operation.status == "succeeded" and operation.attempts == 1
    assert len(named(cmms, "workorders", "title", "Once only")) == 1


def test_create_when_waiting_for_the_answer_took_long_then_it_settles_from_then_on(
    plant: Connection, cmms: Simulator
) -> None:
    lose(cmms, "hang", "POST")
    operation = worked(wanted(plant, "work_order", CREATE, {"title": "Slow answer"}))
    with database.cursor() as cursor:  # as if the call had hung for an hour before it was given up, a moment ago
        cursor.execute("UPDATE syncs_operation SET sent_at = sent_at - interval '1 hour' WHERE id = %s", [operation.pk])
    due_now(operation)
    worked(operation)

    assert (operation.status, operation.attempts) == ("unknown", 1)


@pytest.mark.parametrize("kind", NOT_DONE)
def test_create_when_not_done_then_it_is_sent_again_only_after_it_has_settled(
    plant: Connection, cmms: Simulator, kind: str
) -> None:
    lose(cmms, kind, "POST")
    operation = worked(wanted(plant, "work_order", CREATE, {"title": "In the end"}))
    due_now(operation)
    worked(operation)
    assert (operation.status, operation.attempts) == ("unknown", 1)
    due_now(operation, settled=True)
    worked(operation)

    assert (operation.status, operation.attempts) == ("succeeded", 2)
    assert len(named(cmms, "workorders", "title", "In the end")) == 1


def test_create_when_the_mark_was_dropped_and_a_look_alike_stands_then_a_person_decides(
    plant: Connection, cmms: Simulator
) -> None:
    lose(cmms, "cut_answer", "POST")
    operation = worked(wanted(plant, "work_order", CREATE, {"title": "Made once"}))
    (made,) = named(cmms, "workorders", "title", "Made once")
    cmms.control.change("workorders", made["id"], extraFields={}, quiet=True)
    due_now(operation, settled=True)
    worked(operation)

    assert (operation.status, operation.attempts) == ("needs_review", 1)
    assert [found["remote_id"] for found in operation.candidates] == [str(made["id"])]


def test_create_when_it_cannot_be_searched_for_then_a_person_decides(plant: Connection, cmms: Simulator) -> None:
    lose(cmms, "cut_answer", "POST")
    operation = worked(wanted(plant, "location", CREATE, {"name": "Gate 4"}), rounds=2)
    assert operation.status == "needs_review"
    (candidate,) = operation.candidates

    with scope(workspace=plant.workspace_id):
        resolve_operation(operation, done=True, remote_id=candidate["remote_id"], by="Ann")
    assert operation.status == "succeeded" and operation.resolved_by == "Ann"
    assert record_of(operation) is not None
    assert len(named(cmms, "locations", "name", "Gate 4")) == 1


def synced(plant: Connection, entity: str) -> None:
    assert run_sync(sync_of(plant, entity), rounds=5).status == "completed"


def any_of(cmms: Simulator, entity: str, **values: Any) -> dict[str, Any]:
    return next(
        found
        for found in cmms.control.objects(entity)
        if not found.get("deletedAt") and all(found.get(name) == value for name, value in values.items())
    )


def test_update_when_all_is_well_then_the_copy_shows_it_and_its_echo_makes_no_event(
    plant: Connection, cmms: Simulator
) -> None:
    synced(plant, "work_order")
    order = any_of(cmms, "workorders", status="OPEN")
    operation = worked(wanted(plant, "work_order", UPDATE, {"title": "New title"}, remote_id=str(order["id"])))

    assert operation.status == "succeeded", operation.error
    assert [change["pointer"] for change in operation.diff] == ["/title"]
    record = record_of(operation)
    assert record is not None and record.version == 2 and "New title" in body_of(record)
    run_sync(sync_of(plant, "work_order"), rounds=5)
    told = record_events(sync_of(plant, "work_order"))
    assert sum(count for (kind, _), count in told.items() if kind == "record.updated") == 1


@pytest.mark.parametrize("kind", [*LOST, *NOT_DONE])
def test_update_when_the_answer_is_lost_then_it_holds_in_the_end(plant: Connection, cmms: Simulator, kind: str) -> None:
    synced(plant, "asset")
    asset = any_of(cmms, "assets")
    lose(cmms, kind, "PATCH")
    operation = worked(wanted(plant, "asset", UPDATE, {"name": "Pump X"}, remote_id=str(asset["id"])))
    assert operation.status == "unknown"
    due_now(operation, settled=True)
    worked(operation)

    assert operation.status == "succeeded", operation.error
    assert len(named(cmms, "assets", "name", "Pump X")) == 1


def test_update_when_a_field_is_dropped_then_it_is_told(plant: Connection, cmms: Simulator) -> None:
    synced(plant, "asset")
    asset = any_of(cmms, "assets")
    cmms.control.add_fault("dropped_field", "PATCH", fields=["description"])
    body = {"name": "Pump Y", "description": "Not kept"}
    operation = worked(wanted(plant, "asset", UPDATE, body, remote_id=str(asset["id"])))

    assert operation.status == "succeeded"
    assert [item["pointer"] for item in operation.not_applied] == ["/description"]


def test_update_when_nothing_differs_then_nothing_is_sent(plant: Connection, cmms: Simulator) -> None:
    synced(plant, "asset")
    asset = any_of(cmms, "assets")
    operation = worked(wanted(plant, "asset", UPDATE, {"name": asset["name"]}, remote_id=str(asset["id"])))

    assert (operation.status, operation.attempts) == ("succeeded", 0)


def test_action_when_the_answer_is_lost_then_the_status_tells(plant: Connection, cmms: Simulator) -> None:
    synced(plant, "work_order")
    order = any_of(cmms, "workorders", status="OPEN")
    lose(cmms, "cut_answer", "PATCH")
    operation = worked(wanted(plant, "work_order", ACTION, {}, action="complete", remote_id=str(order["id"])), rounds=2)

    assert (operation.status, operation.attempts) == ("succeeded", 1)
    assert any_of(cmms, "workorders", id=order["id"])["status"] == "DONE"


def test_delete_when_done_then_a_tombstone_stands(plant: Connection, cmms: Simulator) -> None:
    synced(plant, "vendor")
    vendor = any_of(cmms, "vendors")
    operation = worked(wanted(plant, "vendor", DELETE, {}, remote_id=str(vendor["id"])))

    assert (operation.status, operation.effect) == ("succeeded", "soft")
    record = record_of(operation)
    assert record is not None and record.deleted_at is not None
    told = record_events(sync_of(plant, "vendor"))
    assert sum(count for (kind, _), count in told.items() if kind == "record.deleted") == 1


def test_refusal_when_the_system_says_no_then_it_failed_with_its_words(plant: Connection, cmms: Simulator) -> None:
    synced(plant, "work_order")
    body = {"title": "For nothing", "asset": "987654321"}
    operation = worked(wanted(plant, "work_order", CREATE, body))

    assert operation.status == "failed" and operation.error is not None
    assert operation.error["source"]["status"] == 400 and operation.attempts == 1
    assert named(cmms, "workorders", "title", "For nothing") == []
    with scope(workspace=plant.workspace_id):
        retry_operation(operation, by="Ann")
    assert worked(operation).status == "failed"


def test_wish_when_it_cannot_be_then_nothing_is_stored(plant: Connection, cmms: Simulator) -> None:
    cmms.control.plant("purchaseorders", title="Closed", status="COMPLETED")
    synced(plant, "purchase_order")
    closed = any_of(cmms, "purchaseorders", title="Closed")
    for wish, error in (
        (("work_order", CREATE, {}, {}), ValidationFailedError),
        (("work_order", CREATE, {"title": "x", "number": "7"}, {}), LineshaftError),
        (("work_order", UPDATE, {"title": "x"}, {"remote_id": "987654321"}), NotFoundError),
        (("purchase_order", ACTION, {}, {"remote_id": str(closed["id"]), "action": "approve"}), BusinessRuleError),
    ):
        entity, kind, body, more = wish
        with pytest.raises(error):
            wanted(plant, entity, kind, body, **more)
    with scope(workspace=plant.workspace_id):
        assert not Operation.objects.exists()


def test_key_when_it_comes_again_then_it_is_the_same_operation(plant: Connection, cmms: Simulator) -> None:
    first = wanted(plant, "vendor", CREATE, {"name": "Seals Ltd"}, key="k1")
    worked(first)
    again = wanted(plant, "vendor", CREATE, {"name": "Seals Ltd"}, key="k1")

    assert (again.pk, again.status) == (first.pk, "succeeded")
    with pytest.raises(KeyReusedError):
        wanted(plant, "vendor", CREATE, {"name": "Other Ltd"}, key="k1")


def test_version_when_the_object_changed_unseen_then_it_is_a_conflict(plant: Connection, cmms: Simulator) -> None:
    synced(plant, "asset")
    asset = any_of(cmms, "assets")
    with pytest.raises(VersionConflictError):
        wanted(plant, "asset", UPDATE, {"name": "Z"}, remote_id=str(asset["id"]), expected_version=7)
    cmms.control.change("assets", asset["id"], name="Changed there", quiet=True)
    operation = worked(wanted(plant, "asset", UPDATE, {"name": "Z"}, remote_id=str(asset["id"]), expected_version=1))

    assert operation.status == "failed" and operation.error is not None
    assert operation.error["code"] == "VERSION_CONFLICT" and operation.attempts == 0
    record = record_of(operation)
    assert record is not None and "Changed there" in body_of(record) and record.version == 2


def test_rate_limit_when_it_is_told_then_it_is_sent_again_later(plant: Connection, cmms: Simulator) -> None:
    cmms.control.add_fault("rate_limit", "POST", times=1, retry_after=30)
    operation = worked(wanted(plant, "vendor", CREATE, {"name": "Later Ltd"}))
    assert (operation.status, operation.stage) == ("queued", "planned")
    due_now(operation)

    assert worked(operation).status == "succeeded"
    assert len(named(cmms, "vendors", "name", "Later Ltd")) == 1


def test_turns_when_two_change_one_record_then_they_come_in_order(plant: Connection, cmms: Simulator) -> None:
    synced(plant, "asset")
    asset = any_of(cmms, "assets")
    first = wanted(plant, "asset", UPDATE, {"name": "First"}, remote_id=str(asset["id"]))
    second = wanted(plant, "asset", UPDATE, {"name": "Second"}, remote_id=str(asset["id"]))
    assert worked(second).status == "queued"
    assert worked(first).status == "succeeded"
    assert worked(second).status == "succeeded"
    assert any_of(cmms, "assets", id=asset["id"])["name"] == "Second"


def test_job_when_the_system_works_on_it_then_it_is_asked_until_it_ends(plant: Connection, cmms: Simulator) -> None:
    cmms.control.settings(asynchronous={"entities": ["workorders"], "delay_seconds": 0, "outcome": "done"})
    operation = worked(wanted(plant, "work_order", CREATE, {"title": "Slowly"}))
    assert (operation.status, operation.stage) == ("awaiting_source", "accepted")
    due_now(operation)

    assert worked(operation).status == "succeeded"
    assert len(named(cmms, "workorders", "title", "Slowly")) == 1


def test_dry_run_shows_the_requests_and_sends_nothing(plant: Connection, cmms: Simulator) -> None:
    synced(plant, "asset")
    asset = any_of(cmms, "assets")
    before = cmms.control.journal()
    with scope(workspace=plant.workspace_id):
        record_id = sync_record_id(plant, "asset", str(asset["id"]))
        planned = dry_run(plant, Wish("asset", UPDATE, {"name": "Would be"}, record_id=record_id))

    assert [call.method for call in planned.calls] == ["PATCH"]
    assert planned.diff == [{"pointer": "/name", "before": asset["name"], "after": "Would be"}]
    assert cmms.control.journal() == before


def sync_record_id(plant: Connection, entity: str, remote_id: str) -> Any:

    return record_id_of(plant.pk, entity, remote_id)


def test_refresh_when_it_changed_there_then_the_copy_has_it_at_once(plant: Connection, cmms: Simulator) -> None:
    synced(plant, "asset")
    asset = any_of(cmms, "assets")
    cmms.control.change("assets", asset["id"], name="Fresh", quiet=True)
    with scope(workspace=plant.workspace_id):
        found = refresh_record(plant, "asset", sync_record_id(plant, "asset", str(asset["id"])))
        assert not found.is_gone
    told = record_events(sync_of(plant, "asset"))
    assert sum(count for (kind, _), count in told.items() if kind == "record.updated") == 1
