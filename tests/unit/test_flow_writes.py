"""Steps that write: one operation for each attempt, whoever is killed; and trials that send nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django_scopes import scopes_disabled

from connections.models import Connection
from core.errors import (
    BusinessRuleError,
    LineshaftError,
    NotFoundError,
    NotSupportedError,
    ValidationFailedError,
)
from core.leases import LeaseLostError
from flows.choices import WaitsFor
from flows.engine.handlers import HANDLERS, writes
from flows.engine.handlers.writes import key_of
from flows.engine.turn import Done, Later, OutcomeLostError
from flows.models import FlowRun, StepRun
from syncs.choices import OperationStatus
from syncs.models import Operation
from syncs.operations.errors import VersionConflictError
from tests.connectors import TestErpServer, connect, erp_server  # noqa: F401
from tests.flow_turns import HeldTurn, flow_of, held_turn
from tests.syncing import run_sync, sync_of
from tests.writes_stage import po, writes_to
from tests.writing import work_once, writing_erp  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("writing_erp", "no_waiting")]
NEW = {"vendor": "7", "notes": "Gate 3", "lines": [{"quantity": "8", "unit": "EA", "description": "Seal"}]}


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test does the operations itself."""
    monkeypatch.setattr(writes, "WAIT_SECONDS", 0.0)


@pytest.fixture
def plant(erp_server: TestErpServer) -> Iterator[Connection]:
    """Two orders and a vendor in the copy."""
    found = connect(erp_server)
    erp_server.add_orders(2, first=1, status="draft")
    erp_server.add_vendors(1, first=7)
    assert run_sync(sync_of(found)).status == "completed"
    assert run_sync(sync_of(found, "vendor")).status == "completed"
    erp_server.forget_calls()
    with scopes_disabled():
        yield found


def step_of(do: str, **fields: Any) -> dict[str, Any]:
    return {"name": "put", "do": do, "connection": "erp", "entity": "purchase_order", **fields}


def turn_at(plant: Connection, do: str, *, is_dry: bool = False, context: Any = None, **fields: Any) -> HeldTurn:
    return held_turn(flow_of(step_of(do, **fields), erp=plant), is_dry=is_dry, context=context)


def done(turn: HeldTurn) -> Done:
    """The step with its operation done in between."""
    first = HANDLERS[turn.step.do](turn)
    assert isinstance(first, Later)
    assert first.waits_for == WaitsFor.OPERATION
    work_once()
    last = HANDLERS[turn.step.do](turn.again())
    assert isinstance(last, Done), last
    return last


def dry(plant: Connection, do: str, *, context: Any = None, **fields: Any) -> dict[str, Any]:
    turn = turn_at(plant, do, is_dry=True, context=context, **fields)
    output = HANDLERS[do](turn).output  # type: ignore[union-attr]
    assert Operation.objects.count() == 0 or "operation" in output
    return output  # type: ignore[no-any-return]


def refusal(turn: HeldTurn, kind: type[LineshaftError]) -> LineshaftError:
    with pytest.raises(kind) as caught:
        HANDLERS[turn.step.do](turn)
    return caught.value


# --- live -------------------------------------------------------------------------------------------------------------


def test_a_write_is_asked_for_once_and_told_when_it_is_done(
    plant: Connection,
    erp_server: TestErpServer,
) -> None:
    turn = turn_at(plant, "update_record", id=po(plant), body={"notes": "Gate 4"})
    output = done(turn).output
    operation = Operation.objects.get()
    shown_run = f"frun_{turn.run.pk.hex}"
    assert (operation.origin, operation.requested_by) == ("flow", f"flow run {shown_run}")
    assert operation.idempotency_key == f"flow:{shown_run}:put:0"
    assert StepRun.objects.get().operation_id == operation.pk
    assert output["operation"] == f"op_{operation.pk.hex}"
    assert output["status"] == "succeeded"
    assert output["record"]["notes"] == "Gate 4"
    assert [found["pointer"] for found in output["diff"]] == ["/notes"]
    assert output["not_applied"] == []
    assert writes_to(erp_server) == ["PATCH /orders/1"]


