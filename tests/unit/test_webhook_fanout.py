"""Fan-out: which endpoint is told of which event, once."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django_scopes import scope, scopes_disabled

from tests.tenants import emit_now, make_workspace
from tests.webhook_stage import deliveries, fresh, make_endpoint
from webhooks.services import fanout, recover
from webhooks.services.fanout import fan_out
from workspaces.blanking import blank_events
from workspaces.choices import EventType
from workspaces.models import AuditEvent, Event

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:9/hook"


def emit(workspace: Any, **facts: Any) -> Any:
    return emit_now(workspace, environment="test", **{"data": {"run": "run_1"}, **facts})


def told(endpoint: Any) -> list[Any]:
    return [delivery.event_id for delivery in deliveries(endpoint)]


def test_every_event_after_the_endpoint_was_made_is_told_once_and_in_order() -> None:
    workspace = make_workspace()
    emit(workspace)
    endpoint = make_endpoint(workspace, URL)
    events = [emit(workspace) for _ in range(5)]

    assert fan_out() == 5
    assert fan_out() == 0

    rows = deliveries(endpoint)
    assert [row.event_id for row in rows] == events
    assert [row.position for row in rows] == [2, 3, 4, 5, 6]
    assert {(row.status, row.attempts, row.body, row.fence) for row in rows} == {("pending", 0, "", 0)}
    assert sorted(rows, key=lambda row: row.id) == rows
    assert all(row.id.version == 7 for row in rows)
    assert fresh(endpoint).position == 6


def test_other_workspaces_and_environments_are_not_told() -> None:
    workspace, other = make_workspace(), make_workspace("Other")
    mine, live = make_endpoint(workspace, URL), make_endpoint(workspace, URL, environment="live")
    theirs = make_endpoint(other, URL)
    event, live_event = emit(workspace), emit_now(workspace, data={"run": "run_2"})

    fan_out()

    assert (told(mine), told(live), told(theirs)) == ([event], [live_event], [])


def test_types_and_connections_limit_what_is_told() -> None:
    workspace, wanted, other = make_workspace(), uuid4(), uuid4()
    by_type = make_endpoint(workspace, URL, event_types=["sync.failed", "connection.offline"])
    by_connection = make_endpoint(workspace, URL, connection_ids=[wanted])
    failed = emit(workspace, type=EventType.SYNC_FAILED, connection_id=wanted)
    completed = emit(workspace, connection_id=wanted)
    offline = emit(workspace, type=EventType.OFFLINE, connection_id=other)
    emit(workspace, type=EventType.ENDPOINT_DISABLED)

    fan_out()

    assert told(by_type) == [failed, offline]
    assert told(by_connection) == [failed, completed]


def test_records_of_first_syncs_are_told_to_who_asks_for_them() -> None:
    workspace = make_workspace()
    usual, eager = make_endpoint(workspace, URL), make_endpoint(workspace, URL, include_initial=True)
    records = {"entity": "vendor", "ids": ["ven_1"]}
    first = emit(workspace, type=EventType.RECORD_CREATED, data=records, reason="initial")
    news = emit(workspace, type=EventType.RECORD_CREATED, data=records, reason="incremental")
    run = emit(workspace, reason="initial")

    fan_out()

    assert told(usual) == [news, run]
    assert told(eager) == [first, news, run]


def test_events_of_purged_connections_are_skipped_but_for_those_about_the_connection() -> None:
    workspace, gone = make_workspace(), uuid4()
    endpoint = make_endpoint(workspace, URL)
    emit(workspace, connection_id=gone)
    ended = emit(workspace, type=EventType.DISCONNECTED, connection_id=gone)
    with scope(workspace=workspace.pk):
        blank_events(workspace_id=workspace.pk, environment="test", connection_id=gone, after=0, span=10)

    fan_out()

    assert told(endpoint) == [ended]


@pytest.mark.parametrize("status", ["paused", "disabled"])
def test_who_is_not_active_stays_where_it_is_and_catches_up(status: str) -> None:
    workspace = make_workspace()
    endpoint = make_endpoint(workspace, URL, status=status)
    events = [emit(workspace) for _ in range(3)]
    assert fan_out() == 0
    assert (told(endpoint), fresh(endpoint).position) == ([], 0)

    endpoint.status = "active"
    with scopes_disabled():
        endpoint.save()
    fan_out()

    assert told(endpoint) == events


def test_long_feeds_come_in_pieces(monkeypatch: Any) -> None:
    monkeypatch.setattr(fanout, "POSITIONS_AT_ONCE", 2)
    workspace = make_workspace()
    one, two = make_endpoint(workspace, URL), make_endpoint(workspace, URL)
    events = [emit(workspace) for _ in range(5)]

    assert fan_out() == 10

    assert told(one) == told(two) == events


def test_events_that_are_no_longer_kept_are_passed_by_and_noted() -> None:
    workspace = make_workspace()
    endpoint = make_endpoint(workspace, URL)
    events = [emit(workspace) for _ in range(4)]
    with scopes_disabled():
        Event.objects.filter(pk__in=events[:2]).delete()

    fan_out()

    assert (told(endpoint), fresh(endpoint).position) == (events[2:], 4)
    with scopes_disabled():
        missed = AuditEvent.objects.get(action="webhook_endpoint.events_missed")
        assert (missed.details["after"], missed.details["upto"]) == (0, 2)
        Event.objects.all().delete()
        endpoint.position = 2
        endpoint.save()

    fan_out()

    assert fresh(endpoint).position == 4


def test_a_delivery_that_is_there_is_not_made_again() -> None:
    workspace = make_workspace()
    endpoint = make_endpoint(workspace, URL)
    event = emit(workspace)
    fan_out()
    endpoint.position = 0
    with scopes_disabled():
        endpoint.save()

    assert fan_out() == 0
    assert told(endpoint) == [event]


def test_recover_makes_what_was_never_made_and_renews_what_was_given_up() -> None:
    workspace = make_workspace()
    endpoint = make_endpoint(workspace, URL)
    early, exhausted, delivered, waiting = (emit(workspace) for _ in range(4))
    fan_out()
    since = next(row for row in deliveries(endpoint) if row.event_id == exhausted).created_at
    with scopes_disabled():
        since = Event.objects.get(pk=exhausted).created_at
        rows = {row.event_id: row for row in deliveries(endpoint)}
        for event, status in ((early, "exhausted"), (exhausted, "exhausted"), (delivered, "delivered")):
            rows[event].status, rows[event].attempts, rows[event].due_at = status, 10, None
            rows[event].save()
        rows[waiting].delete()
    with scope(workspace=workspace.pk):
        assert recover(endpoint, since=since, by="ann") == 2

    found = {row.event_id: (row.status, row.attempts) for row in deliveries(endpoint)}
    assert found == {
        early: ("exhausted", 10), exhausted: ("pending", 0), delivered: ("delivered", 10), waiting: ("pending", 0)
    }  # fmt: skip
    with scopes_disabled():
        assert AuditEvent.objects.get(action="webhook_endpoint.recovered").details["deliveries"] == 2


@pytest.mark.django_db(transaction=True)
def test_two_ticks_share_endpoints_and_wait_for_nobody() -> None:
    workspace = make_workspace()
    held, free = make_endpoint(workspace, URL), make_endpoint(workspace, URL)
    with transaction.atomic():
        emit(workspace)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM webhooks_webhookendpoint WHERE id = %s FOR NO KEY UPDATE", [held.pk])
            assert fan_out() == 1
            cursor.execute("ROLLBACK")
    finally:
        other.close()
    assert (len(told(held)), len(told(free))) == (0, 1)
    assert fan_out() == 1


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_cause_is_told_to_nobody_and_a_rolled_back_fan_out_is_done_again() -> None:
    workspace = make_workspace()
    endpoint = make_endpoint(workspace, URL)
    with transaction.atomic():
        emit(workspace)
        transaction.set_rollback(True)
    assert fan_out() == 0

    with transaction.atomic():
        event = emit(workspace)
    with transaction.atomic():
        assert fan_out() == 1
        transaction.set_rollback(True)
    assert (told(endpoint), fresh(endpoint).position) == ([], 0)

    assert fan_out() == 1
    assert told(endpoint) == [event]
