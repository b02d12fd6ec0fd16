"""What MaintainX tells, over real HTTP: the simulator sends, the platform's own server receives, the copy follows."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from connections.services import create_connection
from core.ids import new_id
from integrations.connectors.maintainx import MaintainX
from integrations.connectors.maintainx.hooks import hooks as declared
from integrations.simulators import running
from integrations.simulators.kit.hooks import HookSender, Message
from integrations.simulators.kit.server import Simulator
from integrations.simulators.maintainx.subscriptions import TYPES
from syncs.engine.run import execute_run
from syncs.models import Sync, SyncRun
from syncs.ticks import dispatch_due_syncs, heed_inbound_hooks
from tests.syncing import copy_of, run_sync, sync_of
from webhooks.models import InboundHook
from webhooks.services import hook_addresses
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.filterwarnings("ignore:No directory at")]


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """Without the vendor's limit, which would have the test wait for minutes."""
    monkeypatch.setattr(MaintainX, "limits", replace(MaintainX.limits, per_minute=None))
    with running("maintainx", scale=0.1) as found:
        yield found


@pytest.fixture
def connection(plant: Simulator, live_server: Any, settings: Any) -> Connection:
    settings.PUBLIC_URL = live_server.url
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


@pytest.fixture
def sync(connection: Connection) -> Sync:
    """Synced, and due in an hour."""
    found = sync_of(connection, "work_order")
    assert run_sync(found, rounds=3).status == "completed"
    with scopes_disabled():
        Sync.objects.filter(connection=connection).update(next_run_at=timezone.now() + timedelta(hours=1))
    return found


def call(plant: Simulator, method: str, path: str, body: Any = None) -> Any:
    """As a customer's script does it."""
    key = {"Authorization": f"Bearer {plant.api_key}"}
    answer = requests.request(method, plant.base_url + path, json=body, headers=key, timeout=10)
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def subscribe(plant: Simulator, connection: Connection, *types: str) -> list[int]:
    """Every type a subscription of its own, as the vendor has it, each with a secret of its own."""
    with scope(workspace=connection.workspace_id):
        _, url = hook_addresses.make_address(connection)
        made = [call(plant, "POST", "/subscriptions", {"type": kind, "url": url}) for kind in types]
        secrets = [call(plant, "GET", f"/subscriptions/{one['id']}/secret")["secret"] for one in made]
        assert secrets == [one["secret"] for one in made] and {one["status"] for one in made} == {"VALID"}
        hook_addresses.store_signing_secrets(connection, secrets)
    return [one["id"] for one in made]


def received() -> list[InboundHook]:
    with scopes_disabled():
        return list(InboundHook.objects.order_by("received_at", "pk"))


def follow(sync: Sync) -> int:
    """As tick and worker would; answers how many runs there were."""
    heed_inbound_hooks()
    ran = 0
    while dispatch_due_syncs():
        with scopes_disabled():
            active = list(SyncRun.objects.filter(connection_id=sync.connection_id).active())
        for run in active:
            execute_run(run.pk)
            ran += 1
    return ran


def statuses(plant: Simulator) -> list[int | None]:
    assert plant.control.settle_hooks()
    return [one["status"] for one in plant.control.hooks()["sent"]]


def test_every_declared_type_is_one_of_the_vendors_and_leads_to_an_entity() -> None:
    assert set(declared.entities) <= set(TYPES)
    assert set(declared.entities.values()) <= set(MaintainX.resources()) == set(declared.ids)
    assert declared.deleting <= set(declared.entities)


def test_change_there_is_in_the_copy_after_one_run_that_nobody_asked_for(
    sync: Sync, connection: Connection, plant: Simulator
) -> None:
    subscribe(plant, connection, "NEW_WORK_ORDER", "WORK_ORDER_CHANGE", "WORK_ORDER_STATUS_CHANGE")
    made = call(plant, "POST", "/workorders", {"title": "Check the pump"})["id"]
    assert statuses(plant) == [202]
    assert follow(sync) == 1
    assert copy_of(sync).live[str(made)]["title"] == "Check the pump"

    call(plant, "PATCH", f"/workorders/{made}/status", {"status": "DONE"})
    assert statuses(plant) == [202, 202, 202], "a change, and one of its status"
    assert follow(sync) == 1
    assert copy_of(sync).live[str(made)]["status"] == "completed"
    assert [hook.status for hook in received()] == ["done"] * 3
    assert "[cut]" in received()[0].headers["x-maintainx-webhook-body-signature"]