def test_what_a_create_makes_is_its_record_and_a_delete_leaves_none(
    plant: Connection,
    erp_server: TestErpServer,
) -> None:
    made = done(turn_at(plant, "create_record", body=NEW)).output["record"]
    assert (made["notes"], made["vendor"]["remote_id"]) == ("Gate 3", "7")
    acted = done(turn_at(plant, "act_on_record", id=po(plant), action="approve", body={"note": "x"})).output
    assert acted["record"]["remote_status"] == "open"
    cancelled = done(turn_at(plant, "delete_record", id=po(plant, "2"))).output
    assert cancelled["record"]["status"] == "cancelled"  # this system cancels
    assert len(writes_to(erp_server)) == 3


def test_references_are_our_ids_or_the_systems(plant: Connection) -> None:
    with scopes_disabled():
        vendor = plant.records.get(entity="vendor")
    for reference in (f"ven_{vendor.pk.hex}", "7", {"id": f"ven_{vendor.pk.hex}"}, {"remote_id": "7"}):
        made = done(turn_at(plant, "create_record", body={**NEW, "vendor": reference})).output["record"]
        assert made["vendor"]["remote_id"] == "7"


def test_whoever_takes_over_asks_for_the_same_operation(
    plant: Connection,
    erp_server: TestErpServer,
) -> None:
    turn = turn_at(plant, "update_record", id=po(plant), body={"notes": "Gate 4"})
    HANDLERS["update_record"](turn)
    StepRun.objects.update(operation_id=None)  # as if the worker was killed before it wrote that down
    later = turn.again()
    found = HANDLERS["update_record"](later)
    assert isinstance(found, Later)
    assert Operation.objects.count() == 1
    assert StepRun.objects.get().operation_id == found.operation_id
    work_once()
    assert isinstance(HANDLERS["update_record"](later.again()), Done)
    assert writes_to(erp_server) == ["PATCH /orders/1"]


def test_a_worker_that_lost_its_run_asks_for_nothing(plant: Connection) -> None:
    turn = turn_at(plant, "update_record", id=po(plant), body={"notes": "Gate 4"})
    turn.again()
    with pytest.raises(LeaseLostError):
        HANDLERS["update_record"](turn)
    assert Operation.objects.count() == 0
    assert StepRun.objects.get().has_begun is False


