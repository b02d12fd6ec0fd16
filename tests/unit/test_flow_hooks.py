"""Messages that start flows: stored as they came, verified, one run of each."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from connections.services import disconnect_connection
from core.redaction import redact_text
from flows.models import Flow, FlowHookAddress, FlowHookMessage
from flows.services import hooks
from flows.services.addresses import remove_hook_address, renew_hook_address
from flows.services.editing import pause, resume
from flows.ticks import forget_old_rows
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.flow_stage import drain, outputs_of
from tests.flow_triggers import change, fresh, make_flow, republish, runs_of, shown

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at"),
]
HOOK = {"on": "hook"}
SECRET = "a secret both sides know"
SIGNED = {"on": "hook", "signature": {"header": "X-Shop-Signature", "prefix": "sha256="}}


class Sender:
    """Whoever knows the address of a flow."""

    def __init__(self, flow: Flow, signing_secret: str | None = None) -> None:
        with scope(workspace=flow.workspace_id):
            _, url = renew_hook_address(flow, by="tests", signing_secret=signing_secret)
        self.path = "/" + url.split("/", 3)[3]
        self.client = Client(raise_request_exception=False, enforce_csrf_checks=True)

    def send(self, body: Any = None, **headers: str) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        return self.client.post(self.path, raw, content_type="application/json", headers=headers)

    def signed(self, body: Any, secret: str = SECRET) -> Any:
        raw = json.dumps(body).encode()
        made = "sha256=" + hmac.digest(secret.encode(), raw, "sha256").hex()
        return self.send(raw, **{"X-Shop-Signature": made})


def messages(flow: Flow) -> list[FlowHookMessage]:
    with scopes_disabled():
        return list(FlowHookMessage.objects.filter(flow_id=flow.pk).order_by("pk"))


def test_message_starts_a_run_that_holds_it_and_is_stored_as_it_came() -> None:
    flow = make_flow(HOOK)
    body = b'{"order":  7}'
    answer = Sender(flow).send(
        body, Authorization="Bearer do-not-keep-1", **{"X-Api-Key": "do-not-keep-2", "X-Shop-Topic": "orders/new"}
    )
    (run,), (message,) = runs_of(flow), messages(flow)
    assert (answer.status_code, answer.json()) == (202, {"status": "started", "run": f"frun_{run.pk.hex}"})
    assert answer["Cache-Control"] == "no-store"
    assert (run.trigger, run.triggered_by, run.key) == ("hook", "hook", None)
    assert run.admitted_at is not None
    assert run.input["kind"] == "hook" and run.input["body"] == {"order": 7} and run.input["at"].endswith("Z")
    assert run.input["headers"]["x-shop-topic"] == "orders/new"
    assert (bytes(message.body), message.status, message.run_id, message.error) == (body, "started", run.pk, "")
    assert "do-not-keep" not in json.dumps([run.input, message.headers])
    assert "x-forwarded-for" not in run.input["headers"] and "cookie" not in run.input["headers"]
    with scopes_disabled():
        assert FlowHookAddress.objects.get(flow_id=flow.pk).last_received_at is not None


def test_run_that_a_message_started_is_brought_to_its_end_by_a_worker() -> None:
    flow = make_flow(HOOK)
    Sender(flow).send({"order": 7})
    run = drain(runs_of(flow)[0])
    assert run.status == "succeeded" and outputs_of(run) == {"note": "hook"}


def test_nothing_is_under_another_secret_or_flow_or_a_removed_address() -> None:
    flow, other = make_flow(HOOK), make_flow(HOOK)
    sender = Sender(flow)
    right = sender.path
    for path in (right + "x", right.replace(shown(flow), shown(other)), right.replace(shown(flow), "flow_1")):
        sender.path = path
        answer = sender.send()
        assert answer.status_code == 404 and "nothing here" in answer.json()["detail"]
    sender.path = right
    with scope(workspace=flow.workspace_id):
        remove_hook_address(flow, by="tests")
    assert sender.send().status_code == 404
    assert messages(flow) == [] and runs_of(flow) == runs_of(other) == []
    assert sender.client.get(right).status_code == 405


def test_renewed_address_takes_the_former_ones_place() -> None:
    flow = make_flow(HOOK)
    former, present = Sender(flow), Sender(flow)
    assert (former.send().status_code, present.send().status_code) == (404, 202)


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_signed_message_is_believed_others_are_refused_and_kept(encoding: str) -> None:
    flow = make_flow({"on": "hook", "signature": {"header": "X-Shop-Signature", "encoding": encoding}})
    sender, raw = Sender(flow, SECRET), b'{"order": 1}'
    digest = hmac.digest(SECRET.encode(), raw, "sha256")
    right = digest.hex() if encoding == "hex" else b64encode(digest).decode()
    answers = [sender.send(raw, **{"X-Shop-Signature": one}) for one in ("wrong", right)] + [sender.send(raw)]
    assert [answer.status_code for answer in answers] == [401, 202, 401]
    assert [message.status for message in messages(flow)] == ["refused", "started", "refused"]
    assert messages(flow)[2].error == answers[2].json()["detail"] == "There is no header X-Shop-Signature."
    assert all("x-shop-signature" not in message.headers for message in messages(flow))
    assert len(runs_of(flow)) == 1


def test_signature_with_a_prefix_and_a_changed_body() -> None:
    flow = make_flow(SIGNED)
    sender = Sender(flow, SECRET)
    assert sender.signed({"order": 1}).status_code == 202
    assert sender.signed({"order": 1}, "another").status_code == 401


def test_trigger_that_wants_signatures_without_a_stored_secret_believes_nobody() -> None:
    flow = make_flow(SIGNED)
    answer = Sender(flow).signed({})
    assert answer.status_code == 401 and "No signing secret" in answer.json()["detail"]


@pytest.mark.parametrize("header", ["Webhook-Id", "Idempotency-Key", "X-Message-Id"])
def test_message_that_comes_again_is_known_by_its_id(header: str) -> None:
    flow = make_flow(HOOK)
    sender = Sender(flow)
    first, again = (sender.send({"n": number}, **{header: "msg-1"}) for number in (1, 2))
    assert first.json()["run"] == again.json()["run"]
    assert (again.status_code, again.json()["status"]) == (202, "known")
    assert sender.send(**{header: "msg-2"}).json()["status"] == "started"
    assert [message.status for message in messages(flow)] == ["started", "known", "started"]
    assert len(runs_of(flow)) == 2 and runs_of(flow)[0].key == "hook:msg-1"


def test_key_of_the_definition_goes_before_the_senders_id() -> None:
    flow = make_flow(HOOK, key="trigger.body.order")
    sender = Sender(flow)
    statuses = [
        sender.send(body, **{"Webhook-Id": "same"}).json()["status"]
        for body in ({"order": "1"}, {"order": "2"}, {}, {})
    ]
    assert statuses == ["started", "started", "started", "known"]
    assert [run.key for run in runs_of(flow)] == ["1", "2", "hook:same"]


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", b'{"a": 1, "a": 2}', b'{"a": NaN}', b'"\\u0000"', b"\xff"],
    ids=["empty", "text", "a key twice", "NaN", "NUL", "no UTF-8"],
)
def test_body_that_is_not_strict_json_is_refused_and_kept(body: bytes) -> None:
    flow = make_flow(HOOK)
    answer = Sender(flow).send(body)
    (message,) = messages(flow)
    assert answer.status_code == 400 and answer.json()["status"] == "refused" and answer.json()["detail"]
    assert (bytes(message.body), message.status, message.run_id) == (body, "refused", None)
    assert runs_of(flow) == []


def test_key_that_cannot_be_told_is_refused_and_kept() -> None:
    flow = make_flow(HOOK, key="join('-', trigger.body.order)")
    assert Sender(flow).send({"order": 1}).status_code == 400
    assert messages(flow)[0].status == "refused" and messages(flow)[0].error


def test_more_than_256_kib_are_not_read() -> None:
    flow = make_flow(HOOK)
    sender = Sender(flow)
    assert sender.send(b'"' + b"x" * (256 * 1024 - 2) + b'"').status_code == 202
    assert sender.send(b'"' + b"x" * (256 * 1024 - 1) + b'"').status_code == 413
    assert len(messages(flow)) == 1


def test_paused_flow_starts_nothing_and_says_so() -> None:
    flow = make_flow(HOOK)
    sender = Sender(flow)
    with scope(workspace=flow.workspace_id):
        pause(flow, by="tests")
    answer = sender.send()
    assert answer.status_code == 409 and "paused" in answer.json()["detail"]
    assert messages(flow)[0].status == "refused" and runs_of(flow) == []
    with scope(workspace=flow.workspace_id):
        resume(flow, by="tests")
    assert sender.send().status_code == 202


def test_flow_with_another_trigger_takes_no_messages() -> None:
    flow = make_flow(HOOK)
    sender = Sender(flow)
    republish(flow, trigger={"on": "manual"})
    assert sender.send().status_code == 409
    assert runs_of(flow) == []


def test_connection_that_was_ended_then_nothing_starts(erp_server: TestErpServer) -> None:
    bound = connect(erp_server)
    flow = make_flow(HOOK, environment=bound.environment, erp=bound)
    sender = Sender(flow)
    with scope(workspace=bound.workspace_id):
        disconnect_connection(bound, by="tests")
    answer = sender.send()
    assert answer.status_code == 409 and messages(flow)[0].status == "refused"


def test_too_many_messages_a_minute_are_turned_away(settings: Any) -> None:
    settings.RATE_LIMIT_HOOKS = 2
    sender = Sender(make_flow(HOOK))
    answers = [sender.send() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert int(answers[2]["Retry-After"]) > 0


def test_message_that_breaks_us_is_kept_and_may_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = make_flow(HOOK)
    sender = Sender(flow)

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(hooks, "start_run", broken)
        assert sender.send({"n": 1}, **{"Webhook-Id": "msg-1"}).status_code == 503
    (message,) = messages(flow)
    assert (message.status, message.run_id) == ("failed", None) and "RuntimeError" in message.error
    assert sender.send({"n": 1}, **{"Webhook-Id": "msg-1"}).json()["status"] == "started"


def test_secret_of_the_address_is_cut_from_texts() -> None:
    path = Sender(make_flow(HOOK)).path
    assert path.rpartition("/")[2] not in redact_text(f"GET {path} took 3 ms")


def test_messages_are_kept_14_days() -> None:
    flow = make_flow(HOOK)
    sender = Sender(flow)
    sender.send(), sender.send()
    old, young = messages(flow)
    change(old, received_at=timezone.now() - timedelta(days=14, minutes=1))
    change(young, received_at=timezone.now() - timedelta(days=13, hours=23))
    assert forget_old_rows() == 1
    assert messages(flow) == [fresh(young)]
