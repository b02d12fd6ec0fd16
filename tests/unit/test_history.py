"""The history of configuration: what the database copies, what it leaves alone, and the pages that show it."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, models, transaction
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django_scopes import scope, scopes_disabled
from pghistory.models import Event as HistoryBase

from connections.models import (
    CapabilityOverrideHistory,
    Connection,
    ConnectionHistory,
    SystemSettings,
    SystemSettingsHistory,
)
from connections.services import forbid, take_call, update_connection
from connections.services.health import record_success, record_trouble
from connections.services.overrides import NewOverride
from connections.services.systems import update_system_settings
from core.errors import TransientError
from core.ids import new_id
from integrations.sdk.declarations import Limits
from syncs.models import Sync, SyncHistory
from syncs.services import pause_sync, update_sync
from tests.admin_pages import words
from tests.connectors import connect, erp_connector  # noqa: F401
from tests.syncing import sync_of
from tests.tenants import make_person, make_workspace, signed_in
from workspaces import audit
from workspaces.choices import ActorKind
from workspaces.models import AuditEvent, Membership, MembershipHistory, WorkspaceHistory

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
ALICE = audit.Actor(ActorKind.PERSON, "alice")
SECRET_NAMES = ("secret", "cipher", "digest", "logo", "token", "password", "wrapped")


class Nowhere:
    base_url = "http://127.0.0.1:9"


@pytest.fixture
def connection() -> Connection:
    return connect(Nowhere())  # type: ignore[arg-type]


def history(model: Any, **which: Any) -> list[Any]:
    return list(model.objects.with_scopes_disabled().filter(**which).order_by("pgh_id"))


def labels(model: Any, **which: Any) -> list[str]:
    return [row.pgh_label for row in history(model, **which)]


def test_change_by_any_way_is_copied_with_the_time_of_its_audit_event(connection: Connection) -> None:
    rows = Connection.objects.with_scopes_disabled().filter(pk=connection.pk)
    with scope(workspace=connection.workspace_id), audit.acting(ALICE):
        update_connection(connection, changes={"name": "Renamed"}, by="alice")
        rows.update(paused=True)
        with database.cursor() as cursor:
            cursor.execute("UPDATE connections_connection SET proxy = 'http://p' WHERE id = %s", [connection.pk])

    made, renamed, paused, by_hand = history(ConnectionHistory)
    assert [made.pgh_label, renamed.pgh_label] == ["insert", "update"]
    assert (made.name != "Renamed", renamed.name, paused.paused, by_hand.proxy) == (True, "Renamed", True, "http://p")
    with scopes_disabled():
        event = AuditEvent.objects.filter(action="connection.changed").get()
    assert event.at == renamed.pgh_created_at


def test_health_budget_and_cursors_leave_no_history(connection: Connection) -> None:
    sync = sync_of(connection)
    before = len(history(ConnectionHistory)), len(history(SyncHistory))
    with scope(workspace=connection.workspace_id):
        take_call(connection, Limits(per_minute=60))
        record_trouble(connection.pk, connection.workspace_id, TransientError("away"))
        record_success(connection.pk, connection.workspace_id)
        connection.refresh_from_db()
        connection.save()  # every column, none of them changed
        sync.data_as_of = sync.last_success_at = connection.created_at
        sync.requested_mode = "full"
        sync.save()
    assert (len(history(ConnectionHistory)), len(history(SyncHistory))) == before


def test_each_kind_of_configuration_is_tracked_to_its_end(connection: Connection) -> None:
    workspace, sync = connection.workspace, sync_of(connection)
    with scope(workspace=workspace.pk):
        update_sync(sync, interval_seconds=300)
        forbid(connection, NewOverride("purchase_order", "update", reason="why"), by="alice")
        forbid(connection, NewOverride("purchase_order", "update", reason="still"), by="alice")
        for enabled in (True, False):
            changes = {"enabled": enabled, "oauth_client_secret": "very-secret"}
            update_system_settings(
                workspace=workspace, system="test-erp", environment="live", changes=changes, by="alice"
            )
        SystemSettings.objects.all().delete()
    member = Membership.objects.with_scopes_disabled().create(workspace=workspace, user=make_person(), role="auditor")
    member.role = "owner"
    member.save()
    member.delete()
    workspace.logo = b"picture"
    workspace.save()
    workspace.colour = "#1d4ed8"
    workspace.save()

    assert [row.interval_seconds for row in history(SyncHistory, pgh_obj_id=sync.pk)] == [900, 300]
    overrides = history(CapabilityOverrideHistory)
    assert [(row.pgh_label, row.reason) for row in overrides] == [
        ("insert", "why"), ("delete", "why"), ("insert", "still"),
    ]  # fmt: skip
    assert labels(SystemSettingsHistory) == ["insert", "update", "delete"]
    assert [(row.pgh_label, row.role) for row in history(MembershipHistory)] == [
        ("insert", "auditor"), ("update", "owner"), ("delete", "owner"),
    ]  # fmt: skip
    assert labels(WorkspaceHistory, pgh_obj_id=workspace.pk) == ["insert", "update"], "the picture is not kept"


def test_no_history_has_a_column_for_secrets() -> None:
    ours = [model for model in apps.get_models() if issubclass(model, HistoryBase) and model._meta.managed]
    assert len(ours) == 6
    for model in ours:
        names = [field.name for field in model._meta.concrete_fields]
        assert not [name for name in names for word in SECRET_NAMES if word in name and name != "logo_type"], model
        assert not [field for field in model._meta.concrete_fields if isinstance(field, models.BinaryField)]


def test_history_is_not_rewritten(connection: Connection) -> None:
    with pytest.raises(DatabaseError, match="Cannot update"), transaction.atomic():
        ConnectionHistory.objects.with_scopes_disabled().update(name="Never called otherwise")


@pytest.mark.parametrize(("purged", "left"), [(False, ["insert", "delete"]), (True, ["insert"])])
def test_purged_connection_leaves_no_last_copy(connection: Connection, purged: bool, left: list[str]) -> None:
    rows = Connection.objects.with_scopes_disabled().filter(pk=connection.pk)
    if purged:
        rows.update(purge_requested_at=connection.created_at)
    with scopes_disabled():
        rows.delete()
    assert labels(ConnectionHistory) == left


def test_page_tells_when_who_and_what_was_before(connection: Connection) -> None:
    person, sync = make_person("auditor", connection.workspace), sync_of(connection)
    with scope(workspace=connection.workspace_id):
        Connection.objects.update(metadata={"plant": "North", "line": 1}, page_size=100)
        Connection.objects.update(metadata={"plant": "South", "line": 1}, page_size=None)
        with audit.acting(ALICE):
            pause_sync(sync)
            forbid(connection, NewOverride("purchase_order", "update", "notes", reason="why"), by="alice")
    page = words(signed_in(person).get(f"/admin/connections/connection/{connection.pk}/history/"))

    assert "metadata.plant : North → South" in page and "page_size : 100 → —" in page
    assert "metadata.line : — → 1" in page, "by the first of the two"
    assert f"Sync of {sync.entity} changed" in page and "paused : no → yes" in page
    assert "Override of update purchase_order notes made" in page
    assert "alice" in page and "workspace_id" not in page


@pytest.mark.parametrize("role", ["owner", "auditor"])
def test_pages_of_workspaces_and_systems(connection: Connection, role: str) -> None:
    workspace = connection.workspace
    person = make_person(role, workspace)
    with scope(workspace=workspace.pk), audit.acting(ALICE):
        changes: dict[str, Any] = {"enabled": False, "schedules": {"vendor": {"interval_seconds": 600}}}
        settings = update_system_settings(
            workspace=workspace, system="test-erp", environment="live", changes=changes, by="alice"
        )
    browser = signed_in(person)
    page = words(browser.get(f"/admin/connections/systemsettings/{settings.pk}/history/"))
    assert "schedules.vendor" in page and "alice system_settings.changed" in page

    page = words(browser.get(f"/admin/workspaces/workspace/{workspace.pk}/history/"))
    assert f"Member {person.username} made" in page and f"role : {role}" in page
    stranger = signed_in(make_person("owner", make_workspace("Other")))
    assert stranger.get(f"/admin/workspaces/workspace/{workspace.pk}/history/").status_code == 404


def test_page_takes_a_bounded_number_of_queries(connection: Connection) -> None:
    sync_of(connection)
    browser, counts = signed_in(make_person("owner", connection.workspace)), []
    for number in range(2):
        with scope(workspace=connection.workspace_id):
            for name in range(20):
                Connection.objects.filter(pk=connection.pk).update(name=f"{number} {name}")
                Sync.objects.update(interval_seconds=100 + 20 * number + name)
        with CaptureQueriesContext(database) as queries:
            assert browser.get(f"/admin/connections/connection/{connection.pk}/history/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 10


def test_events_of_other_workspaces_never_tell_who(connection: Connection) -> None:
    """Though everything here is of one transaction, and so of one time."""
    other = make_workspace("Other")
    with audit.acting(ALICE):
        audit.record("workspace.changed", workspace_id=other.pk, about=("workspace", f"ws_{new_id().hex}"))
    person = make_person("owner", connection.workspace)
    page = words(signed_in(person).get(f"/admin/workspaces/workspace/{connection.workspace_id}/history/"))
    assert "alice" not in page