def test_an_operation_and_the_row_that_names_it_are_one_transaction(
    plant: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = turn_at(plant, "update_record", id=po(plant), body={"notes": "Gate 4"})

    def killed(**changes: Any) -> None:
        assert transaction.get_connection().in_atomic_block
        raise KeyboardInterrupt

    monkeypatch.setattr(turn, "begin", killed)
    with pytest.raises(KeyboardInterrupt):
        HANDLERS["update_record"](turn)
    assert Operation.objects.count() == 0


@pytest.mark.parametrize("status", ["running", "unknown", "needs_review", "awaiting_source"])
def test_what_is_not_decided_is_waited_for(plant: Connection, status: str) -> None:
    turn = turn_at(plant, "update_record", id=po(plant), body={"notes": "Gate 4"})
    HANDLERS["update_record"](turn)
    Operation.objects.update(status=status)
    found = HANDLERS["update_record"](turn.again())
    assert isinstance(found, Later)
    assert found.operation_id == Operation.objects.get().pk
    assert Operation.objects.count() == 1


def test_an_operation_that_failed_fails_the_attempt_as_it_failed(
    plant: Connection,
    erp_server: TestErpServer,
) -> None:
    turn = turn_at(plant, "act_on_record", id=po(plant), action="approve")
    HANDLERS["act_on_record"](turn)
    erp_server.change("orders", "1", status="open")
    Operation.objects.update(
        status=OperationStatus.FAILED,
        error={"code": "REFUSED_BY_STATUS", "category": "business_rule", "message": "Not a draft.", "retryable": False},
    )
    error = refusal(turn.again(), BusinessRuleError)
    assert (error.code, error.detail, error.retryable) == ("REFUSED_BY_STATUS", "Not a draft.", False)
    Operation.objects.update(
        error={"code": "NOT_SENT_IN_TIME", "category": "transient", "message": "Too late.", "source": None}
    )
    assert refusal(turn.again(), LineshaftError).retryable is True


def test_the_next_attempt_has_a_key_of_its_own(plant: Connection) -> None:
    turn = turn_at(plant, "update_record", id=po(plant), body={"notes": "Gate 4"})
    HANDLERS["update_record"](turn)
    StepRun.objects.update(retry=1, operation_id=None, has_begun=False)
    HANDLERS["update_record"](turn.again())
    assert sorted(key[-2:] for key in Operation.objects.values_list("idempotency_key", flat=True)) == [":0", ":1"]


def test_an_operation_that_is_gone_is_for_a_person(plant: Connection) -> None:
    turn = turn_at(plant, "update_record", id=po(plant), body={"notes": "Gate 4"})
    HANDLERS["update_record"](turn)
    Operation.objects.all().delete()
    refusal(turn.again(), OutcomeLostError)


def test_refusals_come_before_anything_is_stored(plant: Connection) -> None:
    cases: list[tuple[type[LineshaftError], dict[str, Any]]] = [
        (NotFoundError, {"id": po(plant, "99"), "body": {"notes": "x"}}),
        (ValidationFailedError, {"id": "1", "body": {"notes": "x"}}),
        (ValidationFailedError, {"id": None, "body": {"notes": "x"}}),
        (ValidationFailedError, {"id": po(plant), "body": {"colour": "x"}}),
        (ValidationFailedError, {"id": po(plant), "body": {"notes": 7}}),
        (ValidationFailedError, {"id": po(plant), "body": {"notes": "x"}, "if_version": "1"}),
        (VersionConflictError, {"id": po(plant), "body": {"notes": "x"}, "if_version": 9}),
    ]
    for kind, fields in cases:
        live = refusal(turn_at(plant, "update_record", **fields), kind)
        tried = refusal(turn_at(plant, "update_record", is_dry=True, **fields), kind)
        assert (live.detail, live.code, live.errors) == (tried.detail, tried.code, tried.errors)
    for is_dry in (False, True):
        sync = sync_of(plant)
        sync.enabled = False
        sync.save(update_fields=["enabled"])
        error = refusal(turn_at(plant, "create_record", is_dry=is_dry, body=NEW), NotSupportedError)
        assert error.code == "ENTITY_NOT_SHARED"
    assert Operation.objects.count() == 0
    assert not StepRun.objects.filter(has_begun=True).exists()


def test_keys_stay_within_what_a_column_holds() -> None:
    short, long = key_of("frun_1", "put", 2), key_of("frun_1", "x" * 600, 2)
    assert short == "flow:frun_1:put:2"
    assert len(long) <= 255
    assert long != key_of("frun_1", "x" * 601, 2)


# --- dry --------------------------------------------------------------------------------------------------------------


def test_a_trial_tells_what_the_live_step_then_does(
    plant: Connection,
    erp_server: TestErpServer,
) -> None:
    fields: dict[str, Any] = {"id": po(plant), "body": {"notes": "Gate 4", "vendor": "7", "description": None}}
    tried = dry(plant, "update_record", **fields)
    assert erp_server.calls == []
    assert Operation.objects.count() == 0
    live = done(turn_at(plant, "update_record", **fields)).output
    assert (tried["operation"], tried["status"], tried["not_applied"]) == (None, "planned", [])
    assert set(tried) - set(live) == {"not_resolved"}
    assert tried["diff"] == live["diff"]
    moved = ("changed_at", "version", "remote_updated_at")
    names = {name for name in live["record"] if name not in moved}
    for name in names - {"vendor"}:
        assert tried["record"][name] == live["record"][name], name
    assert tried["record"]["vendor"]["id"] == live["record"]["vendor"]["id"]


def test_a_trial_of_lines_merges_them_as_the_system_does(
    plant: Connection,
    erp_server: TestErpServer,
) -> None:
    before = [line["id"] for line in erp_server.orders["1"]["lines"]]
    body = {"lines": [{"id": before[0], "quantity": "99"}, {"quantity": 3, "unit": "EA", "description": "Nut"}]}
    tried = dry(plant, "update_record", id=po(plant), body=body)
    live = done(turn_at(plant, "update_record", id=po(plant), body=body)).output
    assert tried["diff"] == live["diff"]
    shown = [[line.get(name) for name in ("quantity", "description")] for line in tried["record"]["lines"]]
    assert shown == [[line.get(name) for name in ("quantity", "description")] for line in live["record"]["lines"]]


def test_a_trial_of_a_create_gives_later_steps_a_record(
    plant: Connection,
    erp_server: TestErpServer,
) -> None:
    tried = dry(plant, "create_record", body={**NEW, "vendor": "unheard of"})
    record = tried["record"]
    assert (record["notes"], record["remote_id"], record["lines"][0]["quantity"]) == ("Gate 3", None, "8")
    assert record["id"].startswith("po_")
    assert tried["not_resolved"] == ["/vendor"]
    context = {"steps": {"made": tried}}
    acted = dry(plant, "act_on_record", context=context, id=record["id"], action="approve")
    assert (acted["record"]["remote_status"], acted["record"]["status"]) == ("open", "ordered")
    changed = dry(plant, "update_record", context=context, id=record["id"], body={"notes": "Gate 5"})
    assert [(found["before"], found["after"]) for found in changed["diff"]] == [("Gate 3", "Gate 5")]
    assert changed["record"]["notes"] == "Gate 5"
    assert erp_server.calls == []
    live = done(turn_at(plant, "create_record", body=NEW)).output
    assert set(live["record"]) == set(record)
    assert dry(plant, "create_record", body=NEW)["diff"] == live["diff"]


def test_a_trial_refers_to_what_another_step_would_make(plant: Connection) -> None:
    vendor = dry(plant, "create_record", entity="vendor", body={"name": "Bolts"})
    order = dry(
        plant, "create_record", context={"steps": {"v": vendor}}, body={**NEW, "vendor": vendor["record"]["id"]}
    )
    assert order["not_resolved"] == ["/vendor"]


def test_a_trial_of_a_delete_and_of_what_the_status_forbids(plant: Connection, erp_server: TestErpServer) -> None:
    assert dry(plant, "delete_record", id=po(plant))["status"] == "planned"
    erp_server.change("orders", "1", status="done")
    assert run_sync(sync_of(plant)).status == "completed"
    erp_server.forget_calls()
    cases: dict[str, dict[str, Any]] = {"delete_record": {}, "act_on_record": {"action": "approve"}}
    for do, more in cases.items():
        live = refusal(turn_at(plant, do, id=po(plant), **more), BusinessRuleError)
        tried = refusal(turn_at(plant, do, is_dry=True, id=po(plant), **more), BusinessRuleError)
        assert (live.code, live.detail) == (tried.code, tried.detail)
    assert erp_server.calls == []


def test_a_trial_opens_no_secret_and_a_connector_that_must_ask_says_so(
    plant: Connection,
    monkeypatch: pytest.MonkeyPatch,
    writing_erp: Any,
) -> None:
    def plan(self: Any, *more: Any) -> Any:
        return self.get(self.url("/units"), {}).json()

    monkeypatch.setattr(writing_erp, "plan", plan)
    monkeypatch.setattr("connections.services.opening.open_secret", lambda *_: pytest.fail("a secret was opened"))
    tried = dry(plant, "update_record", id=po(plant), body={"notes": "Gate 4"})
    assert tried["not_resolved"] == [""]
    assert [found["pointer"] for found in tried["diff"]] == ["/notes"]
    assert tried["record"]["notes"] == "Gate 4"
    assert FlowRun.objects.count() == 1
