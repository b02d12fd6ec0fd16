"""Operations where timing, other people or a person's decision could make them tell or do the wrong thing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django_scopes import scope

from connections.models import Connection
from core.errors import LineshaftError, TransientError, ValidationFailedError
from core.http import Response
from integrations.protocols.jsonrpc import JsonRpcConnector
from integrations.protocols.rest_marks import RestMarks
from integrations.sdk.transforms import MappingError
from integrations.sdk.writes import WriteCall
from integrations.simulators.kit.server import Simulator
from syncs.choices import OperationStatus, Stage
from syncs.engine.outcomes import now
from syncs.models import Operation
from syncs.operations import looking, outcomes
from syncs.operations.copying import Copier, Seen
from syncs.operations.looking import Lookup
from syncs.services.settling import resolve_operation, retry_operation
from tests.operating import ACTION, CREATE, DELETE, UPDATE, cmms, due_now, plant, record_of, wanted, worked  # noqa: F401
from tests.syncing import run_sync, sync_of

pytestmark = pytest.mark.django_db(transaction=True)


def change_row(operation: Operation, **values: Any) -> None:
    with scope(workspace=operation.workspace_id):
        Operation.objects.filter(pk=operation.pk).update(**values)


def synced(plant: Connection, entity: str) -> None:
    assert run_sync(sync_of(plant, entity), rounds=5).status == "completed"


def living(cmms: Simulator, entity: str, **values: Any) -> list[dict[str, Any]]:
    return [
        found
        for found in cmms.control.objects(entity)
        if not found.get("deletedAt") and all(found.get(name) == value for name, value in values.items())
    ]


def any_of(cmms: Simulator, entity: str, **values: Any) -> dict[str, Any]:
    return living(cmms, entity, **values)[0]


# --- looked up --------------------------------------------------------------------------------------------------------


def test_create_when_the_search_takes_until_it_has_settled_then_the_search_does_not_count(
    plant: Connection, cmms: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list may have been read before the object could be seen in it."""
    cmms.control.add_fault("cut", "POST", times=1)
    operation = worked(wanted(plant, "work_order", CREATE, {"title": "Slow list"}))
    really, late = now, timedelta()

    def slow(*_: Any) -> list[str]:
        nonlocal late
        late = timedelta(hours=1)
        return []

    monkeypatch.setattr(RestMarks, "find_marked", slow)
    monkeypatch.setattr(looking, "now", lambda: really() + late)
    due_now(operation)
    worked(operation)

    assert (operation.status, operation.attempts) == ("unknown", 1)