def test_deletion_there_is_in_the_copy_without_a_full_run(sync: Sync, connection: Connection, plant: Simulator) -> None:
    subscribe(plant, connection, "WORK_ORDER_DELETE")
    gone = sorted(copy_of(sync).live, key=int)[0]
    call(plant, "DELETE", f"/workorders/{gone}")
    assert statuses(plant) == [202]
    assert follow(sync) == 1
    assert copy_of(sync).deleted == {gone}


def test_quiet_writes_tell_nobody(sync: Sync, connection: Connection, plant: Simulator) -> None:
    (number,) = subscribe(plant, connection, "NEW_WORK_ORDER")
    call(plant, "POST", "/workorders?skipWebhook=true", {"title": "Ours"})
    call(plant, "POST", "/workorders", {"title": "Ours too", "skipRestHook": True})
    assert statuses(plant) == [] and received() == []
    call(plant, "PATCH", f"/subscriptions/{number}", {"type": "NEW_PART"})
    assert call(plant, "GET", f"/subscriptions/{number}")["subscription"]["type"] == "NEW_PART"
    call(plant, "POST", "/workorders", {"title": "Not subscribed any more"})
    call(plant, "DELETE", f"/subscriptions/{number}")
    assert statuses(plant) == []


@pytest.mark.parametrize(
    "fault",
    [{"copies": 3}, {"out_of_order": True}, {"late_seconds": 0.3}],
    ids=["several times", "out of order", "late"],
)
def test_messages_that_come_oddly_lead_to_the_same_copy(
    sync: Sync, connection: Connection, plant: Simulator, fault: dict[str, Any]
) -> None:
    subscribe(plant, connection, "NEW_WORK_ORDER", "WORK_ORDER_CHANGE")
    plant.control.settings(hooks=fault)
    made = [call(plant, "POST", "/workorders", {"title": f"Order {number}"})["id"] for number in range(3)]
    call(plant, "PATCH", f"/workorders/{made[0]}", {"title": "Changed"})
    assert set(statuses(plant)) == {202}
    assert follow(sync) == 1
    assert [copy_of(sync).live[str(one)]["title"] for one in made] == ["Changed", "Order 1", "Order 2"]
    done = [hook.status for hook in received()]
    assert done.count("done") == 4 and done.count("ignored") == (8 if "copies" in fault else 0)


@pytest.mark.parametrize("fault", [{"wrong_signature": True}, {"old_seconds": 400}], ids=["forged", "old"])
def test_messages_that_are_not_believed_start_nothing(
    sync: Sync, connection: Connection, plant: Simulator, fault: dict[str, Any]
) -> None:
    subscribe(plant, connection, "NEW_WORK_ORDER")
    plant.control.settings(hooks=fault)
    call(plant, "POST", "/workorders", {"title": "Check the pump"})
    assert statuses(plant) == [401]
    assert [hook.status for hook in received()] == ["refused"]
    assert follow(sync) == 0


def test_message_is_lost_then_the_schedule_catches_up(sync: Sync, connection: Connection, plant: Simulator) -> None:
    with scope(workspace=connection.workspace_id):
        _, url = hook_addresses.make_address(connection)
        hook_addresses.remove_address(connection)
    call(plant, "POST", "/subscriptions", {"type": "NEW_WORK_ORDER", "url": url})
    made = call(plant, "POST", "/workorders", {"title": "Check the pump"})["id"]
    assert statuses(plant) == [404] and received() == []
    with scopes_disabled():
        Sync.objects.filter(pk=sync.pk).update(next_run_at=timezone.now())
    assert follow(sync) == 1 and str(made) in copy_of(sync).live


def test_both_signatures_are_as_the_vendor_describes_them(
    plant: Simulator, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Computed here a third time, by the words of the vendor's document alone."""
    subscribe(plant, connection, "NEW_VENDOR")
    seen: list[Message] = []
    plain = HookSender.add

    def add(self: HookSender, found: list[Message]) -> None:
        seen.extend(found)
        plain(self, found)

    monkeypatch.setattr(HookSender, "add", add)
    call(plant, "POST", "/vendors", {"name": "Nordring"})
    assert statuses(plant) == [202]
    (subscription,) = plant.control.objects("subscriptions")
    headers = seen[0].sign(1_764_000_000.5, True)
    for name, data in (("body", seen[0].body.decode()), ("uri", seen[0].url)):
        expected = hmac.new(subscription["secret"].encode(), f"1764000000.{data}".encode(), "sha256").hexdigest()
        assert headers[f"x-maintainx-webhook-{name}-signature"] == f"t=1764000000,v1={expected}"
