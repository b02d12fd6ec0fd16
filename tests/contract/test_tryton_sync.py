"""The whole way on a real ERP: Tryton changes, and the copy follows; much vanishes, and it is held for review."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from connections.services import create_connection
from core.ids import new_id
from sandbox.tryton import TrytonServer, running
from sandbox.tryton.client import TrytonClient
from syncs.choices import Review
from syncs.models import Suspect
from syncs.services import ensure_syncs, review_run, sync_status
from tests.syncing import copy_of, record_events, run_sync, sync_of
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]


@pytest.fixture
def plant() -> Iterator[TrytonServer]:
    """A Tryton of its own: these tests delete half of it."""
    with running() as server:
        yield server


@pytest.fixture
def person(plant: TrytonServer) -> TrytonClient:
    """Somebody who works in the customer's ERP."""
    return TrytonClient(plant.base_url, plant.database).login(plant.admin_user, plant.admin_password)


@pytest.fixture
def connection(plant: TrytonServer) -> Connection:
    workspace = Workspace(name="Acme", slug=f"acme-{new_id().hex[-12:]}")
    workspace.save(force_insert=True)
    with scope(workspace=workspace.pk):
        return create_connection(
            workspace=workspace,
            system="tryton",
            name="Nordmark plant",
            config={"base_url": plant.base_url, "database": plant.database, "user": plant.user},
            secrets={"password": plant.password},
            environment="test",
            page_size=50,
            by="test",
        )


def test_every_entity_when_synced_then_the_copy_equals_the_erp(connection, person) -> None:
    assert connection.status == "active" and connection.account
    with scopes_disabled():
        syncs = ensure_syncs(connection)
    for sync in syncs:
        run = run_sync(sync, rounds=5)
        assert (run.status, run.error, run.quarantined_count) == ("completed", None, 0), sync.entity
        assert run.page_no == max(1, -(-run.read_count // 50)), sync.entity
        again = run_sync(sync, "full")
        assert (again.updated_count, again.created_count, again.deleted_count) == (0, 0, 0), sync.entity
    products = person.call("model.product.product.search_count", [["active", "in", [True, False]]])
    assert len(copy_of(sync_of(connection, "inventory_item")).live) == products == 215
    assert len(copy_of(sync_of(connection, "vendor")).live) == 76
    with scopes_disabled():
        assert sync_status([connection])[0].status == "completed"


def test_purchase_order_when_changed_and_deleted_in_the_erp_then_the_copy_follows(connection, person) -> None:
    sync = sync_of(connection)
    run_sync(sync, rounds=5)
    drafts = person.call("model.purchase.purchase.search", [["state", "=", "draft"]], 0, 3, [["id", "ASC"]])
    changed, gone, kept = drafts
    assert copy_of(sync).live[str(changed)]["status"] == "draft"
    person.call("model.purchase.purchase.write", [changed], {"reference": "URGENT-7"})
    run = run_sync(sync, "incremental")
    copy = copy_of(sync)
    assert run.status == "completed" and copy.live[str(changed)]["reference"] == "URGENT-7"
    assert copy.versions[str(changed)] == 2 and copy.versions[str(kept)] == 1

    person.call("model.purchase.purchase.cancel", [gone])
    person.call("model.purchase.purchase.delete", [gone])
    run = run_sync(sync, "full")
    assert (run.status, run.deleted_count) == ("completed", 1)
    assert copy_of(sync).deleted == {str(gone)}
    deleted = [key for key in record_events(sync) if key[0] == "record.deleted"]
    assert len(deleted) == 1


def test_purchase_orders_when_half_of_them_vanish_then_they_are_held_and_a_release_lets_them_live(
    connection, person
) -> None:
    sync = sync_of(connection)
    run_sync(sync, rounds=5)
    before = set(copy_of(sync).live)
    confirmed = person.call("model.purchase.purchase.search", [["state", "=", "confirmed"]], 0, None, None)
    person.call("model.purchase.purchase.draft", confirmed)
    loose = person.call("model.purchase.purchase.search", [["state", "in", ["draft", "quotation"]]], 0, None, None)
    person.call("model.purchase.purchase.cancel", loose)
    every = person.call("model.purchase.purchase.search", [["state", "=", "cancelled"]], 0, None, None)
    person.call("model.purchase.purchase.delete", every)
    run = run_sync(sync, "full")
    vanished = before & {str(pk) for pk in every}
    assert run.status == "needs_review" and len(vanished) > 0.4 * len(before)
    assert set(copy_of(sync).live) == before
    with scopes_disabled():
        assert Suspect.objects.filter(run=run).count() == len(vanished)
        told = {entity.entity: entity for entity in sync_status([connection])[0].entities}["purchase_order"]
        assert told.status == "needs_review" and told.error["code"] == "DELETIONS_NEED_REVIEW"
        review_run(run, Review.RELEASED, by="test")
    assert set(copy_of(sync).live) == before
    held = run_sync(sync, "full")
    with scopes_disabled():
        review_run(held, Review.DELETED, by="test")
    assert copy_of(sync).deleted == vanished
