"""Two workspaces with the same system, the same objects and the same ids there: nothing of one ever touches the other."""

from __future__ import annotations

from typing import Any

import pytest
from django_scopes import scopes_disabled

from connections.models import Connection
from syncs.choices import Review
from syncs.models import Record, RecordDictionary, Sync
from syncs.services import review_run
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import copy_of, event_types, events_of, run_sync, sync_of
from tests.tenancy.world import OWNED
from tests.tenants import api, make_token
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]
ENOUGH_TO_LEARN = 120


@pytest.fixture
def twins(erp_server: TestErpServer) -> tuple[Sync, Sync]:
    """The same orders through connections of two workspaces."""
    erp_server.add_orders(ENOUGH_TO_LEARN)
    first, second = sync_of(connect(erp_server)), sync_of(connect(erp_server))
    assert first.workspace_id != second.workspace_id
    return first, second


def rows_of(workspace: Workspace) -> dict[str, list[Any]]:
    """Every row of a workspace, to see that a run of another one wrote none of them."""
    with scopes_disabled():
        return {
            model.__name__: list(model._default_manager.filter(**{path: workspace.pk}).order_by("pk").values())
            for model, path in OWNED.items()
        }


def test_records_when_remote_ids_are_the_same_then_ids_are_not(twins: tuple[Sync, Sync]) -> None:
    first, second = twins
    run_sync(first)
    run_sync(second)
    assert set(copy_of(first).live) == set(copy_of(second).live) and len(copy_of(first).live) == ENOUGH_TO_LEARN
    with scopes_disabled():
        ids = [set(Record.objects.filter(connection=s.connection_id).values_list("pk", flat=True)) for s in twins]
        vendors = [{body["vendor"]["id"] for body in copy_of(sync).live.values()} for sync in twins]
    assert len(ids[0]) == len(ids[1]) == ENOUGH_TO_LEARN and not ids[0] & ids[1]
    assert not vendors[0] & vendors[1], "references differ as well, so none leads over"


def test_run_of_one_workspace_writes_nothing_to_the_other(twins: tuple[Sync, Sync], erp_server: TestErpServer) -> None:
    """Initial, unchanged, changed, swept and released: everything a run can write."""
    first, second = twins
    run_sync(first)
    before = rows_of(first.connection.workspace)
    run_sync(second)
    run_sync(second, "full")
    erp_server.change("orders", "1001", text="Changed since")
    erp_server.delete("orders", "1002")
    run_sync(second)
    run_sync(second, "full")
    run_sync(second, "remap")
    erp_server.delete("orders", *(str(number) for number in range(1003, 1060)))
    held = run_sync(second, "full")
    assert held.status == "needs_review"
    with scopes_disabled():
        review_run(held, Review.DELETED, by="test")
    assert copy_of(second).deleted and "1001" in copy_of(second).live
    assert rows_of(first.connection.workspace) == before
    assert not copy_of(first).deleted and copy_of(first).live["1001"]["description"] != "Changed since"


def test_events_of_a_run_stand_in_the_own_feed_alone(twins: tuple[Sync, Sync]) -> None:
    first, second = twins
    run_sync(first)
    assert event_types(first)["sync.completed"] == 1 and not events_of(second)
    told = events_of(first)
    run_sync(second)
    assert events_of(first) == told and events_of(second)[0]["position"] == 1
    assert {event["connection"] for event in told} == {f"con_{first.connection_id.hex}"}


def test_what_was_learnt_from_one_customer_packs_no_record_of_another(twins: tuple[Sync, Sync]) -> None:
    """Dictionaries hold pieces of the data they were learnt from."""
    for sync in twins:
        run_sync(sync)
    with scopes_disabled():
        owners = list(RecordDictionary.objects.values_list("connection_id", flat=True))
    assert sorted(owners) == sorted({sync.connection_id for sync in twins})
    with scopes_disabled():
        RecordDictionary.objects.filter(connection=twins[1].connection_id).delete()
    assert len(copy_of(twins[0]).live) == ENOUGH_TO_LEARN


def test_api_shows_each_its_own_copy(twins: tuple[Sync, Sync]) -> None:
    for sync in twins:
        run_sync(sync)
    seen = [ids_seen_by(sync.connection) for sync in twins]
    assert all(len(ids) == ENOUGH_TO_LEARN for ids in seen) and not seen[0] & seen[1]


def ids_seen_by(connection: Connection) -> set[str]:
    client = api(make_token(connection.workspace)[1])
    query = {"connection": f"con_{connection.pk.hex}", "limit": "500"}
    response = client.get("/api/v1/purchase-orders", query)
    assert response.status_code == 200, response.content
    return {record["id"] for record in response.json()["data"]}
