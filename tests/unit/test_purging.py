"""Deleted connections: gone for everybody at once, and piece by piece from the database."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django_scopes import scope, scopes_disabled

from connections.models import Connection, Credential, Grant, LinkSecret, LinkSession, UpstreamCall
from connections.services import delete_connection, update_connection
from connections.services.passthrough import RawCall, pass_through
from core import ids
from core.errors import ConflictError
from syncs.models import Record, Sync, SyncRun
from syncs.services import purging
from syncs.ticks import purge_deleted_connections
from tests.connectors import TestErp, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import events_of, run_sync, sync_of
from tests.tenants import api, make_person, make_token, signed_in
from workspaces.choices import EventType
from workspaces.events import emit
from workspaces.feed import read_feed
from workspaces.models import AuditEvent, Event

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]


@pytest.fixture
def sync(erp_server: TestErpServer) -> Sync:
    """A synced connection with seven records."""
    erp_server.add_orders(7)
    found = sync_of(connect(erp_server))
    assert run_sync(found).status == "completed"
    return found


def audited(connection: Connection) -> list[AuditEvent]:
    shown = ids.show(Connection.PREFIX, connection.pk)
    with scopes_disabled():
        rows = AuditEvent.objects.filter(object_id=shown, action__startswith="connection.")
        return list(rows.order_by("pk"))


def left(model: Any) -> int:
    with scopes_disabled():
        found: int = model.objects.count()
        return found


def test_deleted_connection_is_there_for_no_token_from_then_on(sync: Sync) -> None:
    connection = sync.connection
    _, clear = make_token(connection.workspace)
    _, own = make_token(connection.workspace, connection_id=connection.pk)
    shown, client = str(ids.show(Connection.PREFIX, connection.pk)), api(clear)
    with scopes_disabled():
        record, run = Record.objects.first(), SyncRun.objects.first()
    named = {"X-Connection-Id": shown}
    addresses = [
        f"/api/v1/connections/{shown}",
        "/api/v1/purchase-orders",
        f"/api/v1/purchase-orders/{ids.show('po', record.pk)}",
        f"/api/v1/syncs/{ids.show('syn', sync.pk)}",
        f"/api/v1/sync-runs/{ids.show('run', run.pk)}",
        f"/api/v1/sync-status?connection={shown}",
    ]
    assert [client.get(address, headers=named).status_code for address in addresses] == [200] * len(addresses)

    answer = client.delete(f"/api/v1/connections/{shown}")

    assert (answer.status_code, answer.json()) == (202, {"id": shown, "status": "purging"})
    assert [client.get(address, headers=named).status_code for address in addresses] == [404] * len(addresses)
    assert client.delete(f"/api/v1/connections/{shown}").status_code == 404
    assert client.post(f"/api/v1/connections/{shown}/reconnect", {"secrets": {}}, "application/json").status_code == 404
    for address in ("connections", "syncs", "sync-runs", "operations", "upstream-calls", "sync-status"):
        assert client.get(f"/api/v1/{address}").json()["data"] == [], address
    assert api(own).get("/api/v1/connections").status_code == 401
    assert left(Credential) == 0 and left(Record) == 7, "its secrets go at once, the rest in batches"


def test_delete_ends_what_was_open_and_is_told_once(sync: Sync) -> None:
    connection, workspace = sync.connection, sync.connection.workspace
    with scope(workspace=workspace.pk):
        Grant.objects.create(workspace=workspace, connection=connection, ciphertext=b"x")
        session = LinkSession.objects.create(
            workspace=workspace, connection=connection, digest=b"d" * 32, expires_at="2100-01-01T00:00:00Z"
        )
        LinkSecret.objects.create(workspace=workspace, session=session, name="api_key", ciphertext=b"x")

    delete_connection(delete_connection(connection, by="ann"), by="ann")

    assert [left(model) for model in (Credential, Grant, LinkSecret)] == [0, 0, 0]
    with scopes_disabled():
        assert LinkSession.objects.get().status == "cancelled"
    assert [event["type"] for event in events_of(sync)].count("connection.disconnected") == 1
    (told,) = audited(connection)
    assert (told.action, told.details) == ("connection.deleted", {"was": "active"})
    with pytest.raises(ConflictError):
        update_connection(connection, changes={"name": "x"}, by="ann")


def test_purge_leaves_a_receipt_and_a_feed_without_a_hole(sync: Sync) -> None:
    connection, before = sync.connection, events_of(sync)
    delete_connection(connection, by="ann")

    assert purge_deleted_connections() == 1
    assert purge_deleted_connections() == 0

    assert [left(model) for model in (Connection, Record, Sync, SyncRun)] == [0, 0, 0, 0]
    deleted, purged = audited(connection)
    assert (deleted.action, purged.action) == ("connection.deleted", "connection.purged")
    rows = purged.details["rows"]
    assert (rows["records"], rows["runs"], rows["secrets"]) == (7, 1, 1)
    assert rows["events_emptied"] == len(before) + 1
    assert purged.details["seconds"] >= 0
    after = events_of(sync)
    assert [event["data"] for event in after] == [{}] * (len(before) + 1)
    assert [{**event, "data": None} for event in after[:-1]] == [{**event, "data": None} for event in before]
    with scope(workspace=connection.workspace_id):
        page = read_feed(workspace_id=connection.workspace_id, environment="live", after=0, limit=100)
    assert len(page.bodies) == len(after) and '"data":{}}' in page.bodies[0]


def test_purge_goes_on_in_batches_and_counts_what_earlier_ones_deleted(sync: Sync, monkeypatch: Any) -> None:
    monkeypatch.setattr(purging, "BATCH", 2)
    delete_connection(sync.connection, by="ann")

    batches = 0
    while purge_deleted_connections():  # a batch at least, and as many as a second has room for
        batches += 1
    assert left(Connection) == 0
    assert audited(sync.connection)[-1].details["rows"]["records"] == 7


def test_purge_when_one_cannot_go_on_does_the_others_and_tells(sync: Sync, erp_server: TestErpServer, monkeypatch: Any):
    stuck, other = sync.connection, connect(erp_server, name="Plant 2")
    delete_connection(stuck, by="ann")
    delete_connection(other, by="ann")
    done = purging.purge_batch

    def batch(connection_id: Any) -> bool:
        if connection_id == stuck.pk:
            raise DatabaseError("lock timeout")
        return done(connection_id)

    monkeypatch.setattr(purging, "purge_batch", batch)
    with pytest.raises(DatabaseError, match="lock timeout"):
        purge_deleted_connections()
    with scopes_disabled():
        assert list(Connection.objects.values_list("pk", flat=True)) == [stuck.pk]


def test_events_beyond_one_piece_of_the_feed_are_emptied_too(
    sync: Sync, erp_server: TestErpServer, monkeypatch: Any
) -> None:
    """With those of another connection between them, which stay."""
    connection = sync.connection
    other = connect(erp_server, workspace=connection.workspace, name="Plant 2")
    for number in range(10):
        _emit(other if number % 2 else connection, note=f"note {number}")
    monkeypatch.setattr(purging, "BATCH", 3)
    delete_connection(connection, by="ann")
    while purge_deleted_connections():
        pass
    with scopes_disabled():
        told = dict(Event.objects.order_by("position").values_list("position", "body"))
        theirs = Event.objects.filter(connection_id=connection.pk).values_list("body", flat=True)
    assert list(told) == list(range(1, len(told) + 1))
    assert all('"data":{}}' in body for body in theirs)
    assert sum("note" in body for body in told.values()) == 5


def _emit(connection: Connection, **data: Any) -> None:
    with transaction.atomic():
        emit(
            EventType.SYNC_COMPLETED,
            data=data,
            workspace_id=connection.workspace_id,
            environment=connection.environment,
            connection_id=connection.pk,
        )


# --- people -----------------------------------------------------------------------------------------------------------


def test_delete_button_asks_for_the_name_and_then_the_connection_is_gone(sync: Sync) -> None:
    connection = sync.connection
    client = signed_in(make_person("owner", connection.workspace))
    page, change = f"/admin/connections/connection/{connection.pk}/press/delete/", "/admin/connections/connection/"
    question = client.get(page).content.decode()
    assert 'name="typed"' in question and "cannot be undone" in question

    refused = client.post(page, {"typed": "Plant"}, follow=True).content.decode()
    assert "Nothing was deleted" in refused

    told = client.post(page, {"typed": connection.name}, follow=True)
    assert told.redirect_chain[-1][0] == change and "is deleted" in told.content.decode()
    assert client.get(f"{change}{connection.pk}/change/").status_code == 404
    operator = signed_in(make_person(is_superuser=True))
    row = f"{change}{connection.pk}/change/"
    assert row not in operator.get(change).content.decode()
    assert row in operator.get(f"{change}?deleted=purging").content.decode()
    assert operator.get(row).status_code == 200


def test_command_deletes_and_purges_when_the_name_was_typed(sync: Sync, monkeypatch: Any, capsys: Any) -> None:
    connection, shown = sync.connection, str(ids.show(Connection.PREFIX, sync.connection_id))
    monkeypatch.setattr("builtins.input", lambda _: "another")
    with pytest.raises(CommandError, match="Nothing was deleted"):
        call_command("delete_connection", shown)

    monkeypatch.setattr("builtins.input", lambda _: connection.name)
    call_command("delete_connection", shown, "--now")

    assert "its data is purged" in capsys.readouterr().out and left(Connection) == 0
    assert {event.actor_kind for event in audited(connection)} == {"command"}


def test_command_waits_for_another_purger_but_not_for_ever(sync: Sync, monkeypatch: Any) -> None:
    """As a tick that stands still has it: every batch finds the row held."""
    monkeypatch.setattr("syncs.management.commands.delete_connection.purge_batch", lambda _: False)
    monkeypatch.setattr("syncs.management.commands.delete_connection.BUSY_LIMIT_SECONDS", 0.5)
    with pytest.raises(CommandError, match="the ticks go on purging"):
        call_command("delete_connection", str(ids.show(Connection.PREFIX, sync.connection_id)), "--yes", "--now")
    assert left(Connection) == 1


def test_raw_call_when_its_connection_is_purged_meanwhile_then_the_answer_is_given_all_the_same(
    erp_server: TestErpServer, monkeypatch: Any
) -> None:
    erp_server.add_orders(1)
    connection = connect(erp_server)
    send = TestErp.passthrough

    def purged_meanwhile(self: TestErp, *args: Any) -> Any:
        answer = send(self, *args)
        delete_connection(Connection.objects.get(pk=connection.pk), by="me")
        while purging.purge_batch(connection.pk):
            pass
        return answer

    monkeypatch.setattr(TestErp, "passthrough", purged_meanwhile)

    with scope(workspace=connection.workspace_id):
        answer = pass_through(connection, RawCall("GET", "/me"), by="test")

    assert answer.status == 200
    assert left(Connection) == 0 == left(UpstreamCall)
