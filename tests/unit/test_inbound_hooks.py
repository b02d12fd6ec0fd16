"""What systems tell: stored as it came, verified as declared, forgotten after a while."""

from __future__ import annotations

import hmac
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from connections.services import delete_connection, disconnect_connection
from core import ids
from core.errors import ConflictError, NotFoundError, NotSupportedError, ValidationFailedError
from core.ids import new_id
from core.redaction import redact_text
from integrations.sdk.hooks import HmacSignature, Hooks, SharedSecret
from syncs.services.heeding import heed_batch
from syncs.ticks import purge_deleted_connections
from tests.connectors import TestErp, TestErpServer, connect, erp_server  # noqa: F401
from tests.inbound_stage import SECRET, Sender, connection, erp, hooks, is_due, make, sender, synced  # noqa: F401
from webhooks.inbound_ticks import forget_inbound_hooks
from webhooks.models import HookAddress, InboundHook
from webhooks.services import hook_addresses, inbound
from workspaces.models import AuditEvent

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:No directory at"),
]


class SharingErp(TestErp):
    """Sends a secret along."""

    hooks = Hooks(entities={"order.changed": "purchase_order"}, signature=SharedSecret("X-Erp-Key"))


class OpenErp(TestErp):
    """Neither signs nor sends a secret: the address alone counts."""

    hooks = Hooks(entities={"order.changed": "purchase_order"})


# --- received ---------------------------------------------------------------------------------------------------------


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
    near = secret[:-1] + ("B" if secret[-1] == "A" else "A")
    wrong = [f"/hooks/{shown}/{near}", f"/hooks/{other}/{secret}", f"/hooks/con_{new_id().hex}/{secret}",
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


def test_sender_that_hangs_up_is_400_and_nothing_is_stored(sender: Sender) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError("the connection was reset")

    broken: dict[str, Any] = {"wsgi.input": Broken(), "CONTENT_LENGTH": "20"}
    answer = sender.client.generic("POST", sender.path, **broken)
    assert answer.status_code == 400
    assert hooks() == []


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
        settings.CONNECTORS = ["tests.inbound_stage.HookedErp"]
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


# --- forgotten --------------------------------------------------------------------------------------------------------


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
