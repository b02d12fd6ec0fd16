"""What the customer does not share is never fetched and never written, whoever asks and however."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django_scopes import scope

from connections.models import Connection
from connections.services import card_of
from connections.services.systems import update_system_settings
from core.http import Door
from core.leases import Lease
from syncs.choices import OperationStatus, RunStatus
from syncs.engine import checkpoint
from syncs.engine.run import execute_run
from syncs.models import Record, Sync, SyncRun
from syncs.services import ensure_syncs, sync_status
from syncs.ticks import dispatch_due_syncs, make_missing_syncs
from tests.operating import CREATE, cmms, plant, record_of, wanted, worked  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import api, make_token

pytestmark = pytest.mark.django_db
SHARED = {"vendor": "read", "location": "read_write"}


def share(connection: Connection, shared: dict[str, str] | None = SHARED, **values: Any) -> None:
    with scope(workspace=connection.workspace_id):
        Connection.objects.filter(pk=connection.pk).update(shared=shared, **values)
    connection.refresh_from_db()


def caller(connection: Connection) -> Client:
    return api(make_token(connection.workspace, environment="test", connection_id=connection.pk)[1])


@pytest.fixture
def called(monkeypatch: Any) -> list[str]:
    """The addresses of every call that leaves."""
    urls: list[str] = []
    send = Door.send

    def noting(self: Door, request: Any) -> Any:
        urls.append(request.url)
        return send(self, request)

    monkeypatch.setattr(Door, "send", noting)
    return urls


def test_only_what_is_shared_gets_a_sync_and_a_run(plant: Connection) -> None:
    share(plant)
    make_missing_syncs()
    assert make_missing_syncs() == 0, "what is not shared must not be looked for again and again"
    assert dispatch_due_syncs() == 2
    with scope(workspace=plant.workspace_id):
        assert set(Sync.objects.values_list("entity", flat=True)) == set(SHARED)
        assert set(SyncRun.objects.values_list("sync__entity", flat=True)) == set(SHARED)


def test_what_is_no_longer_shared_is_not_dispatched_nor_started_by_hand(plant: Connection) -> None:
    with scope(workspace=plant.workspace_id):
        ensure_syncs(plant)
        sync = sync_of(plant, "asset")
    share(plant)

    assert dispatch_due_syncs() == 2
    answer = caller(plant).post(
        f"/api/v1/syncs/syn_{sync.pk.hex}/runs", {"mode": "full"}, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "ENTITY_NOT_SHARED")
    with scope(workspace=plant.workspace_id):
        (status,) = sync_status([plant])
    assert {entity.entity for entity in status.entities} == set(SHARED)


def test_a_run_under_way_stops_before_its_next_call(plant: Connection, called: list[str]) -> None:
    with scope(workspace=plant.workspace_id):
        sync = sync_of(plant, "asset")
    dispatch_due_syncs()
    share(plant)
    with scope(workspace=plant.workspace_id):
        run = SyncRun.objects.get(sync=sync)
        execute_run(run.pk)
        run.refresh_from_db()
    assert run.status == RunStatus.CANCELLED
    assert not called


def test_a_run_stops_at_its_page_when_sharing_ends_meanwhile(plant: Connection, monkeypatch: Any) -> None:
    """As a second process would end it: between the fetching of a page and its writing."""
    rows = Connection.objects.with_scopes_disabled().filter(pk=plant.pk)
    rows.update(page_size=2)
    hold = checkpoint.hold
    written = []

    def hold_and_end(lease: Lease) -> None:
        written.append(lease)
        rows.update(shared=SHARED)
        hold(lease)

    monkeypatch.setattr("syncs.engine.writing.hold", hold_and_end)
    run = run_sync(sync_of(plant, "asset"))
    assert run.status == RunStatus.CANCELLED
    assert len(written) == 1, "the page under way is the last"


def test_the_copy_of_what_is_no_longer_shared_is_not_shown(plant: Connection) -> None:
    run_sync(sync_of(plant, "asset"))
    with scope(workspace=plant.workspace_id):
        record = Record.objects.filter(entity="asset").first()
    assert record is not None
    address = f"/api/v1/assets/as_{record.pk.hex}"
    client = caller(plant)
    assert client.get("/api/v1/assets").status_code == 200
    address = f"/api/v1/assets/{client.get('/api/v1/assets?limit=1').json()['data'][0]['id']}"
    share(plant)
    for path in ("/api/v1/assets", address):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (422, "ENTITY_NOT_SHARED"), path
    refreshed = client.post(f"{address}/refresh", content_type="application/json")
    assert (refreshed.status_code, refreshed.json()["code"]) == (422, "ENTITY_NOT_SHARED")


def test_writing_is_refused_before_any_call_and_says_why(plant: Connection, called: list[str]) -> None:
    share(plant)
    answer = caller(plant).post("/api/v1/vendors", {"name": "New"}, content_type="application/json")
    assert answer.status_code == 422
    assert "does not share writing vendors" in answer.json()["detail"]
    assert not called
    with scope(workspace=plant.workspace_id):
        plain = {entity: card_of(plant, entity) for entity in ("vendor", "location", "asset")}
    assert plain["vendor"].operation("read") is None and plain["location"].operation("create") is None
    denied = plain["asset"].operation("read")
    assert denied is not None and denied.reason == "permission"
    told = caller(plant).get(f"/api/v1/connections/con_{plant.pk.hex}/capabilities").json()
    assert "does not share" in str(told)


def test_a_write_that_waits_is_not_sent_once_sharing_ended(plant: Connection, called: list[str]) -> None:
    operation = wanted(plant, "vendor", CREATE, {"name": "New vendor"})
    share(plant)
    worked(operation)
    assert operation.status == OperationStatus.FAILED
    assert operation.error["code"] == "ENTITY_NOT_SHARED"
    assert not called and record_of(operation) is None


def test_raw_calls_and_previews_are_refused(plant: Connection, called: list[str]) -> None:
    share(plant, passthrough_shared=False)
    client = caller(plant)
    raw = client.post("/api/v1/passthrough", {"method": "GET", "path": "/assets"}, content_type="application/json")
    assert (raw.status_code, raw.json()["code"]) == (403, "PASSTHROUGH_NOT_SHARED")
    preview = client.post(
        f"/api/v1/connections/con_{plant.pk.hex}/mappings/asset/preview", {"rows": []}, content_type="application/json"
    )
    assert (preview.status_code, preview.json()["code"]) == (403, "ENTITY_NOT_SHARED")
    assert not called


def test_everything_is_shared_where_nobody_chose(plant: Connection) -> None:
    assert plant.shared is None and plant.shares("asset", write=True)
    make_missing_syncs()
    assert dispatch_due_syncs() == 6


def test_new_connections_take_the_schedules_of_the_system(plant: Connection) -> None:
    schedules = {"vendor": {"interval_seconds": 3600, "enabled": True}, "asset": {"enabled": False}}
    with scope(workspace=plant.workspace_id):
        update_system_settings(
            workspace=plant.workspace,
            system="maintainx",
            environment="test",
            changes={"schedules": schedules},
            by="test",
        )
        made = {sync.entity: sync for sync in ensure_syncs(plant)}
    assert made["vendor"].interval_seconds == 3600 and not made["asset"].enabled
    assert made["location"].interval_seconds == 900
