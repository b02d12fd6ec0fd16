"""What a sync does after a cancel, an outage, a limit, and where an entity is not on offer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django_scopes import scopes_disabled

from connections.models import Connection
from connections.services import check_connection, record_success, record_trouble
from core.errors import NotSupportedError, TransientError
from integrations.sdk.declarations import Limits
from syncs import ticks
from syncs.choices import Mode, Trigger
from syncs.models import RunPage, Sync, SyncRun
from syncs.services import cancel_run, request_run, sync_status, update_sync
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import copy_of, event_types, record_events, run_sync, sync_of
from tests.tenants import api, make_token
from workspaces.choices import Scope

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    erp_server.page_size = 10
    return connect(erp_server, page_size=10)


def due(sync: Sync) -> bool:
    sync.refresh_from_db()
    return sync.next_run_at <= datetime.now(UTC)


def test_cancelled_run_when_the_tick_comes_then_it_does_not_begin_again(connection, erp_server) -> None:
    sync = sync_of(connection)
    with scopes_disabled():
        Sync.objects.exclude(pk=sync.pk).update(enabled=False)
        run = request_run(sync, Mode.INCREMENTAL, trigger=Trigger.API).run
        cancel_run(run)
        assert ticks.dispatch_due_syncs() == 0 and not due(sync)


def test_sweep_when_the_budget_ends_midway_then_it_goes_on_behind_what_it_confirmed(
    connection, erp_server, erp_connector, monkeypatch
) -> None:
    """Two calls at a time: fourteen suspects need several claims, and none is asked for twice."""
    erp_server.add_orders(100)
    sync = sync_of(connection)
    run_sync(sync)
    gone = [str(number) for number in range(1001, 1015)]
    hidden = erp_server.orders["1020"]
    erp_server.delete("orders", *gone, "1020")
    original = erp_server.answer
    erp_server.answer = lambda call: (
        ("200 OK", {}, __import__("json").dumps(hidden).encode()) if call.path == "/orders/1020" else original(call)
    )
    monkeypatch.setattr(erp_connector, "limits", Limits(page_size=500, per_minute=1200, reserve_for_operations=0))
    taken = {"calls": 0}

    def take_call(connection: Any, limits: Any) -> float:
        taken["calls"] += 1
        return 0.001 if taken["calls"] % 3 == 0 else 0.0

    monkeypatch.setattr("syncs.engine.walk.take_call", take_call)
    erp_server.forget_calls()
    run = run_sync(sync, "full", rounds=40)
    assert (run.status, run.deleted_count) == ("completed", 14)
    asked = [call.path for call in erp_server.calls_to("/orders/")]
    assert sorted(asked) == sorted(f"/orders/{number}" for number in [*gone, "1020"])
    assert copy_of(sync).deleted == set(gone)
    assert sum(n for (kind, _), n in record_events(sync).items() if kind == "record.deleted") == 14
    with scopes_disabled():
        assert not RunPage.objects.exists()


def test_failed_syncs_when_the_connection_comes_back_then_they_are_due_at_once(
    connection, erp_server, settings
) -> None:
    settings.SYNC_RETRY_SECONDS = []
    erp_server.add_orders(3)
    sync = sync_of(connection)
    erp_server.fail("http_500")
    assert run_sync(sync).status == "failed" and not due(sync)
    for _ in range(5):
        record_trouble(connection.pk, connection.workspace_id, TransientError("down"))
    connection.refresh_from_db()
    assert connection.health == "offline" and ticks.resume_after_recovery() == 0
    erp_server.heal()
    for _ in range(2):
        record_success(connection.pk, connection.workspace_id)
    assert ticks.resume_after_recovery() == 1 and due(sync)
    assert run_sync(sync).status == "completed"
    assert ticks.resume_after_recovery() == 0


def test_needs_reauth_when_signed_in_again_then_the_sync_goes_on_at_once(connection, erp_server) -> None:
    erp_server.add_orders(3)
    sync = sync_of(connection)
    erp_server.api_key = "changed"
    assert run_sync(sync).status == "failed"
    erp_server.api_key = "correct-horse-battery-staple"
    connection.refresh_from_db()
    with scopes_disabled():
        assert check_connection(connection, by="test").ok
    assert ticks.resume_after_recovery() == 1 and due(sync)
    assert run_sync(sync).status == "completed"


def test_entity_when_this_instance_lacks_it_then_it_is_422_and_spoils_no_status(
    connection, erp_server, erp_connector, monkeypatch
) -> None:
    erp_server.add_orders(3)
    orders, vendors = sync_of(connection), sync_of(connection, "vendor")
    original = erp_connector.fetch_page

    def fetch_page(self: Any, resource: Any, window: Any, position: Any) -> Any:
        if resource.spec.name == "vendor":
            raise NotSupportedError("The module for vendors is not installed there.")
        return original(self, resource, window, position)

    monkeypatch.setattr(erp_connector, "fetch_page", fetch_page)
    assert run_sync(vendors).status == "failed"
    assert run_sync(orders).status == "completed"
    with scopes_disabled():
        (status,) = sync_status([connection])
    assert status.status == "completed" and [entity.entity for entity in status.entities] == ["purchase_order"]
    assert status.last_successful_sync_at is not None
    assert event_types(orders)["connection.initial_sync_completed"] == 1
    client = api(make_token(connection.workspace, scopes=[Scope.RECORDS_READ], connection_id=connection.pk)[1])
    answer = client.get("/api/v1/vendors")
    assert (answer.status_code, answer.json()["code"]) == (422, "OPERATION_NOT_SUPPORTED")
    vendors.refresh_from_db()
    assert vendors.next_run_at - datetime.now(UTC) > timedelta(hours=23)
    monkeypatch.setattr(erp_connector, "fetch_page", original)
    assert run_sync(vendors).status == "completed"
    assert client.get("/api/v1/vendors").status_code == 200


def test_history_when_widened_later_then_a_full_run_fetches_it_and_older_copies_are_not_judged(
    connection, erp_server, erp_connector, monkeypatch
) -> None:
    resource = replace(erp_connector.purchase_orders, open_values=())
    monkeypatch.setattr(erp_connector, "purchase_orders", resource)
    now = datetime.now(UTC).replace(microsecond=0)
    for days in (1, 50, 120, 400):
        stamp = (now - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        erp_server.add_orders(1, first=days, created_at=stamp, updated_at=stamp, status="done")
    sync = sync_of(connection)
    run_sync(sync)
    assert set(copy_of(sync).live) == {"1", "50"}
    with scopes_disabled():
        update_sync(sync, history_days=200)
        sync.refresh_from_db()
        assert sync.requested_mode == "full"
        assert ticks.dispatch_due_syncs() >= 1
        run = SyncRun.objects.get(sync=sync, status="queued")
    from syncs.engine.run import execute_run

    execute_run(run.pk)
    assert set(copy_of(sync).live) == {"1", "50", "120"}
    with scopes_disabled():
        update_sync(sync, history_days=30)
    narrow = run_sync(sync, "full")
    assert (narrow.status, narrow.deleted_count) == ("completed", 0)
    assert set(copy_of(sync).live) == {"1", "50", "120"}


def test_all_synced_when_the_last_entity_turns_out_not_to_be_on_offer_then_it_is_told_once(
    connection, erp_server, erp_connector, monkeypatch
) -> None:
    erp_server.add_orders(3)
    orders, vendors = sync_of(connection), sync_of(connection, "vendor")
    run_sync(orders)
    assert event_types(orders)["connection.initial_sync_completed"] == 0

    def fetch_page(*_: Any) -> Any:
        raise NotSupportedError("The module for vendors is not installed there.")

    monkeypatch.setattr(erp_connector, "fetch_page", fetch_page)
    for _ in range(2):
        assert run_sync(vendors).status == "failed"
    assert event_types(orders)["connection.initial_sync_completed"] == 1


def test_worker_when_it_looked_before_another_moved_the_run_on_then_it_goes_on_from_there(
    connection, erp_server, settings, monkeypatch
) -> None:
    """The row is read before it is claimed; what counts is what it says afterwards."""
    from syncs.engine import run as engine

    erp_server.add_orders(35)
    sync = sync_of(connection)
    run_sync(sync)
    with scopes_disabled():
        run = request_run(sync, Mode.FULL, trigger=Trigger.API).run
    settings.SYNC_WORK_BUDGET_SECONDS = 0
    claim = engine._claim
    others: list[int] = []

    def claim_after_another(stale: Any) -> Any:
        if not others:
            others.append(1)
            engine.execute_run(run.pk)  # a page of work, then the run is free again
        return claim(stale)

    monkeypatch.setattr(engine, "_claim", claim_after_another)
    engine.execute_run(run.pk)
    monkeypatch.undo()
    for _ in range(6):
        engine.execute_run(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error, run.read_count, run.deleted_count) == ("completed", None, 35, 0)


def test_full_when_one_missing_object_is_refused_then_it_lives_and_the_run_completes(connection, erp_server) -> None:
    erp_server.add_orders(30)
    sync = sync_of(connection)
    run_sync(sync)
    erp_server.delete("orders", "1003", "1004")
    erp_server.fail("http_403", on="/orders/1003")
    run = run_sync(sync, "full")
    assert (run.status, run.deleted_count) == ("completed", 1)
    assert copy_of(sync).deleted == {"1004"}


def test_pause_when_a_run_waits_then_it_ends_and_resuming_begins_at_once(connection, erp_server) -> None:
    from syncs.services import pause_sync, resume_sync

    erp_server.add_orders(3)
    sync = sync_of(connection)
    erp_server.fail("http_429", on="/orders", times=1)
    run = run_sync(sync)
    assert run.status == "waiting"
    with scopes_disabled():
        pause_sync(sync)
        run.refresh_from_db()
        assert run.status == "cancelled"
        resume_sync(sync)
    assert due(sync) and run_sync(sync).status == "completed"


def test_wish_when_its_run_ended_and_a_weaker_one_is_asked_for_then_the_stronger_begins(connection, erp_server) -> None:
    from syncs.engine.run import execute_run

    erp_server.add_orders(3)
    sync = sync_of(connection)
    run_sync(sync)
    with scopes_disabled():
        first = request_run(sync, Mode.INCREMENTAL, trigger=Trigger.API).run
        request_run(sync, Mode.FULL, trigger=Trigger.API)
        execute_run(first.pk)
        assert request_run(sync, Mode.INCREMENTAL, trigger=Trigger.API).run.mode == "full"


def test_incremental_when_the_first_sync_showed_nothing_then_it_does_not_fetch_all_history(
    connection, erp_server, erp_connector, monkeypatch
) -> None:
    monkeypatch.setattr(erp_connector, "purchase_orders", replace(erp_connector.purchase_orders, open_values=()))
    sync = sync_of(connection)
    run_sync(sync)
    erp_server.add_orders(2, created_at="2020-01-01T00:00:00Z", updated_at="2020-01-01T00:00:00Z")
    run = run_sync(sync)
    assert (run.status, run.read_count) == ("completed", 0)


def test_review_when_decided_then_its_error_is_told_no_longer(connection, erp_server) -> None:
    from syncs.choices import Review
    from syncs.services import review_run

    erp_server.add_orders(30)
    sync = sync_of(connection)
    run_sync(sync)
    erp_server.fail("empty_list", on="/orders")
    run = run_sync(sync, "full")
    with scopes_disabled():
        assert sync_status([connection])[0].errors
        review_run(run, Review.RELEASED, by="test")
        assert not sync_status([connection])[0].errors
