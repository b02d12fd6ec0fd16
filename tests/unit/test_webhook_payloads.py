"""Full payloads: the records themselves, frozen at the first attempt, in parts that are not too long."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from core import ids
from syncs import webhook_payloads
from syncs.models import Record
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.webhook_stage import LOOPBACK_NETWORKS, deliver, deliveries, make_endpoint, sink
from webhooks.services.purging import blank_deliveries
from webhooks.services.sending import close_kept_doors

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> Iterator[None]:
    settings.EGRESS_ALLOWED_NETWORKS = LOOPBACK_NETWORKS
    yield
    close_kept_doors()


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    found = connect(erp_server)
    with scopes_disabled():
        Connection.objects.filter(pk=found.pk).update(environment="test")
        found.refresh_from_db()
    return found


def listen(connection: Connection, url: str) -> Any:
    facts = {"payload": "full", "event_types": ["record.created"], "include_initial": True}
    return make_endpoint(connection.workspace, url, **facts)


def bodies(there: Any) -> list[dict[str, Any]]:
    return [json.loads(message.body) for message in there.messages]


def test_full_payloads_hold_the_records_as_the_api_shows_them(connection: Connection, erp_server: Any) -> None:
    erp_server.add_orders(3)
    with sink(500, 204) as there:
        endpoint = listen(connection, there.url)
        run_sync(sync_of(connection))
        deliver()
        with scopes_disabled():
            Record.objects.filter(connection=connection).update(version=9)
            endpoint.deliveries.update(due_at=None)
        (row,) = deliveries(endpoint)
        with scopes_disabled():
            row.due_at = row.created_at
            row.save()
        deliver()
    first, second = there.messages
    assert first.body == second.body == row.body.encode(), "frozen at the first attempt"
    (body, _) = bodies(there)
    assert [record["id"] for record in body["data"]["records"]] == body["data"]["ids"]
    assert {record["remote_id"] for record in body["data"]["records"]} == {"1001", "1002", "1003"}
    assert {record["version"] for record in body["data"]["records"]} == {1}
    assert "part" not in body and body["id"] == first.headers["webhook-id"]


def test_long_payloads_come_in_parts_that_are_messages_of_their_own(
    connection: Connection, erp_server: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(webhook_payloads, "PART_BYTES", 3_000)
    erp_server.add_orders(8)
    with sink() as there:
        endpoint = listen(connection, there.url)
        run_sync(sync_of(connection))
        deliver()
        deliver()
    rows = deliveries(endpoint)
    assert len(rows) > 2 and [row.part for row in rows] == list(range(len(rows)))
    assert {row.status for row in rows} == {"delivered"}
    assert len(set(there.ids())) == len(rows)
    event = ids.show("evt", rows[0].event_id)
    assert set(there.ids()) == {event, *(f"{event}_{part}" for part in range(1, len(rows)))}
    told = sorted(bodies(there), key=lambda body: body["part"])
    assert [(body["part"], body["parts"]) for body in told] == [(one + 1, len(rows)) for one in range(len(rows))]
    every = [record["id"] for body in told for record in body["data"]["records"]]
    assert len(every) == len(set(every)) == 8
    assert all(len(message.body) <= 3_000 for message in there.messages)


def test_what_is_not_shared_is_left_out(connection: Connection, erp_server: Any) -> None:
    erp_server.add_orders(2)
    with sink() as there:
        listen(connection, there.url)
        run_sync(sync_of(connection))
        with scope(workspace=connection.workspace_id):
            Connection.objects.filter(pk=connection.pk).update(shared={"vendor": "read"})
        deliver()
    assert [body["data"]["records"] for body in bodies(there)] == [[]]


def test_what_was_cancelled_while_it_was_rendered_is_not_sent(
    connection: Connection, erp_server: Any, monkeypatch: Any
) -> None:
    """The connection's data is purged between the reading of its records and the sending."""
    erp_server.add_orders(1)
    render = webhook_payloads.render

    def rendered_too_late(event: Any) -> list[str]:
        parts = render(event)
        with transaction.atomic():
            blank_deliveries([event.pk], workspace_id=connection.workspace_id, environment="test")
        return parts

    monkeypatch.setattr(webhook_payloads, "render", rendered_too_late)
    with sink() as there:
        endpoint = listen(connection, there.url)
        run_sync(sync_of(connection))
        deliver()
    assert there.messages == []
    (row,) = deliveries(endpoint)
    assert (row.status, row.body) == ("cancelled", "")
