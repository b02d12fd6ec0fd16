"""What the home page counts: each event once, whoever counts, and the same queries however much there is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db import connections as databases
from django.db import transaction
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from console import activity
from console.models import ActivityCursor, ActivityHour
from console.strips import HOURS, strips_of
from console.trends import trends
from syncs.models import Issue
from syncs.services.issues import acknowledge
from tests.admin_pages import words
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.tenants import make_person, make_workspace, signed_in
from workspaces.choices import EventType
from workspaces.events import emit, emit_records
from workspaces.models import Workspace

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
COUNTS = ("runs", "failed_runs", "held_runs", "records_changed", "operations", "failed_operations")


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def plant(workspace: Workspace, erp_server: TestErpServer) -> Connection:
    return connect(erp_server, workspace=workspace)


def tell(plant: Connection, *types: EventType) -> None:
    cause: dict[str, Any] = {
        "workspace_id": plant.workspace_id, "environment": plant.environment, "connection_id": plant.pk,
    }  # fmt: skip
    with transaction.atomic():
        for type in types:
            if type.startswith("record."):
                emit_records(type, [f"po_{number:032}" for number in range(150)], entity="purchase_order", **cause)
            else:
                emit(type, data={}, **cause)


def counted() -> dict[str, int]:
    with scopes_disabled():
        rows = ActivityHour.objects.values(*COUNTS)
        return {name: sum(row[name] for row in rows) for name in COUNTS}


ALL = (
    EventType.SYNC_COMPLETED, EventType.SYNC_FAILED, EventType.SYNC_NEEDS_REVIEW, EventType.RECORD_UPDATED,
    EventType.OPERATION_SUCCEEDED, EventType.OPERATION_FAILED, EventType.OPERATION_NEEDS_REVIEW, EventType.ONLINE,
)  # fmt: skip
ONCE = {"runs": 3, "failed_runs": 1, "held_runs": 1, "records_changed": 150, "operations": 3, "failed_operations": 2}


def test_every_event_is_counted_once(plant: Connection) -> None:
    tell(plant, *ALL)
    assert activity.count_activity() > 0
    assert counted() == ONCE
    assert activity.count_activity() == 0
    tell(plant, *ALL)
    activity.count_activity()
    assert counted() == {name: 2 * count for name, count in ONCE.items()}


def test_three_tickers_at_once_count_every_event_once(plant: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "POSITIONS_AT_ONCE", 7)
    for _ in range(12):
        tell(plant, *ALL)
    broken: list[BaseException] = []
    threads = [threading.Thread(target=_in_thread, args=(activity.count_activity, broken)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    activity.count_activity(seconds=10)
    assert not broken
    assert counted() == {name: 12 * count for name, count in ONCE.items()}


def _in_thread(what: Callable[[], object], broken: list[BaseException]) -> None:
    try:
        what()
    except BaseException as error:
        broken.append(error)
    finally:
        databases.close_all()


def test_count_that_is_lost_before_its_commit_is_made_again(plant: Connection) -> None:
    tell(plant, *ALL)
    with transaction.atomic():
        activity.count_activity()
        transaction.set_rollback(True)
    assert counted()["runs"] == 0
    activity.count_activity()
    assert counted() == ONCE


def test_events_that_are_not_kept_any_more_are_passed_by(plant: Connection) -> None:
    tell(plant, *ALL)
    with scopes_disabled(), database.cursor() as cursor:
        cursor.execute("DELETE FROM workspaces_event")
    assert activity.count_activity() > 0
    assert counted()["runs"] == 0
    with scopes_disabled():
        assert ActivityCursor.objects.get().position > 0


def test_hours_of_a_deleted_connection_go_with_it_and_its_old_events_are_not_counted(plant: Connection) -> None:
    tell(plant, *ALL)
    activity.count_activity()
    tell(plant, *ALL)
    with scopes_disabled():
        Connection.objects.filter(pk=plant.pk).delete()
    activity.count_activity()
    assert counted()["runs"] == 0


def test_hours_are_kept_eight_days(plant: Connection) -> None:
    hour(plant, days=7)
    hour(plant, days=9)
    assert activity.forget_old_hours() == 1
    assert activity.forget_old_hours() == 0


AT = datetime(2026, 10, 5, 12, 30, tzinfo=UTC)


def hour(plant: Connection, *, at: datetime | None = None, hours: int = 0, days: int = 0, **counts: int) -> None:
    starts = (at or datetime.now(UTC)).replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours, days=days)
    with scopes_disabled():
        ActivityHour.objects.create(
            workspace_id=plant.workspace_id, environment=plant.environment, connection=plant, starts_at=starts, **counts
        )


def test_strip_has_a_cell_an_hour_and_says_in_words_what_it_shows(plant: Connection) -> None:
    hour(plant, at=AT, hours=0, runs=4)
    hour(plant, at=AT, hours=1, runs=4)
    hour(plant, at=AT, hours=2, runs=4, failed_runs=1)
    hour(plant, at=AT, hours=3, runs=2, failed_runs=2)
    hour(plant, at=AT, hours=4, runs=1, held_runs=1)
    hour(plant, at=AT, hours=HOURS, runs=9)  # too long ago
    with scope(workspace=plant.workspace_id):
        strip = strips_of([plant.pk], AT)[plant.pk]
    assert [piece.kind for piece in strip.pieces] == ["none", "held", "failed", "mixed", "well"]
    assert sum(piece.width for piece in strip.pieces) == strip.width
    assert strip.pieces[-1].text == "Mon 11:00 to Mon 13:00 UTC: 8 runs"
    assert strip.label == "Last 48 hours: 15 runs, 3 failed, 1 held for review"


def test_trends_compare_the_last_day_with_the_one_before(plant: Connection) -> None:
    hour(plant, at=AT, hours=3, runs=6, failed_runs=2, records_changed=10)
    hour(plant, at=AT, hours=27, runs=4)
    hour(plant, at=AT, days=6, runs=8)
    with scope(workspace=plant.workspace_id):
        found = {trend.label: trend for trend in trends(AT)}
    assert set(found) == {"Records changed", "Sync runs"}
    runs = found["Sync runs"]
    assert (runs.count, runs.failed, runs.change) == (6, 2, "+50 % against the day before")
    assert found["Records changed"].change == "none the day before"
    assert runs.spoken.endswith("8, 0, 0, 0, 0, 4, 6")


def issue(plant: Connection, title: str, who: str) -> Issue:
    with scopes_disabled():
        return Issue.objects.create(
            workspace_id=plant.workspace_id, environment=plant.environment, connection=plant, kind="sync_overdue",
            subject=title, title=title, action="Look at it.", who_must_act=who,
        )  # fmt: skip


def test_home_says_who_must_act_on_what(plant: Connection, workspace: Workspace) -> None:
    known = issue(plant, "Known trouble", "operator")
    for number in range(6):
        issue(plant, f"Trouble {number}", "operator")
    issue(plant, "Password expired", "customer")
    with scope(workspace=workspace.pk):
        acknowledge(known, by="ann")
    shown = words(signed_in(make_person("auditor", workspace)).get("/admin/"))
    assert "You, the operator" in shown and "The customer" in shown and "Password expired" in shown
    assert "Trouble 0" in shown and "2 more" in shown and "Known trouble" not in shown
    assert "Trouble 0" not in words(signed_in(make_person("owner", make_workspace("Other"))).get("/admin/"))


def test_home_shows_counts_of_ones_own_workspaces_alone(plant: Connection, workspace: Workspace) -> None:
    hour(plant, runs=1234)
    assert "1,234" in words(signed_in(make_person("auditor", workspace)).get("/admin/"))
    assert "1,234" not in words(signed_in(make_person("auditor", make_workspace("Other"))).get("/admin/"))