def test_create_when_an_older_object_has_the_callers_number_then_it_is_not_taken_for_ours(
    plant: Connection, cmms: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = str(any_of(cmms, "vendors")["id"])
    body = {"vendor": vendor, "lines": [{"description": "Bolts", "quantity": "2", "unit_price": "1.50"}]}
    assert worked(wanted(plant, "purchase_order", CREATE, {"number": "PO-6", **body})).status == "succeeded"
    made = cmms.control.plant("purchaseorders", overrideNumber="PO-7")  # with all the values of the newest one
    cmms.control.change("purchaseorders", made["id"], createdAt="2020-01-01T08:00:00.000Z")
    cmms.control.add_fault("cut", "POST", times=1)
    operation = worked(wanted(plant, "purchase_order", CREATE, {"number": "PO-7", **body}))
    assert operation.status == "unknown", operation.error
    monkeypatch.setattr(RestMarks, "find_marked", lambda *_: [str(made["id"])])  # as a list that shows numbers does
    due_now(operation, settled=True)
    worked(operation)

    assert (operation.status, operation.attempts) == ("needs_review", 1), operation.remote_id


@pytest.mark.parametrize(
    ("effect", "was", "now_is", "unified", "done"),
    [
        ("cancel", "quotation", "confirmed", "ordered", False),
        ("cancel", "quotation", "cancelled", "cancelled", True),
        ("deactivate", "true", "false", "inactive", True),
        ("cancel", "open", "odd", "unknown", True),
        ("cancel", "open", "open", "unknown", False),
    ],
)
def test_delete_by_status_when_somebody_else_moved_it_on_then_it_was_not_done(
    effect: str, was: str, now_is: str, unified: str, done: bool
) -> None:
    operation = Operation(kind=DELETE, effect=effect, before={"remote_status": was})
    lookup = Lookup(operation, None, None, None, before_call=lambda: None)  # type: ignore[arg-type]
    seen = Seen("1", {}, {"remote_status": now_is, "status": unified}, None)  # type: ignore[arg-type]

    assert lookup._is_done(seen) is done


def test_action_when_it_was_not_done_and_others_moved_the_object_on_then_a_person_decides(
    plant: Connection, cmms: Simulator
) -> None:
    order = cmms.control.plant("purchaseorders", title="Moves on", status="PENDING")
    synced(plant, "purchase_order")
    cmms.control.add_fault("cut", "PATCH", times=1)
    operation = worked(wanted(plant, "purchase_order", ACTION, {}, action="approve", remote_id=str(order["id"])))
    assert operation.status == "unknown"
    cmms.control.change("purchaseorders", order["id"], status="COMPLETED")
    due_now(operation, settled=True)
    worked(operation)

    assert (operation.status, operation.attempts, operation.candidates) == ("needs_review", 1, [])
    assert any_of(cmms, "purchaseorders", id=order["id"])["status"] == "COMPLETED"


def test_update_when_the_object_cannot_be_mapped_any_more_then_a_person_decides(
    plant: Connection, cmms: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced(plant, "asset")
    cmms.control.add_fault("cut", "PATCH", times=1)
    operation = worked(wanted(plant, "asset", UPDATE, {"name": "Z"}, remote_id=str(any_of(cmms, "assets")["id"])))

    def unmapped(*_: Any) -> Seen:
        raise MappingError("name", "is no text")

    monkeypatch.setattr(Copier, "read", unmapped)
    due_now(operation, settled=True)
    worked(operation)

    assert (operation.status, operation.candidates) == ("needs_review", [])
    assert operation.error is not None and operation.error["category"] == "timeout_unknown"


def test_job_when_asking_fails_before_its_deadline_then_it_is_asked_again(plant: Connection, cmms: Simulator) -> None:
    cmms.control.settings(asynchronous={"entities": ["workorders"], "delay_seconds": 3600, "outcome": "done"})
    operation = worked(wanted(plant, "work_order", CREATE, {"title": "Very slowly"}))
    assert operation.status == "awaiting_source"
    at = now()
    change_row(operation, sent_at=at - timedelta(days=3), job_deadline_at=at + timedelta(days=3))
    cmms.control.add_fault("server_error", "GET", times=1)
    due_now(operation)
    worked(operation)

    assert operation.status == "awaiting_source"


# --- sent -------------------------------------------------------------------------------------------------------------


def test_operation_when_it_is_taken_up_too_late_then_nothing_is_sent(plant: Connection, cmms: Simulator) -> None:
    operation = wanted(plant, "vendor", CREATE, {"name": "Too late Ltd"})
    change_row(operation, give_up_at=now() - timedelta(seconds=1))
    worked(operation)

    assert (operation.status, operation.attempts) == ("failed", 0)
    assert operation.error is not None and operation.error["retryable"]
    assert living(cmms, "vendors", name="Too late Ltd") == []


def test_retry_when_a_later_operation_on_the_record_is_under_way_then_it_waits(
    plant: Connection, cmms: Simulator
) -> None:
    synced(plant, "asset")
    remote_id = str(any_of(cmms, "assets")["id"])
    first = wanted(plant, "asset", UPDATE, {"name": "First"}, remote_id=remote_id)
    change_row(first, give_up_at=now() - timedelta(seconds=1))
    assert worked(first).status == "failed"
    cmms.control.add_fault("cut", "PATCH", times=1)
    second = worked(wanted(plant, "asset", UPDATE, {"name": "Second"}, remote_id=remote_id))
    assert (second.status, second.stage) == ("unknown", "sending")
    with scope(workspace=plant.workspace_id):
        retry_operation(first, by="Ann")

    assert (worked(first).status, first.attempts) == ("queued", 0)
    due_now(second, settled=True)
    assert worked(second).status == "succeeded"
    due_now(first)
    assert worked(first).status == "succeeded"


@pytest.mark.parametrize("status", [408, 503])
def test_rpc_write_when_a_proxy_says_to_come_again_then_the_outcome_is_not_known(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Rpc(JsonRpcConnector):
        def __init__(self) -> None:
            self._session = object()  # type: ignore[assignment]

        def _url(self, path: str) -> str:
            return "https://erp.example/"

        def _write_once(self, *_: Any) -> Response:
            return Response(status, {"Retry-After": "1"}, b"", "https://erp.example/", 0.1)

    call = WriteCall("POST", "https://erp.example/", {"method": "model.x.create", "params": []}, creates=True)
    with pytest.raises(LineshaftError) as told:
        Rpc().send_write(call, None)

    assert not outcomes.is_settled(told.value)


def test_refusal_when_the_object_is_gone_by_then_the_copy_has_a_tombstone(plant: Connection, cmms: Simulator) -> None:
    synced(plant, "asset")
    asset = any_of(cmms, "assets")
    operation = wanted(plant, "asset", UPDATE, {"name": "Gone"}, remote_id=str(asset["id"]))
    begin = outcomes.begin_sending

    def gone_by_then(*given: Any) -> None:
        begin(*given)
        cmms.control.change("assets", asset["id"], deletedAt="2026-01-01T00:00:00.000Z")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcomes, "begin_sending", gone_by_then)
        worked(operation)

    record = record_of(operation)
    assert operation.status == "failed" and record is not None and record.deleted_at is not None


# --- ended ------------------------------------------------------------------------------------------------------------


def test_operation_when_its_workers_die_while_reading_back_then_it_was_done_all_the_same(
    plant: Connection, cmms: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trouble(*_: Any) -> Seen:
        raise TransientError("Away.")

    monkeypatch.setattr(Copier, "read", trouble)
    operation = worked(wanted(plant, "vendor", CREATE, {"name": "Done Ltd"}))
    assert operation.stage == Stage.APPLIED
    change_row(operation, claims_without_progress=6)
    due_now(operation)
    worked(operation)

    assert operation.status == "succeeded"
    assert len(living(cmms, "vendors", name="Done Ltd")) == 1


def test_resolve_when_an_update_is_given_another_object_then_it_is_refused(plant: Connection, cmms: Simulator) -> None:
    synced(plant, "asset")
    mine, other = living(cmms, "assets")[:2]
    cmms.control.add_fault("cut", "PATCH", times=1)
    operation = worked(wanted(plant, "asset", UPDATE, {"name": "Mine"}, remote_id=str(mine["id"])))
    assert operation.status == OperationStatus.UNKNOWN
    with scope(workspace=plant.workspace_id):
        with pytest.raises(ValidationFailedError):
            resolve_operation(operation, done=True, remote_id=str(other["id"]), by="Ann")
        resolve_operation(operation, done=True, remote_id=str(mine["id"]), by="Ann")

    assert (operation.status, operation.remote_id) == ("succeeded", str(mine["id"]))
