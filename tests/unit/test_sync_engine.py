"""The sync engine against a real HTTP server: what arrives, what is told, what is held back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection as database
from django_scopes import scopes_disabled

from connections.models import Connection
from connections.services import set_mapping
from core.errors import AuthError, ConflictError
from syncs import ticks
from syncs.choices import Mode, Review, Trigger
from syncs.models import Record, RunPage, Suspect, SyncRun
from syncs.packing import unpack
from syncs.services import cancel_run, request_run, review_run, sync_status
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import copy_of, due_now, event_types, record_events, run_sync, sync_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    erp_server.page_size = 10
    return connect(erp_server, page_size=10)


def later(server: TestErpServer, minutes: int) -> None:
    server.clock = (server.clock or datetime.now(UTC)) + timedelta(minutes=minutes)


def test_initial_when_pages_are_walked_then_every_record_and_event_once(connection, erp_server):
    erp_server.add_orders(35)
    sync = sync_of(connection)
    run = run_sync(sync)
    assert (run.status, run.mode, run.page_no, run.error) == ("completed", "initial", 4, None)
    assert (run.read_count, run.created_count, run.total) == (35, 35, 35)
    copy = copy_of(sync)
    assert len(copy.live) == 35 and not copy.quarantined
    order = copy.live["1001"]
    assert order["status"] == "ordered" and order["remote_status"] == "open"
    assert order["vendor"]["remote_id"] == "7" and order["vendor"]["id"].startswith("ven_")
    assert order["lines"][0]["quantity"] == "8" and order["lines"][0]["unit"] == "EA"
    assert set(record_events(sync).values()) == {1} and len(record_events(sync)) == 35
    sync.refresh_from_db()
    assert sync.initial_completed_at and sync.cursor and sync.data_as_of and sync.next_run_at > sync.last_success_at
    assert event_types(sync)["sync.completed"] == 1


def test_second_run_when_nothing_changed_then_nothing_is_written(connection, erp_server):
    erp_server.add_orders(25)
    sync = sync_of(connection)
    run_sync(sync)
    before = copy_of(sync), record_events(sync)
    for mode in ("incremental", "full"):
        run = run_sync(sync, mode)
        assert (run.status, run.created_count, run.updated_count, run.deleted_count) == ("completed", 0, 0, 0)
        assert run.unchanged_count == run.read_count == 25
    assert (copy_of(sync), record_events(sync)) == before


def test_incremental_when_some_changed_then_only_those_are_asked_for_and_written(connection, erp_server):
    erp_server.clock = datetime(2026, 11, 1, 7, 0, tzinfo=UTC)
    erp_server.add_orders(30)
    later(erp_server, 60)
    erp_server.change("orders", "1006", status="draft")
    sync = sync_of(connection)
    run_sync(sync)
    later(erp_server, 60)
    erp_server.change("orders", "1005", status="done")
    erp_server.add_orders(1, first=2000)
    erp_server.forget_calls()
    run = run_sync(sync)
    assert (run.mode, run.read_count, run.updated_count, run.created_count) == ("incremental", 3, 1, 1)
    asked = erp_server.calls_to("/orders")[0].parameters["updated_since"]
    assert asked == "2026-11-01T07:50:00Z"  # the cursor less the overlap of ten minutes
    copy = copy_of(sync)
    assert copy.live["1005"]["status"] == "received" and copy.versions["1005"] == 2
    sync.refresh_from_db()
    assert sync.cursor == datetime(2026, 11, 1, 9, 0, tzinfo=UTC)


def test_touch_when_unified_form_is_the_same_then_raw_is_renewed_without_version_or_event(connection, erp_server):
    erp_server.clock = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
    erp_server.add_orders(1)
    sync = sync_of(connection)
    run_sync(sync)
    later(erp_server, 60)
    erp_server.change("orders", "1001", internal_flag="x")
    told = record_events(sync)
    run = run_sync(sync)
    assert (run.updated_count, run.unchanged_count) == (0, 1)
    copy = copy_of(sync)
    assert copy.versions["1001"] == 1 and copy.live["1001"]["remote_updated_at"] == "2026-11-01T09:00:00Z"
    assert record_events(sync) == told
    with scopes_disabled():
        raw = Record.objects.get(remote_id="1001", connection=connection).raw
        assert b"internal_flag" in unpack([bytes(raw)], connection_id=connection.pk)[0]


def test_full_when_few_vanished_then_each_is_confirmed_and_tombstoned(connection, erp_server):
    erp_server.add_orders(30)
    sync = sync_of(connection)
    run_sync(sync)
    erp_server.delete("orders", "1003", "1004")
    run = run_sync(sync, "full")
    assert (run.status, run.deleted_count) == ("completed", 2)
    assert copy_of(sync).deleted == {"1003", "1004"}
    assert event_types(sync)["record.deleted"] == 1
    again = run_sync(sync, "full")
    assert again.deleted_count == 0 and event_types(sync)["record.deleted"] == 1
    erp_server.put("orders", {**erp_server.orders["1002"], "id": "1003"})
    back = run_sync(sync, "full")
    assert back.updated_count == 1 and not copy_of(sync).deleted - {"1004"}
    assert copy_of(sync).versions["1003"] == 3
    with scopes_disabled():
        assert not RunPage.objects.exists()


def test_full_when_a_missing_one_answers_alone_then_it_lives(connection, erp_server):
    """A list that leaves out a record which can still be read did not delete it."""
    erp_server.add_orders(12)
    sync = sync_of(connection)
    run_sync(sync)
    hidden = erp_server.orders["1002"]
    erp_server.delete("orders", "1002")
    original = erp_server.answer
    erp_server.answer = lambda call: (  # type: ignore[method-assign]
        ("200 OK", {}, __import__("json").dumps(hidden).encode()) if call.path == "/orders/1002" else original(call)
    )
    run = run_sync(sync, "full")
    assert (run.status, run.deleted_count) == ("completed", 0)
    assert "1002" in copy_of(sync).live


@pytest.mark.parametrize("how", ["half_vanished", "empty_list"])
def test_full_when_too_much_vanished_then_it_is_held_and_a_person_decides(connection, erp_server, how):
    erp_server.add_orders(40)
    sync = sync_of(connection)
    run_sync(sync)
    run_sync(sync_of(connection, "vendor"))
    if how == "empty_list":
        erp_server.fail("empty_list", on="/orders")
    else:
        erp_server.delete("orders", *[str(number) for number in range(1001, 1021)])
    run = run_sync(sync, "full")
    assert run.status == "needs_review" and run.error["code"] == "DELETIONS_NEED_REVIEW"
    assert len(copy_of(sync).live) == 40
    with scopes_disabled():
        suspects = Suspect.objects.filter(run=run).count()
        assert suspects == (40 if how == "empty_list" else 20)
        assert sync_status([connection])[0].status == "needs_review"
    assert event_types(sync)["sync.needs_review"] == 1
    erp_server.heal()
    assert run_sync(sync, "incremental").status == "completed"  # incremental runs go on
    with scopes_disabled():
        if how == "empty_list":
            review_run(run, Review.RELEASED, by="test")
            assert len(copy_of(sync).live) == 40
        else:
            review_run(run, Review.DELETED, by="test")
            assert len(copy_of(sync).deleted) == 20
            assert sum(n for (kind, _), n in record_events(sync).items() if kind == "record.deleted") == 20
        with pytest.raises(ConflictError):
            review_run(run, Review.RELEASED, by="test")
        assert sync_status([connection])[0].status == "completed"


def test_review_when_a_suspect_came_back_meanwhile_then_deleting_spares_it(connection, erp_server):
    erp_server.add_orders(40)
    sync = sync_of(connection)
    run_sync(sync)
    kept = {number: erp_server.orders[str(number)] for number in range(1001, 1021)}
    erp_server.delete("orders", *map(str, kept))
    run = run_sync(sync, "full")
    erp_server.put(
        "orders", {**kept[1001], "notes": "back again", "updated_at": None} | {"updated_at": "2027-01-01T00:00:00Z"}
    )
    run_sync(sync)
    with scopes_disabled():
        review_run(run, Review.DELETED, by="test")
    assert len(copy_of(sync).deleted) == 19 and "1001" in copy_of(sync).live


def test_full_when_entity_cannot_be_read_alone_then_two_runs_in_a_row_delete(
    connection, erp_server, monkeypatch, erp_connector
):
    from dataclasses import replace

    monkeypatch.setattr(erp_connector, "vendors", replace(erp_connector.vendors, detail=""))
    erp_server.add_vendors(30)
    sync = sync_of(connection, "vendor")
    run_sync(sync)
    erp_server.delete("vendors", "3")
    assert run_sync(sync, "full").deleted_count == 0
    assert run_sync(sync, "full").deleted_count == 1
    assert copy_of(sync).deleted == {"3"}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("nul", "NUL_CHARACTER"),
        ("lone_surrogate", "UNREADABLE_OBJECT"),
        ("long_id", "REMOTE_ID_TOO_LONG"),
        ("bad_amount", "MAPPING_FAILED"),
        ("missing_id", "NO_REMOTE_ID"),
    ],
)
def test_page_when_one_row_is_bad_then_it_is_set_aside_and_the_others_arrive(connection, erp_server, fault, code):
    erp_server.add_orders(9)
    sync = sync_of(connection)
    erp_server.fail(fault, on="/orders")
    run = run_sync(sync)
    assert (run.status, run.quarantined_count, run.created_count) == ("completed", 1, 8)
    assert list(copy_of(sync).quarantined.values()) == [code]
    erp_server.heal()
    run = run_sync(sync, "full")
    assert run.status == "completed" and len(copy_of(sync).live) == 9
    assert not copy_of(sync).quarantined and not copy_of(sync).deleted


def test_duplicates_in_a_page_then_one_record_one_event(connection, erp_server):
    erp_server.add_orders(5)
    sync = sync_of(connection)
    erp_server.fail("duplicate_ids", on="/orders")
    run = run_sync(sync)
    assert (run.status, run.created_count) == ("completed", 5)
    assert set(record_events(sync).values()) == {1}


def test_mapping_when_it_fails_for_most_then_the_run_fails(connection, erp_server):
    erp_server.add_orders(30, total="twelve")
    sync = sync_of(connection)
    run = run_sync(sync)
    assert run.status == "failed" and run.error["code"] == "MAPPING_FAILED"
    assert event_types(sync)["sync.failed"] == 1


def test_database_when_it_refuses_a_row_then_only_that_one_is_set_aside(connection, erp_server):
    erp_server.add_orders(8)
    sync = sync_of(connection)
    with database.cursor() as cursor:
        cursor.execute("ALTER TABLE syncs_record ADD CONSTRAINT refused CHECK (remote_id <> '1003')")
        try:
            run = run_sync(sync)
        finally:
            cursor.execute("ALTER TABLE syncs_record DROP CONSTRAINT refused")
    assert (run.status, run.quarantined_count) == ("completed", 1) and len(copy_of(sync).live) == 7
    assert copy_of(sync).quarantined == {"1003": "DATABASE_REFUSED"}
    assert set(record_events(sync).values()) == {1} and len(record_events(sync)) == 7
    assert run_sync(sync, "full").created_count == 1 and not copy_of(sync).quarantined


@pytest.mark.parametrize(
    ("fault", "code", "who"),
    [
        ("http_500", "UPSTREAM_UNAVAILABLE", "source"),
        ("html", "UNEXPECTED_ANSWER", "source"),
        ("not_json", "UNEXPECTED_ANSWER", "source"),
        ("truncated", "ANSWER_CUT_OFF", "source"),
    ],
)
def test_trouble_when_it_passes_then_the_same_run_goes_on_where_it_was(connection, erp_server, fault, code, who):
    erp_server.add_orders(30)
    sync = sync_of(connection)
    erp_server.fail(fault, on="/orders", skip=1, times=2)
    with scopes_disabled():
        run = request_run(sync, Mode.INCREMENTAL, trigger=Trigger.API).run
        from syncs.engine.run import execute_run

        execute_run(run.pk)
        run.refresh_from_db()
        assert (run.status, run.page_no) == ("waiting", 1)
        assert (run.error["code"], run.error["who_must_act"]) == (code, who)
        status = sync_status([connection])[0]
        assert status.status == "in_progress" and status.errors[0]["code"] == code
        for _ in range(3):
            due_now(run)
            execute_run(run.pk)
        run.refresh_from_db()
    assert (run.status, run.error, run.read_count) == ("completed", None, 30)
    assert set(record_events(sync).values()) == {1} and len(record_events(sync)) == 30


def test_trouble_when_it_lasts_then_the_run_fails_and_the_next_is_planned_later(connection, erp_server, settings):
    settings.SYNC_RETRY_SECONDS = [1, 1]
    erp_server.add_orders(3)
    sync = sync_of(connection)
    erp_server.fail("http_500")
    run = run_sync(sync, rounds=10)
    assert (run.status, run.error["code"]) == ("failed", "UPSTREAM_UNAVAILABLE")
    with scopes_disabled():
        assert sync_status([connection])[0].status == "failed"
    erp_server.heal()
    assert run_sync(sync).status == "completed"


def test_rate_limit_when_told_then_the_run_waits_as_long_without_a_worker(connection, erp_server):
    erp_server.add_orders(12)
    erp_server.retry_after = "7"
    sync = sync_of(connection)
    erp_server.fail("http_429", on="/orders", times=1)
    run = run_sync(sync)
    assert run.status == "waiting" and run.error["code"] == "RATE_LIMIT_EXCEEDED"
    assert timedelta(seconds=4) < run.due_at - datetime.now(UTC) < timedelta(seconds=8)
    assert run.lease_until is None and run.claims_without_progress == 0
    due_now(run)
    assert run_sync(sync).status == "completed"


def test_wrong_password_then_needs_reauth_once_and_no_further_call(connection, erp_server):
    erp_server.add_orders(3)
    sync = sync_of(connection)
    erp_server.api_key = "changed"
    run = run_sync(sync)
    assert (run.status, run.error["code"], run.error["who_must_act"]) == ("failed", "AUTHENTICATION_FAILED", "customer")
    connection.refresh_from_db()
    assert connection.status == "needs_reauth"
    assert event_types(sync)["connection.needs_reauth"] == 1
    erp_server.forget_calls()
    with scopes_disabled():
        with pytest.raises(AuthError):
            request_run(sync, Mode.INCREMENTAL, trigger=Trigger.API)
        assert sync_status([connection])[0].status == "needs_reauth"
    assert ticks.dispatch_due_syncs() == 0 and not erp_server.calls


def test_page_token_when_it_expires_then_the_same_window_starts_again(connection, erp_server):
    erp_server.add_orders(30)
    sync = sync_of(connection)
    erp_server.fail("http_410", on="/orders", skip=2, times=1)
    run = run_sync(sync)
    assert (run.status, run.restarts, run.read_count) == ("completed", 1, 30)
    assert set(record_events(sync).values()) == {1}


def test_page_token_when_it_repeats_then_the_run_stops(connection, erp_server, settings):
    settings.SYNC_RETRY_SECONDS = []
    erp_server.add_orders(30)
    sync = sync_of(connection)
    erp_server.fail("repeated_token", on="/orders")
    run = run_sync(sync)
    assert run.status == "failed" and run.error["code"] == "PAGING_STUCK"
    assert len(erp_server.calls_to("/orders")) <= 4


def test_mapping_when_a_row_changes_then_a_remap_without_a_call_and_events_for_what_differs(connection, erp_server):
    erp_server.add_orders(12, notes="")
    erp_server.change("orders", "1001", notes="keep dry")
    sync = sync_of(connection)
    run_sync(sync)
    erp_server.forget_calls()
    with scopes_disabled():
        set_mapping(connection, "purchase_order", [{"target": "description", "source": "notes"}], by="test")
        assert ticks.notice_mapping_changes() == 1
        assert ticks.dispatch_due_syncs() == 2  # the vendors' first run is due as well
        run = SyncRun.objects.get(sync=sync, mode="remap")
        from syncs.engine.run import execute_run

        execute_run(run.pk)
        run.refresh_from_db()
        assert ticks.notice_mapping_changes() == 0
    assert (run.status, run.updated_count) == ("completed", 12)
    assert not erp_server.calls
    assert copy_of(sync).live["1001"]["description"] == "keep dry"
    assert copy_of(sync).live["1002"]["description"] is None
    assert run_sync(sync, "full").updated_count == 0


def test_connector_when_its_declaration_changes_then_a_new_mapping_version_and_a_remap(
    connection, erp_server, erp_connector, monkeypatch
):
    from dataclasses import replace

    from connections.services import effective_mapping, ensure_default_mapping

    erp_server.add_orders(3)
    sync = sync_of(connection)
    first = run_sync(sync)
    resource = erp_connector.purchase_orders
    fields = tuple(row for row in resource.fields if row.target != "notes")
    monkeypatch.setattr(erp_connector, "purchase_orders", replace(resource, fields=fields))
    monkeypatch.setattr(erp_connector, "version", "2")
    with scopes_disabled():
        assert ensure_default_mapping("test-erp", "purchase_order").version == 2
        assert effective_mapping(connection, "purchase_order").default.pk != first.default_mapping_id
        assert ticks.notice_mapping_changes() == 1
    run = run_sync(sync, "remap")
    assert run.updated_count == 3 and copy_of(sync).live["1001"]["notes"] is None


def test_request_when_a_run_is_active_then_it_answers_and_the_wish_waits(connection, erp_server):
    erp_server.add_orders(3)
    sync = sync_of(connection)
    run_sync(sync)
    with scopes_disabled():
        first = request_run(sync, Mode.INCREMENTAL, trigger=Trigger.API)
        second = request_run(sync, Mode.FULL, trigger=Trigger.API)
        third = request_run(sync, Mode.INCREMENTAL, trigger=Trigger.API)
        assert first.is_new and not second.is_new and second.run == first.run == third.run
        sync.refresh_from_db()
        assert sync.requested_mode == "full"
        from syncs.engine.run import execute_run

        execute_run(first.run.pk)
        assert ticks.dispatch_due_syncs() == 2
        assert SyncRun.objects.get(sync=sync, status="queued").mode == "full"


def test_cancel_when_waiting_then_at_once_and_when_running_then_at_the_next_page(connection, erp_server):
    erp_server.add_orders(30)
    sync = sync_of(connection)
    with scopes_disabled():
        run = request_run(sync, Mode.INCREMENTAL, trigger=Trigger.API).run
        assert cancel_run(run).status == "cancelled"
        run = request_run(sync, Mode.INCREMENTAL, trigger=Trigger.API).run
        original = erp_server.answer

        def cancel_during_second_page(call):
            if "cursor" in call.parameters:
                from django.db import connections

                SyncRun.objects.with_scopes_disabled().filter(pk=run.pk).update(cancel_requested=True)
                connections.close_all()
            return original(call)

        erp_server.answer = cancel_during_second_page  # type: ignore[method-assign]
        from syncs.engine.run import execute_run

        execute_run(run.pk)
        run.refresh_from_db()
        assert run.status == "cancelled" and 0 < run.page_no < 3
        assert sync_status([connection])[0].status == "never_synced"
        with pytest.raises(ConflictError):
            cancel_run(run)


def test_claims_when_five_got_nowhere_then_the_run_fails_for_good(connection, erp_server):
    sync = sync_of(connection)
    with scopes_disabled():
        run = request_run(sync, Mode.INCREMENTAL, trigger=Trigger.API).run
        SyncRun.objects.filter(pk=run.pk).update(claims_without_progress=5)
        from syncs.engine.run import execute_run

        execute_run(run.pk)
        run.refresh_from_db()
    assert (run.status, run.error["code"]) == ("failed", "NO_PROGRESS")
    assert not erp_server.calls_to("/orders")


def test_work_budget_when_used_up_then_the_run_gives_others_their_turn_and_goes_on(connection, erp_server, settings):
    settings.SYNC_WORK_BUDGET_SECONDS = 0
    erp_server.add_orders(35)
    sync = sync_of(connection)
    run = run_sync(sync)
    assert (run.status, run.page_no) == ("queued", 1)
    run = run_sync(sync, rounds=6)
    assert (run.status, run.read_count) == ("completed", 35)
    assert set(record_events(sync).values()) == {1}


def test_initial_sync_of_all_entities_when_the_last_ends_then_told_once(connection, erp_server):
    erp_server.add_orders(3)
    erp_server.add_vendors(3)
    orders, vendors = sync_of(connection), sync_of(connection, "vendor")
    run_sync(orders)
    assert event_types(orders)["connection.initial_sync_completed"] == 0
    run_sync(vendors)
    run_sync(vendors, "full")
    assert event_types(orders)["connection.initial_sync_completed"] == 1


def test_ticks_when_a_connection_is_active_then_syncs_appear_and_run(connection, erp_server):
    erp_server.add_orders(3)
    assert ticks.make_missing_syncs() >= 1
    assert ticks.dispatch_due_syncs() == 2
    assert ticks.dispatch_due_syncs() == 0
    with scopes_disabled():
        assert SyncRun.objects.filter(connection=connection, status="queued").count() == 2
