"""After a mapping is published: what is stored is mapped anew, told, and brought back; custom fields are written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from connections.services import set_mapping
from connections.services.mapping_versions import restore_version
from integrations.simulators.kit.server import Simulator
from syncs import ticks
from syncs.choices import Mode
from syncs.engine.run import execute_run
from syncs.models import Sync, SyncRun
from syncs.services.remap_progress import remap_progress
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.operating import UPDATE, cmms, plant, wanted, worked  # noqa: F401
from tests.syncing import copy_of, events_of, record_events, run_sync, sync_of

pytestmark = [pytest.mark.django_db(transaction=True)]
ENTITY = "purchase_order"
FROM_NOTES = [{"target": "description", "source": "notes"}]
BROKEN = [{"target": "order_date", "source": "number"}]


@pytest.fixture
def sync(erp_connector: Any, erp_server: TestErpServer) -> Iterator[Sync]:
    erp_server.add_orders(30, notes="Spare parts for the cooling pumps")
    for number in (1001, 1002, 1003):
        erp_server.change("orders", str(number), notes=f"Keep {number} dry")
    found = sync_of(connect(erp_server))
    run_sync(found)
    erp_server.forget_calls()
    with scope(workspace=found.workspace_id):
        yield found


def state(sync: Sync) -> str:
    return remap_progress(sync.connection, ENTITY).state


def remap(sync: Sync) -> SyncRun:
    """What the tick and a worker do."""
    with scopes_disabled():
        assert ticks.notice_mapping_changes() == 1
        ticks.dispatch_due_syncs()
        run: SyncRun = SyncRun.objects.filter(sync=sync).order_by("-created_at")[0]
        assert (run.mode, run.status) == (Mode.REMAP, "queued")
        assert state(sync) == "running"
        execute_run(run.pk)
        run.refresh_from_db()
    return run


def test_remap_asks_nothing_and_tells_only_what_changed(sync: Sync, erp_server: TestErpServer) -> None:
    assert state(sync) == "applied"
    before = len(events_of(sync))
    set_mapping(sync.connection, ENTITY, FROM_NOTES, by="ann")
    assert state(sync) == "due"

    run = remap(sync)

    assert (run.status, run.updated_count, state(sync)) == ("completed", 3, "applied")
    told = [event for event in events_of(sync)[before:] if event["type"].startswith("record.")]
    assert [(event["type"], event["reason"], len(event["data"]["ids"])) for event in told] == [("record.updated", "remap", 3)]  # fmt: skip
    assert copy_of(sync).live["1001"]["description"] == "Keep 1001 dry"
    assert not erp_server.calls
    with scopes_disabled():
        assert ticks.notice_mapping_changes() == 0


def test_roll_back_brings_the_copy_back_the_same_way(sync: Sync, erp_server: TestErpServer) -> None:
    first = copy_of(sync).live
    set_mapping(sync.connection, ENTITY, FROM_NOTES, by="ann")
    remap(sync)
    restore_version(sync.connection, ENTITY, 0, by="ann", base_version=1)

    run = remap(sync)

    assert (run.status, run.updated_count) == ("completed", 3)
    assert copy_of(sync).live == first
    assert sorted(record_events(sync).values())[-3:] == [2, 2, 2], "there and back again"
    assert not erp_server.calls


def test_roll_back_after_a_mapping_that_fails_waits_for_no_hour(sync: Sync, erp_server: TestErpServer) -> None:
    first = copy_of(sync).live
    set_mapping(sync.connection, ENTITY, BROKEN, by="ann")
    failed = remap(sync)
    assert (failed.status, failed.error and failed.error["code"], state(sync)) == ("failed", "MAPPING_FAILED", "failed")
    assert copy_of(sync).live == first and len(copy_of(sync).quarantined) == 30
    with scopes_disabled():
        assert ticks.notice_mapping_changes() == 0, "the same versions are not tried again at once"

    restore_version(sync.connection, ENTITY, 0, by="ann")
    run = remap(sync)

    assert (run.status, state(sync)) == ("completed", "applied")
    assert copy_of(sync).live == first and not copy_of(sync).quarantined
    assert not erp_server.calls


def test_title_of_a_custom_field_when_changed_tells_nobody(sync: Sync) -> None:
    rows = [{"target": "custom.gate", "source": "notes", "title": "Gate"}]
    set_mapping(sync.connection, ENTITY, rows, by="ann")
    remap(sync)
    before = record_events(sync)
    set_mapping(sync.connection, ENTITY, [{**rows[0], "title": "Dock"}], by="ann")

    assert remap(sync).updated_count == 0
    assert record_events(sync) == before


def test_progress_before_the_first_sync_says_so(erp_connector: Any, erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    with scope(workspace=connection.workspace_id):
        progress = remap_progress(connection, ENTITY)

    assert (progress.state, progress.first_sync, progress.run) == ("none", True, None)


# --- custom fields, written ------------------------------------------------------------------------------------------

CUSTOM: list[dict[str, Any]] = [
    {"target": "custom.cost_center", "source": 'extraFields."Cost center"', "title": "Cost center", "type": "text"},
    {"target": "custom.line_speed", "source": 'extraFields."Line speed"', "type": "integer"},
    {"target": "custom.spelled", "source": "name", "transforms": [{"name": "split", "separator": " "}]},
]


@pytest.fixture
def mapped(plant: Connection, cmms: Simulator) -> Connection:
    with scope(workspace=plant.workspace_id):
        set_mapping(plant, "asset", CUSTOM, by="ann")
    run_sync(sync_of(plant, "asset"), rounds=3)
    return plant


def test_custom_fields_of_the_cmms_are_read_written_and_taken_away(mapped: Connection, cmms: Simulator) -> None:
    row = next(row for row in cmms.control.objects("assets") if row["extraFields"].get("Cost center"))
    remote_id = str(row["id"])
    assert (
        copy_of(sync_of(mapped, "asset")).live[remote_id]["custom"]["cost_center"] == row["extraFields"]["Cost center"]
    )

    body = {"custom": {"cost_center": "CC-9", "line_speed": 120}}
    done = worked(wanted(mapped, "asset", UPDATE, body, remote_id=remote_id))

    assert (done.status, done.error, done.not_applied) == ("succeeded", None, [])
    there = next(one for one in cmms.control.objects("assets") if one["id"] == row["id"])
    assert there["extraFields"] == {**row["extraFields"], "Cost center": "CC-9", "Line speed": "120"}
    assert copy_of(sync_of(mapped, "asset")).live[remote_id]["custom"]["line_speed"] == 120

    gone = worked(wanted(mapped, "asset", UPDATE, {"custom": {"line_speed": None}}, remote_id=remote_id))
    assert (gone.status, gone.not_applied) == ("succeeded", [])
    there = next(one for one in cmms.control.objects("assets") if one["id"] == row["id"])
    assert "Line speed" not in there["extraFields"]


def test_custom_fields_say_what_they_take(mapped: Connection) -> None:
    from connections.services import card_of, write_schema

    with scope(workspace=mapped.workspace_id):
        schema = write_schema(card_of(mapped, "asset"), "update")["properties"]["custom"]["properties"]

    assert schema["cost_center"]["title"] == "Cost center" and "string" in schema["cost_center"]["type"]
    assert schema["line_speed"]["type"] == ["integer", "null"]
    assert schema["spelled"]["readOnly"] and "no one place" in schema["spelled"]["x-reason"]
