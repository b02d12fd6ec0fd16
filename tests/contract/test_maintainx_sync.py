"""The whole way: what is in the CMMS comes into the copy, and follows its changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from connections.services import create_connection
from core.ids import new_id
from integrations.connectors.maintainx import MaintainX
from integrations.simulators import running
from integrations.simulators.kit.server import Simulator
from syncs.services import ensure_syncs
from tests.contract.test_maintainx_connector import TABLES
from tests.syncing import copy_of, run_sync, sync_of
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """Without the vendor's limit, which would have the test wait for minutes."""
    monkeypatch.setattr(MaintainX, "limits", replace(MaintainX.limits, per_minute=None))
    with running("maintainx") as found:
        yield found


@pytest.fixture
def connection(plant: Simulator) -> Connection:
    workspace = Workspace(name="Acme", slug=f"acme-{new_id().hex[-12:]}")
    workspace.save(force_insert=True)
    with scope(workspace=workspace.pk):
        return create_connection(
            workspace=workspace,
            system="maintainx",
            name="Nordmark plant",
            config={"base_url": plant.base_url},
            secrets={"api_key": plant.api_key},
            environment="test",
            page_size=50,
            by="test",
        )


def test_every_entity_when_synced_then_the_copy_equals_the_cmms(connection: Connection, plant: Simulator) -> None:
    assert (connection.status, connection.account) == ("active", "organization 501")
    with scopes_disabled():
        syncs = ensure_syncs(connection)
    for sync in syncs:
        run = run_sync(sync, rounds=3)
        assert (run.status, run.error, run.quarantined_count) == ("completed", None, 0), sync.entity
        full = run_sync(sync, "full", rounds=3)
        assert full.status == "completed", sync.entity
        assert (full.updated_count, full.deleted_count) == (0, 0), sync.entity
        there = {str(row["id"]) for row in plant.control.objects(TABLES[sync.entity]) if row["deletedAt"] is None}
        found = set(copy_of(sync).live)
        assert found <= there
        # Of documents the first sync takes those of the last months and what is still open.
        assert found == there or sync.entity in ("work_order", "purchase_order"), sync.entity


def test_order_when_changed_and_deleted_in_the_cmms_then_the_copy_follows(
    connection: Connection, plant: Simulator
) -> None:
    sync = sync_of(connection)
    run_sync(sync, rounds=3)
    changed, gone, *_ = sorted(copy_of(sync).live)
    plant.control.change("purchaseorders", int(changed), note="Gate 4.")
    plant.control.change("purchaseorders", int(gone), deletedAt="2026-11-24T07:00:00.000Z")

    run_sync(sync, rounds=3)
    assert copy_of(sync).live[changed]["notes"] == "Gate 4."
    run_sync(sync, "full", rounds=3)

    found = copy_of(sync)
    assert gone in found.deleted and found.versions[changed] == 2
