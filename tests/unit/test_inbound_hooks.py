"""What systems tell: stored as it came, verified as declared, worked off into syncs that are due."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from connections.services import delete_connection, disconnect_connection
from core import ids
from core.errors import ConflictError, NotFoundError, NotSupportedError, ValidationFailedError
from core.ids import new_id
from core.redaction import redact_text
from integrations.sdk.hooks import HmacSignature, Hooks, SharedSecret
from syncs.engine.run import execute_run
from syncs.models import Reread, Sync, SyncRun
from syncs.services import pause_sync
from syncs.services.heeding import heed_batch
from syncs.ticks import dispatch_due_syncs, heed_inbound_hooks, purge_deleted_connections
from tests.connectors import TestErp, TestErpServer, connect, erp_server  # noqa: F401
from tests.syncing import copy_of, run_sync, sync_of
from webhooks.inbound_ticks import forget_inbound_hooks
from webhooks.models import HookAddress, InboundHook
from webhooks.services import hook_addresses, inbound
from workspaces.models import AuditEvent

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:No directory at"),
]

SECRET = "a secret both sides know"


class HookedErp(TestErp):
    """Signs what it tells, and names it."""

    hooks = Hooks(
        signature=HmacSignature("X-Erp-Signature", prefix="sha256="),
        entities={"order.changed": "purchase_order", "order.deleted": "purchase_order", "vendor.changed": "vendor"},
        ids={"purchase_order": "order.id", "vendor": "vendor.id"},
        deleting=frozenset({"order.deleted"}),
        message_id=("message",),
    )


class SharingErp(TestErp):
    """Sends a secret along."""

    hooks = Hooks(entities={"order.changed": "purchase_order"}, signature=SharedSecret("X-Erp-Key"))


class OpenErp(TestErp):
    """Neither signs nor sends a secret: the address alone counts."""

    hooks = Hooks(entities={"order.changed": "purchase_order"})


class Sender:
    """The system: sends to an address, signed."""

    def __init__(self, url: str, secret: str = SECRET) -> None:
        self.path, self.secret = url, secret
        self.client = Client(raise_request_exception=False, enforce_csrf_checks=True)

    def send(self, kind: str = "order.changed", **rest: Any) -> Any:
        return self.raw(json.dumps({"type": kind, **rest}).encode())

    def raw(self, body: bytes, **headers: str) -> Any:
        named = {"X-Erp-Signature": "sha256=" + hmac.digest(self.secret.encode(), body, "sha256").hex(), **headers}
        return self.client.post(self.path, body, content_type="application/json", headers=named)


@pytest.fixture
def erp(settings: Any, erp_server: TestErpServer) -> TestErpServer:
    settings.CONNECTORS = [f"{__name__}.HookedErp"]
    return erp_server


@pytest.fixture
def connection(erp: TestErpServer) -> Connection:
    return connect(erp)


@pytest.fixture
def sender(connection: Connection) -> Sender:
    return Sender(make(connection, [SECRET]))


def make(connection: Connection, secrets: list[str] | None = None) -> str:
    """The path of a new address."""
    with scope(workspace=connection.workspace_id):
        _, url = hook_addresses.make_address(connection, signing_secrets=secrets)
    return url[url.index("/hooks/") :]


def hooks() -> list[InboundHook]:
    with scopes_disabled():
        return list(InboundHook.objects.order_by("received_at", "pk"))


def synced(connection: Connection, entity: str = "purchase_order") -> Sync:
    """A sync that has nothing to do for a while."""
    sync = sync_of(connection, entity)
    assert run_sync(sync).status == "completed"
    with scopes_disabled():  # those of the other entities wait
        others = Sync.objects.filter(connection=connection, initial_completed_at=None)
        others.update(next_run_at=timezone.now() + timedelta(hours=1))
    return fresh(sync)


def fresh(sync: Sync) -> Sync:
    with scopes_disabled():
        return Sync.objects.select_related("connection").get(pk=sync.pk)


def runs(sync: Sync) -> int:
    with scopes_disabled():
        return SyncRun.objects.filter(sync=sync).count()


def is_due(sync: Sync) -> bool:
    due = fresh(sync).next_run_at
    return due is not None and due <= timezone.now()


# --- received -----------------------------------------------------------------------------------------------------------


def test_message_when_signed_then_it_is_stored_as_it_came_and_answered_at_once(sender: Sender) -> None:
    body = b'{"type": "order.changed",  "order": {"id": 1001}}'
    answer = sender.raw(body, Authorization="Bearer do-not-keep-1", Cookie="a=b", **{"X-Api-Key": "do-not-keep-2"})
    (hook,) = hooks()
    assert (answer.status_code, answer.json()) == (202, {"status": "received"})
    assert (bytes(hook.body), hook.status, hook.error) == (body, "received", "")
    kept = json.dumps(hook.headers)
    assert "do-not-keep" not in kept and "cookie" not in hook.headers and "authorization" not in hook.headers
    assert hook.headers["content-type"] == "application/json"
    assert "sessionid" not in answer.cookies and "csrftoken" not in answer.cookies


@pytest.mark.parametrize("body", [b"", b"\x00\xff not text", b"[1,2"], ids=["empty", "bytes", "broken"])
def test_message_that_cannot_be_read_is_kept_and_fails(sender: Sender, body: bytes) -> None:
    assert sender.raw(body).status_code == 202
    assert heed_batch() == 1
    (hook,) = hooks()
    assert (hook.status, bytes(hook.body)) == ("failed", body)
    assert "JSON" in hook.error and hook.done_at is not None
    with scopes_disabled():
        assert inbound.try_again(hook) and not inbound.try_again(hook)


@pytest.mark.parametrize(
    "headers",
    [{"X-Erp-Signature": "sha256=" + "0" * 64}, {"X-Erp-Signature": ""}, {"X-Erp-Signature": "é"}],
    ids=["wrong", "none", "odd"],
)
def test_message_when_signature_is_wrong_then_401_and_it_is_kept_and_never_worked_off(
    sender: Sender, connection: Connection, headers: dict[str, str]
) -> None:
    sync = synced(connection)
    answer = sender.raw(b'{"type": "order.changed"}', **headers)
    assert (answer.status_code, answer.json()) == (401, {"status": "refused"})
    assert heed_batch() == 0
    (hook,) = hooks()
    assert hook.status == "refused" and hook.error and bytes(hook.body)
    assert not is_due(sync)
    with scopes_disabled():
        assert not inbound.try_again(hook)


def test_message_when_a_byte_was_changed_then_401(sender: Sender) -> None:
    signature = hmac.digest(SECRET.encode(), b'{"type": "order.changed"}', "sha256").hex()
    answer = sender.raw(b'{"type": "order.Changed"}', **{"X-Erp-Signature": f"sha256={signature}"})
    assert answer.status_code == 401


def test_message_when_no_signing_secret_is_stored_then_401_until_it_is(connection: Connection) -> None:
    sender = Sender(make(connection))
    assert sender.send().status_code == 401
    assert "No signing secret" in hooks()[0].error
    with scope(workspace=connection.workspace_id):
        hook_addresses.store_signing_secrets(connection, ["another", SECRET])
    assert sender.send().status_code == 202


def test_message_when_it_cannot_be_verified_then_503_and_it_is_kept(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> str:
        raise RuntimeError("the connector has a bug")

    monkeypatch.setattr(HmacSignature, "refusal", broken)
    answer = sender.send()
    assert (answer.status_code, answer.json()) == (503, {"status": "failed"})
    assert (hooks()[0].status, hooks()[0].error) == ("failed", "It could not be verified: RuntimeError.")
    with scopes_disabled():
        assert not inbound.try_again(hooks()[0]), "it was never verified"


def test_address_when_anything_of_it_is_wrong_then_404_without_a_word_more(
    sender: Sender, connection: Connection, erp: TestErpServer
) -> None:
    _, _, shown, secret = sender.path.split("/")
    other = ids.show(Connection.PREFIX, connect(erp).pk)
    wrong = [f"/hooks/{shown}/{secret[:-1]}A", f"/hooks/{other}/{secret}", f"/hooks/con_{new_id().hex}/{secret}",
             f"/hooks/{shown}/x", "/hooks/nothing/x"]  # fmt: skip
    answers = []
    for path in wrong:
        sender.path = path
        answers.append(sender.send())
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert hooks() == []


def test_other_methods_are_refused(sender: Sender) -> None:
    for method in ("get", "put", "patch", "delete", "options", "head"):
        assert getattr(sender.client, method)(sender.path).status_code == 405, method


def test_body_of_more_than_a_megabyte_is_413_and_not_stored(sender: Sender) -> None:
    assert sender.raw(b"x" * (inbound.MAX_BODY_BYTES + 1)).status_code == 413
    assert sender.raw(b"x" * (3 * 1024 * 1024)).status_code == 413
    assert hooks() == []
    assert sender.raw(b" " * inbound.MAX_BODY_BYTES).status_code == 202


def test_body_in_chunks_is_read_to_its_end(sender: Sender) -> None:
    """As gunicorn hands it over: no length, and a stream that ends by itself."""
    body = b'{"type": "order.changed"}'
    signature = "sha256=" + hmac.digest(SECRET.encode(), body, "sha256").hex()
    chunked: dict[str, Any] = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    answer = sender.client.generic("POST", sender.path, headers={"X-Erp-Signature": signature}, **chunked)
    assert answer.status_code == 202
    assert bytes(hooks()[0].body) == body


def test_messages_beyond_the_limit_are_429_with_the_time_to_wait(sender: Sender, settings: Any) -> None:
    settings.RATE_LIMIT_HOOKS = 3
    answers = [sender.send() for _ in range(5)]
    assert [answer.status_code for answer in answers].count(429) >= 1
    assert answers[-1].status_code == 429 and 1 <= int(answers[-1]["Retry-After"]) <= 60
    assert len(hooks()) <= 6


def test_connection_when_ended_then_410_and_when_deleted_404(sender: Sender, connection: Connection) -> None:
    disconnect_connection(connection, by="test")
    assert sender.send().status_code == 410
    delete_connection(connection, by="test")
    assert sender.send().status_code == 404
    assert hooks() == []


def test_address_when_renewed_then_the_former_one_is_nobodys_and_the_secret_stays(
    sender: Sender, connection: Connection
) -> None:
    renewed = Sender(make(connection))
    assert sender.send().status_code == 404
    assert renewed.send().status_code == 202
    with scope(workspace=connection.workspace_id):
        hook_addresses.remove_address(connection)
        with pytest.raises(NotFoundError):
            hook_addresses.address_of(connection)
    assert renewed.send().status_code == 404


def test_secrets_are_kept_encrypted_and_as_digests_and_cut_from_logs(sender: Sender, connection: Connection) -> None:
    secret = sender.path.rpartition("/")[2]
    with database.cursor() as cursor:
        cursor.execute("SELECT a::text FROM webhooks_hookaddress a")
        row = cursor.fetchone()[0]
        assert SECRET.encode().hex() not in row and secret.encode().hex() not in row and secret not in row
    with scopes_disabled():
        audited = list(AuditEvent.objects.filter(action__startswith="hook_address").values_list("action", "details"))
    assert audited == [("hook_address.made", {"signing_secrets": 1})]
    assert secret not in redact_text(f"POST {sender.path} 202") and "/hooks/con_" in redact_text(sender.path)


def test_address_is_refused_where_it_makes_no_sense(connection: Connection, settings: Any) -> None:
    with scope(workspace=connection.workspace_id):
        for secrets in (["two\nlines"], ["  "], ["x"] * 61, ["x" * 1001]):
            with pytest.raises(ValidationFailedError):
                hook_addresses.make_address(connection, signing_secrets=secrets)
        settings.CONNECTORS = [f"{__name__}.OpenErp"]
        with pytest.raises(ValidationFailedError):
            hook_addresses.make_address(connection, signing_secrets=["x"])
        settings.CONNECTORS = ["tests.connectors.TestErp"]
        with pytest.raises(NotSupportedError):
            hook_addresses.make_address(connection)
        settings.CONNECTORS = [f"{__name__}.HookedErp"]
        disconnect_connection(connection, by="test")
        with pytest.raises(ConflictError):
            hook_addresses.make_address(connection)


def test_system_that_sends_its_secret_along_is_believed_by_it_and_it_is_not_kept(
    connection: Connection, settings: Any
) -> None:
    settings.CONNECTORS = [f"{__name__}.SharingErp"]
    sender = Sender(make(connection, [SECRET]))
    body = b'{"type": "order.changed"}'
    assert sender.raw(body, **{"X-Erp-Key": SECRET}).status_code == 202
    assert sender.raw(body, **{"X-Erp-Key": "wrong"}).status_code == 401
    assert sender.raw(body).status_code == 401
    assert all("x-erp-key" not in hook.headers for hook in hooks())


def test_system_that_signs_nothing_is_believed_by_the_address(connection: Connection, settings: Any) -> None:
    settings.CONNECTORS = [f"{__name__}.OpenErp"]
    sync = synced(connection)
    assert Sender(make(connection)).send().status_code == 202
    heed_batch()
    assert is_due(sync)


# --- worked off ---------------------------------------------------------------------------------------------------------


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


# --- forgotten ----------------------------------------------------------------------------------------------------------


def test_messages_are_forgotten_after_14_days_and_addresses_of_ended_connections(
    sender: Sender, connection: Connection
) -> None:
    sender.send()
    sender.send()
    with scopes_disabled():
        InboundHook.objects.filter(pk=hooks()[0].pk).update(received_at=timezone.now() - timedelta(days=14, minutes=1))
        InboundHook.objects.filter(pk=hooks()[1].pk).update(received_at=timezone.now() - timedelta(days=13))
    assert forget_inbound_hooks() == 1 and len(hooks()) == 1
    disconnect_connection(connection, by="test")
    assert forget_inbound_hooks() == 1
    with scopes_disabled():
        assert not HookAddress.objects.exists()


def test_purge_of_a_connection_takes_its_messages_and_address(sender: Sender, connection: Connection) -> None:
    sender.send()
    delete_connection(connection, by="test")
    while purge_deleted_connections():
        continue
    with scopes_disabled():
        assert not InboundHook.objects.exists() and not HookAddress.objects.exists()
        assert not Connection.objects.filter(pk=connection.pk).exists()


# --- declared -----------------------------------------------------------------------------------------------------------

BODY, NOW = b'{"type":"X"}', 1_764_000_000.0


@pytest.mark.parametrize("scale", [1, 1000], ids=["seconds", "milliseconds"])
def test_signature_with_its_time_beside_it_in_one_header(scale: int) -> None:
    declared = HmacSignature("x-sig", parts=("t", "v1"))
    written = str(int(NOW) * scale)
    right = hashlib_hmac(SECRET, written.encode() + b"." + BODY)

    def refusal(header: str, now: float = NOW) -> str:
        return declared.refusal({"x-sig": header}, BODY, ["old", SECRET], now)

    assert refusal(f"t={written},v1={right}") == ""
    assert refusal(f"v1=00, v1={right.upper()} , t={written},v2=zz") == ""
    assert refusal(f"t={written},v1={right}", NOW + 299) == ""
    for header in (
        f"v1={right}",
        f"t={written}",
        f"t=1,v1={right}",
        f"t={written},t={written},v1={right}",
        "",
        "t=x,v1=",
    ):
        assert refusal(header), header
    assert "away" in refusal(f"t={written},v1={right}", NOW + 301)
    assert "away" in refusal(f"t={written},v1={right}", NOW - 301)
    assert refusal(f"t={int(written) + 1},v1={right}")


def test_signature_with_its_time_in_another_header_and_in_base64() -> None:
    declared = HmacSignature("X-Sig", encoding="base64", algorithm="sha512", timestamp_header="X-Time")
    signed = base64.b64encode(hmac.digest(SECRET.encode(), b"1764000000." + BODY, "sha512")).decode()
    headers = {"x-sig": signed, "x-time": "1764000000"}
    assert declared.refusal(headers, BODY, [SECRET], NOW) == ""
    assert declared.refusal({"x-sig": signed}, BODY, [SECRET], NOW)
    assert declared.refusal(headers, BODY + b" ", [SECRET], NOW)
    assert declared.refusal(headers, BODY, ["foreign"], NOW)
    assert declared.refusal(headers, BODY, [SECRET], time.time() + 10_000)


def hashlib_hmac(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
