"""What systems told, worked off into syncs that are due."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone
from django_scopes import scopes_disabled

from connections.models import Connection
from integrations.sdk.hooks import Hooks
from syncs.engine.run import execute_run
from syncs.models import Reread, Sync, SyncRun
from syncs.services import pause_sync
from syncs.services.heeding import heed_batch
from syncs.ticks import dispatch_due_syncs, heed_inbound_hooks
from tests.connectors import TestErpServer, connect, erp_server  # noqa: F401
from tests.inbound_stage import SECRET, Sender, connection, erp, fresh, hooks, is_due, make, sender, synced  # noqa: F401
from tests.syncing import copy_of
from webhooks.models import InboundHook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:No directory at"),
]


def runs(sync: Sync) -> int:
    with scopes_disabled():
        return SyncRun.objects.filter(sync=sync).count()


def test_message_makes_the_sync_it_names_due_and_no_other(sender: Sender, connection: Connection) -> None:
    orders, vendors = synced(connection), synced(connection, "vendor")
    sender.send(order={"id": 1001})
    assert heed_inbound_hooks() == 1
    (hook,) = hooks()
    assert (hook.status, hook.entities) == ("done", ["purchase_order"]) and hook.done_at is not None
    assert is_due(orders) and not is_due(vendors)
    assert dispatch_due_syncs() >= 1
    assert runs(orders) == 2 and runs(vendors) == 1


def test_message_of_no_interest_is_ignored(sender: Sender, connection: Connection) -> None:
    sync = synced(connection)
    sender.send("user.logged_in")
    sender.raw(b"{}")
    assert heed_batch() == 2
    assert [hook.status for hook in hooks()] == ["ignored", "ignored"]
    assert "user.logged_in" in hooks()[0].error and not is_due(sync)


def test_message_without_a_type_is_about_what_its_ids_name(sender: Sender, connection: Connection) -> None:
    orders, vendors = synced(connection), synced(connection, "vendor")
    sender.raw(b'{"vendor": {"id": 7}}')
    heed_batch()
    assert hooks()[0].entities == ["vendor"]
    assert is_due(vendors) and not is_due(orders)


def test_message_sent_twice_is_ignored_the_second_time(sender: Sender, connection: Connection) -> None:
    for _ in range(2):
        sender.send(message="m-1")
    heed_batch()
    sender.send(message="m-1")
    sender.send(message="m-2")
    heed_batch()
    assert [hook.status for hook in hooks()] == ["done", "ignored", "ignored", "done"]


def test_message_id_of_another_connection_is_another_message(sender: Sender, erp: TestErpServer) -> None:
    other = Sender(make(connect(erp), [SECRET]))
    sender.send(message="m-1")
    heed_batch()
    other.send(message="m-1")
    heed_batch()
    assert [hook.status for hook in hooks()] == ["done", "done"]


def test_thousand_messages_make_at_most_two_runs(sender: Sender, connection: Connection, erp: TestErpServer) -> None:
    sync = synced(connection)
    before = runs(sync)
    body = b'{"type": "order.changed"}'
    kept = sender.raw(body) and hooks()[0]
    with scopes_disabled():
        facts = {"workspace_id": kept.workspace_id, "connection_id": kept.connection_id, "body": body}
        InboundHook.objects.bulk_create(InboundHook(**facts) for _ in range(999))
    # Some are worked off, a run begins, the others come while it is under way.
    heed_batch(400)
    assert dispatch_due_syncs() == 1
    begin_run(sync)
    while heed_batch(100):
        assert dispatch_due_syncs() == 0
    work(sync)
    assert runs(sync) - before == 2
    assert {hook.status for hook in hooks()} == {"done"}


def begin_run(sync: Sync) -> None:
    """As its worker fixes the window and dies."""
    with database.cursor() as cursor:
        cursor.execute("UPDATE syncs_syncrun SET window_until = clock_timestamp() WHERE status = 'queued'")
    with scopes_disabled():
        assert SyncRun.objects.filter(sync=sync, window_until__isnull=False).active().exists()


def work(sync: Sync) -> None:
    """What is queued, and what is due after it."""
    for _ in range(5):
        with scopes_disabled():
            active = SyncRun.objects.filter(sync=sync).active().first()
        if active is not None:
            execute_run(active.pk)
        elif dispatch_due_syncs() == 0:
            return


def test_message_during_a_run_asks_for_one_more(sender: Sender, connection: Connection) -> None:
    sync = synced(connection)
    sender.send()
    heed_batch()
    dispatch_due_syncs()
    sender.send()
    heed_batch()
    assert fresh(sync).requested_mode == "", "the run that waits will see it"
    begin_run(sync)
    sender.send()
    heed_batch()
    assert fresh(sync).requested_mode == "incremental"


def test_full_run_that_is_due_is_not_put_off_by_messages(sender: Sender, connection: Connection) -> None:
    sync = synced(connection)
    with scopes_disabled():
        Sync.objects.filter(pk=sync.pk).update(
            next_full_at=timezone.now() - timedelta(minutes=1), requested_mode="incremental", next_run_at=timezone.now()
        )
    dispatch_due_syncs()
    with scopes_disabled():
        assert SyncRun.objects.filter(sync=sync).latest("created_at").mode == "full"


@pytest.mark.parametrize("why", ["sync paused", "connection paused", "not shared", "needs sign-in", "failing"])
def test_message_does_not_start_what_must_not_run(sender: Sender, connection: Connection, why: str) -> None:
    sync = synced(connection)
    with scopes_disabled():
        rows, syncs = Connection.objects.filter(pk=connection.pk), Sync.objects.filter(pk=sync.pk)
        if why == "sync paused":
            pause_sync(sync)
        if why == "connection paused":
            rows.update(paused=True)
        if why == "not shared":
            rows.update(shared={"vendor": "read"})
        if why == "needs sign-in":
            rows.update(health="needs_reauth")
        if why == "failing":
            syncs.update(failures_in_row=2)
        syncs.update(next_run_at=timezone.now() + timedelta(hours=1))
    assert sender.send().status_code == 202
    heed_batch()
    assert hooks()[0].status == "done" and not is_due(sync)


def test_change_that_was_told_is_in_the_copy_after_the_run(
    sender: Sender, connection: Connection, erp: TestErpServer
) -> None:
    erp.add_orders(3)
    sync = synced(connection)
    erp.change("orders", "1002", notes="Gate 9.")
    sender.send(order={"id": 1002, "notes": "A lie."})
    heed_batch()
    work(sync)
    assert copy_of(sync).live["1002"]["notes"] == "Gate 9."


def test_deletion_that_was_told_is_asked_for_and_in_the_copy_at_once(
    sender: Sender, connection: Connection, erp: TestErpServer
) -> None:
    erp.add_orders(3)
    sync = synced(connection)
    erp.delete("orders", "1002")
    sender.send("order.deleted", order={"id": 1002})
    sender.send("order.deleted", order={"id": 1003})  # a lie: it is still there
    heed_batch()
    work(sync)
    assert copy_of(sync).deleted == {"1002"}
    with scopes_disabled():
        assert not Reread.objects.filter(sync=sync).exists()


def test_work_that_is_lost_half_way_is_done_by_the_next(
    sender: Sender, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = synced(connection)
    sender.send(message="m-1")
    with monkeypatch.context() as patched:
        patched.setattr("syncs.services.heeding._make_due", _die)
        with pytest.raises(KeyboardInterrupt):
            heed_batch()
    assert [hook.status for hook in hooks()] == ["received"] and not is_due(sync)
    heed_batch()
    assert [hook.status for hook in hooks()] == ["done"] and is_due(sync)


def _die(*_: Any) -> None:
    raise KeyboardInterrupt


def test_message_that_breaks_its_connector_does_not_hold_up_the_others(
    sender: Sender, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Hooks.read

    def read(self: Hooks, body: bytes) -> Any:
        if b"poison" in body:
            raise ZeroDivisionError
        return plain(self, body)

    sync = synced(connection)
    monkeypatch.setattr(Hooks, "read", read)
    sender.send(poison=True)
    sender.send()
    assert heed_batch() == 2
    assert [hook.status for hook in hooks()] == ["failed", "done"] and is_due(sync)
