"""The same steps for each of some items."""

from __future__ import annotations

from typing import Any

import pytest
from django_scopes import scopes_disabled

from connections.models import Connection
from flows.engine.handlers.flow import FLOW_HANDLERS
from flows.models import FlowRun, StepRun
from syncs.models import Record
from tests.connectors import TestErpServer, erp_connector, erp_server  # noqa: F401
from tests.flow_stage import (
    drain,
    fresh,
    let_pass,
    lose_lease,
    make_flow,
    outputs_of,
    run_flow,
    start,
    statuses_of,
    steps_of,
    work,
)
from tests.syncing import run_sync, sync_of
from tests.writes_stage import connection, po  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("erp_connector")]
HANDLERS: dict[str, Any] = FLOW_HANDLERS  # type: ignore[assignment]


def each(*steps: Any, items: str = "trigger.body", **rest: Any) -> dict[str, Any]:
    inside = steps or ({"name": "twice", "do": "map", "value": {"$": "add(item.n, item.n)"}},)
    return {"name": "each", "do": "for_each", "items": items, "steps": list(inside), **rest}


def items_of(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": f"i{number}", "n": number} for number in numbers]


def test_each_item_is_done_and_told_by_its_key() -> None:
    run = run_flow(
        each(), {"name": "sum", "do": "map", "value": {"$": "sum(steps.each.items[].output)"}}, body=items_of(1, 2)
    )

    assert run.status == "succeeded", run.error
    assert outputs_of(run)["each"] == {
        "items": [
            {"key": "i1", "status": "succeeded", "output": 2, "error": None},
            {"key": "i2", "status": "succeeded", "output": 4, "error": None},
        ],
        "succeeded": 2,
        "failed": 0,
        "skipped": 0,
    }
    assert outputs_of(run)["sum"] == 6
    rows = steps_of(run)
    assert list(rows) == ["each", "each[i1]", "each[i1].twice", "each[i2]", "each[i2].twice", "sum"]
    assert [(row.kind, row.scope, row.name) for row in (rows["each[i1]"], rows["each[i1].twice"])] == [
        ("item", "", "i1"),
        ("map", "each[i1]", "twice"),
    ]
    assert rows["each[i2]"].input == {"item": {"id": "i2", "n": 2}, "index": 1, "item_version": None}
    assert rows["each"].input == {"count": 2}


@pytest.mark.parametrize(
    ("items", "key", "keys"),
    [
        ([{"id": "a"}, {"id": "a"}, {"id": "a#2"}], None, ["a", "a#2", "a#2#2"]),
        ([5, {"x": 1}, None], None, ["0", "1", "2"]),
        ([{"c": "x]["}, {"c": 7}, {"c": None}, {"c": True}], "item.c", ["x)(", "7", "2", "true"]),
        ([{"c": "y" * 300}], "item.c", ["y" * 183 + "~"]),
        ([{"c": 1}, {"c": 2}], "[index, item.c][1]", ["1", "2"]),
        ([{"c": 1}], "join('-', [trigger.kind, to_string(index)])", ["manual-0"]),
    ],
)
def test_items_have_distinct_short_keys(items: Any, key: str | None, keys: list[str]) -> None:
    step = each({"name": "it", "do": "map", "value": 1}, **({"key": key} if key else {}))
    run = run_flow(step, body=items)

    told = [item["key"] for item in outputs_of(run)["each"]["items"]]
    assert len(told) == len(keys) and all(len(one) <= 200 for one in told)
    assert [one[: len(wanted)] for one, wanted in zip(told, keys, strict=True)] == keys
    assert len(told[0]) == len(keys[0]) or keys[0].endswith("~")


def test_an_item_that_fails_does_not_stop_the_others() -> None:
    run = run_flow(each(), body=[*items_of(1), {"id": "bad", "n": "x"}, *items_of(3)])

    assert run.status == "succeeded"
    told = outputs_of(run)["each"]
    assert (told["succeeded"], told["failed"]) == (2, 1)
    assert told["items"][1]["error"]["step"] == "each[bad].twice"
    assert statuses_of(run)["each[bad]"] == "failed"


def test_an_item_that_fails_stops_the_others_where_it_is_to() -> None:
    run = run_flow(each(on_item_error="fail"), body=[*items_of(1), {"id": "bad", "n": "x"}, *items_of(3)])

    assert (run.status, run.error["step"]) == ("failed", "each[bad].twice")
    assert "each[i3]" not in statuses_of(run) and statuses_of(run)["each"] == "failed"


@pytest.mark.parametrize(
    ("items", "rest", "code"),
    [
        ("trigger.nothing", {}, "ITEMS_NOT_A_LIST"),
        ("trigger.body", {"limit": 1}, "TOO_MANY_ITEMS"),
        ("trigger.body", {"key": "length(index)"}, "EXPRESSION_FAILED"),
    ],
)
def test_what_cannot_be_walked_is_a_clear_error(items: str, rest: dict[str, Any], code: str) -> None:
    run = run_flow(each(items=items, **rest), body=items_of(1, 2))

    assert (run.status, run.error["code"], run.error["step"]) == ("failed", code, "each")


def test_for_eaches_stand_within_each_other() -> None:
    inner = {
        "name": "inner",
        "do": "for_each",
        "items": "item.parts",
        "steps": [{"name": "it", "do": "map", "value": {"$": "[item, steps.outer_value]"}}],
    }
    outer_value = {"name": "outer_value", "do": "map", "value": {"$": "item.id"}}
    body = [{"id": "a", "parts": [1, 2]}, {"id": "b", "parts": []}]
    run = run_flow(each(outer_value, inner), body=body)

    assert run.status == "succeeded", run.error
    assert outputs_of(run)["each[a].inner[1].it"] == [2, "a"]
    assert [item["output"]["succeeded"] for item in outputs_of(run)["each"]["items"]] == [2, 0]


def test_a_death_repeats_no_item_that_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    original, seen = HANDLERS["map"], []

    class Died(BaseException):
        pass

    def handler(turn: Any) -> Any:
        seen.append(turn.row.path)
        if len(seen) == 2:
            raise Died
        return original(turn)

    monkeypatch.setitem(HANDLERS, "map", handler)
    run = start(make_flow(each()), items_of(1, 2, 3))
    with pytest.raises(Died):
        work(run)
    lose_lease(run)
    run = drain(run)

    assert run.status == "succeeded"
    assert seen == ["each[i1].twice", "each[i2].twice", "each[i2].twice", "each[i3].twice"]


def test_a_thousand_items_take_as_many_turns_as_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.engine.work.WORK_SECONDS", 0.2)
    run = start(make_flow(each()), items_of(*range(300)))
    turns = 0
    while fresh(run).status == "queued":
        run = work(run)
        turns += 1

    assert (run.status, outputs_of(run)["each"]["succeeded"]) == ("succeeded", 300)
    assert turns > 1


def test_batches_are_apart_and_no_worker_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    run = drain(start(make_flow(each(batch_size=2, delay_seconds=60)), items_of(1, 2, 3, 4)))
    assert (run.status, run.waits_for, run.current_step) == ("waiting", "time", "each")
    assert _done(run) == 2

    let_pass(run, 61)
    run = drain(run)
    assert (run.status, _done(run)) == ("succeeded", 4)


def test_a_dry_run_makes_no_pauses() -> None:
    run = run_flow(each(batch_size=1, delay_seconds=60), body=items_of(1, 2), is_dry=True)
    assert run.status == "succeeded"


def _done(run: FlowRun) -> int:
    return sum(1 for path, status in statuses_of(run).items() if path.endswith("]") and status == "succeeded")


def test_outputs_that_are_too_large_together_are_left_out() -> None:
    big = {"name": "big", "do": "map", "value": {"$": "[item.text, item.text]"}}
    run = run_flow(each(big), body=[{"id": f"i{n}", "text": "x" * 30_000} for n in range(6)])

    told = outputs_of(run)["each"]
    assert (run.status, told["outputs_left_out"], told["succeeded"]) == ("succeeded", True, 6)
    assert told["items"][0] == {"key": "i0", "status": "succeeded", "error": None}
    assert outputs_of(run)["each[i3].big"] == ["x" * 30_000] * 2


@pytest.mark.django_db(transaction=True)
def test_records_are_read_again_when_their_turn_comes(connection: Connection, erp_server: TestErpServer) -> None:
    listing = {"name": "orders", "do": "list_records", "connection": "erp", "entity": "purchase_order"}
    step = each(
        {"name": "version", "do": "map", "value": {"$": "[item.version, item_version]"}},
        items="sort_by(steps.orders.records, &remote_id)",
        batch_size=1,
        delay_seconds=60,
    )
    run = drain(start(make_flow(listing, step, erp=connection)))
    kept = steps_of(run)["each"].state["items"]
    assert [set(entry) for entry in kept] == [{"key", "id", "version"}] * 2
    assert kept[1]["key"] == po(connection, "2")

    with scopes_disabled():
        was = Record.objects.get(connection_id=connection.pk, entity="purchase_order", remote_id="2").version
    erp_server.change("orders", "2", notes="changed")
    run_sync(sync_of(connection))
    let_pass(run, 61)
    run = drain(run)

    assert run.status == "succeeded", run.error
    first, second = outputs_of(run)["each"]["items"]
    assert (second["output"], first["status"]) == ([was + 1, was], "succeeded")


def test_a_record_that_is_gone_is_passed_by(connection: Connection, erp_server: TestErpServer) -> None:
    listing = {"name": "orders", "do": "list_records", "connection": "erp", "entity": "purchase_order"}
    step = each(
        {"name": "it", "do": "map", "value": {"$": "item.id"}},
        items="sort_by(steps.orders.records, &remote_id)",
        batch_size=1,
        delay_seconds=60,
    )
    run = drain(start(make_flow(listing, step, erp=connection)))
    with scopes_disabled():
        Record.objects.filter(connection_id=connection.pk, remote_id="2").delete()
    let_pass(run, 61)
    run = drain(run)

    told = outputs_of(run)["each"]
    assert (run.status, told["succeeded"], told["skipped"]) == ("succeeded", 1, 1)
    assert told["items"][1]["error"]["code"] == "RECORD_GONE"


def test_records_of_other_connections_are_plain_items(connection: Connection) -> None:
    item = {"id": po(connection, "1"), "version": 1, "notes": "as it came"}
    run = run_flow(each({"name": "it", "do": "map", "value": {"$": "item.notes"}}), body=[item])

    assert outputs_of(run)["each"]["items"][0]["output"] == "as it came"


def test_only_the_present_item_is_held(django_assert_max_num_queries: Any) -> None:
    run = start(make_flow(each()), items_of(*range(50)))
    with django_assert_max_num_queries(50 * 30):
        run = work(run)
    assert run.status == "succeeded"
    with scopes_disabled():
        assert StepRun.objects.filter(run=run).count() == 101
