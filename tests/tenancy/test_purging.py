"""After a purge no column of any table holds a word of the customer's, whoever added the column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection as database
from django.db.models import ForeignKey, Model
from django_scopes import scope, scopes_disabled

from connections.models import Connection, LinkSession
from connections.services import delete_connection
from syncs.models import Record, Sync, SyncRun
from syncs.services import purging
from syncs.services.purging import all_steps, purge_batch
from tests.tenancy.world import OWNED, World, state_of
from workspaces.models import AuditEvent, Event

NOT_THE_CUSTOMERS = {
    "connections_systemsettings": "the workspace's own OAuth client",
    "connections_systemsettingshistory": "the workspace's own OAuth client",
    "webhooks_webhookendpoint": "the workspace's own listener; the customer stands in none of its columns",
    "flows_flow": "the workspace's own; of the customer its bindings hold an id alone",
    "flows_flowversion": "the workspace's own; of the customer its bindings hold an id alone",
    "workspaces_auditevent": "kept on purpose; services write names and ids there, this world writes a word",
}
TEXTS = """SELECT c.relname, a.attname, t.typname FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
      AND (t.typcategory IN ('S', 'A') OR t.typname IN ('json', 'jsonb', 'bytea', 'xml'))"""
UUIDS = TEXTS.partition("AND (t.typcategory")[0] + "AND t.typname = 'uuid'"


def columns_with(word: str) -> set[tuple[str, str]]:
    """Every (table, column) of the public schema that holds the word in some row."""
    found = set()
    with database.cursor() as cursor:
        cursor.execute(TEXTS)
        for table, column, kind in cursor.fetchall():
            wanted: Any = word.encode() if kind == "bytea" else word
            text = f'"{column}"' if kind == "bytea" else f'"{column}"::text'
            cursor.execute(f'SELECT EXISTS (SELECT FROM "{table}" WHERE position(%s IN {text}) > 0)', [wanted])
            if cursor.fetchone()[0] and table not in NOT_THE_CUSTOMERS:
                found.add((table, column))
    return found


def tables_naming(pk: Any) -> set[tuple[str, str]]:
    """Every (table, column) in which the id stands."""
    found = set()
    with database.cursor() as cursor:
        cursor.execute(UUIDS)
        for table, column, _ in cursor.fetchall():
            cursor.execute(f'SELECT EXISTS (SELECT FROM "{table}" WHERE "{column}" = %s)', [pk])
            if cursor.fetchone()[0]:
                found.add((table, column))
    return found


def name_in_admin_log(world: World, row: Model) -> None:
    """As the admin notes a button that was pressed."""
    LogEntry.objects.create(
        user=world.mine.people["owner"], content_type=ContentType.objects.get_for_model(type(row)),
        object_id=str(row.pk), object_repr=str(row), action_flag=CHANGE, change_message="Pause.",
    )  # fmt: skip


def feed_of(world: World) -> list[dict[str, Any]]:
    with scopes_disabled():
        rows = Event.objects.filter(workspace=world.mine.workspace, environment="live", position__isnull=False)
        return [orjson.loads(body) for body in rows.order_by("position").values_list("body", flat=True)]


def purge(pk: Any, world: World) -> int:
    batches = 0
    with scope(workspace=world.mine.workspace.pk):
        while purge_batch(pk):
            batches += 1
    return batches


def test_after_a_purge_nothing_of_the_customer_is_left(world: World, monkeypatch: Any) -> None:
    plant, pk, word = world.plant, world.plant.connection.pk, world.plant.word
    with scopes_disabled():
        LinkSession.objects.filter(name__contains=word).update(connection_id=pk)
        name_in_admin_log(world, plant.connection)
        name_in_admin_log(world, Sync.objects.select_related("connection").get(pk=plant.syncs["vendor"].pk))
    held, feed = columns_with(word), feed_of(world)
    other_words = [place.word for name, place in world.mine.places.items() if name != "plant"]
    others = {other: columns_with(other) for other in other_words}
    theirs = state_of(world.theirs)
    for column in (
        ("connections_connection", "name"), ("connections_connection", "metadata"),
        ("connections_connection", "config"), ("connections_connectionhistory", "config"),
        ("connections_linksession", "config"), ("connections_mappingfield", "definition"),
        ("connections_capabilityoverride", "reason"), ("connections_upstreamcall", "response_body"),
        ("syncs_operation", "request"), ("syncs_operation", "idempotency_key"), ("syncs_quarantinedrecord", "raw"),
        ("syncs_record", "remote_id"), ("syncs_recorddictionary", "data"), ("workspaces_event", "body"),
        ("workspaces_apitoken", "name"), ("django_admin_log", "object_repr"),
    ):  # fmt: skip
        assert column in held, "this proves nothing of a column that did not hold the word"
    monkeypatch.setattr(purging, "BATCH", 5)

    with scope(workspace=world.mine.workspace.pk):
        delete_connection(Connection.objects.get(pk=pk), by="ann")
    assert purge(pk, world) > 5

    database.check_constraints()
    assert columns_with(word) == set()
    assert tables_naming(pk) == {("workspaces_event", "connection_id")}
    assert {other: columns_with(other) for other in other_words} == others
    assert state_of(world.theirs) == theirs
    after = feed_of(world)[: len(feed)]
    mine = f"con_{pk.hex}"
    assert [{**event, "data": {}} for event in after] == [{**event, "data": {}} for event in feed], "no hole, no change"
    assert [event["data"] for event in after if event["connection"] == mine] == [{}, {}]
    assert [event for event in after if event["connection"] != mine] == [e for e in feed if e["connection"] != mine]
    receipt = the_receipt()
    assert receipt["rows"]["records"] == sum(map(len, plant.records.values()))
    assert receipt["rows"]["tokens"] == 2 and receipt["rows"]["events_emptied"] == 2
    assert receipt["seconds"] >= 0 and word not in str(receipt)


def the_receipt() -> dict[str, Any]:
    with scopes_disabled():
        found: dict[str, Any] = AuditEvent.objects.get(action="connection.purged").details
        return found


def test_every_table_that_hangs_on_a_connection_is_purged(world: World) -> None:
    """A new table with a way to a connection must be among the steps, unless it goes with nothing left to say."""
    with scopes_disabled():
        purged = {rows_of(world.plant.connection.pk).model for rows_of in all_steps().values()}
    hanging = {model for model in OWNED if any(_leads_to_a_connection(model))} - {Connection, Event}
    assert hanging <= purged | {Record}


def _leads_to_a_connection(model: type[Model]) -> Iterator[bool]:
    for field in model._meta.concrete_fields:
        yield field.name == "connection_id"
        is_key = isinstance(field, ForeignKey)
        yield is_key and field.related_model in (Connection, Sync, SyncRun, LinkSession)
