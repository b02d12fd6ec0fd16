"""Endpoints and deliveries over the API, what the schema says of them, and waiting for events."""

from __future__ import annotations

import json
import re
import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection as database
from django.db import transaction
from django.test import Client
from django.utils import timezone
from django_scopes import scope, scopes_disabled
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from connections.models import Connection
from core import ids
from tests.tenants import api, emit_now, make_token, make_workspace
from webhooks.choices import DeliveryStatus, EndpointStatus
from webhooks.models import Delivery, DeliveryAttempt, WebhookEndpoint, WebhookSecret
from webhooks.services.endpoints import MOST_ENDPOINTS
from workspaces import tokens
from workspaces.api import events as events_api
from workspaces.choices import EventType
from workspaces.event_catalogue import CATALOGUE
from workspaces.events import emit
from workspaces.models import AuditEvent, Workspace
from workspaces.secrets import open_secret

ENDPOINTS, DELIVERIES, FEED = "/api/v1/webhook-endpoints", "/api/v1/webhook-deliveries", "/api/v1/events"
URL = "https://app.example.com/lineshaft"
pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def client(workspace: Workspace) -> Client:
    return client_of(workspace)


def client_of(workspace: Workspace, environment: str = "live") -> Client:
    scopes = ["webhooks:write", "events:read"]
    return api(make_token(workspace, environment=environment, scopes=scopes)[1])


def connect(workspace: Workspace, environment: str = "live", **facts: Any) -> Connection:
    made = Connection(workspace=workspace, system="tryton", name="Plant", environment=environment, **facts)
    made.save(force_insert=True)
    return made


def send(client: Client, method: str, address: str, body: Any = None) -> Any:
    return getattr(client, method)(address, body or {}, content_type="application/json")


def ok(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, response.content
    return response.json()


def refused(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def make(client: Client, **values: Any) -> Any:
    return ok(send(client, "post", ENDPOINTS, {"url": URL, **values}), 201)


def row(body: Any) -> Any:
    with scopes_disabled():
        return WebhookEndpoint.objects.get(pk=UUID(body["id"].removeprefix("whe_")))


def set_row(body: Any, **facts: Any) -> None:
    with scopes_disabled():
        WebhookEndpoint.objects.filter(pk=row(body).pk).update(**facts)


def actions() -> list[str]:
    with scopes_disabled():
        found = AuditEvent.objects.order_by("id").values_list("action", flat=True)
        return [action for action in found if action.startswith("webhook_")]


# --- endpoints --------------------------------------------------------------------------------------------------------


def test_endpoint_is_made_with_a_secret_that_is_shown_once(workspace: Workspace, client: Client) -> None:
    emit_now(workspace)
    plant = connect(workspace)
    response = send(
        client,
        "post",
        ENDPOINTS,
        {"url": URL, "connections": [f"con_{plant.pk.hex}"], "event_types": ["record.updated", "record.created"]},
    )

    body = ok(response, 201)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", body["secret"])
    assert response["Location"] == f"{ENDPOINTS}/{body['id']}" and response["Cache-Control"] == "no-store"
    assert body["event_types"] == ["record.created", "record.updated"]
    assert body["connections"] == [f"con_{plant.pk.hex}"]
    assert (body["status"], body["payload"], body["position"]) == ("active", "thin", 1), "what was before is not told"
    again = ok(client.get(response["Location"]))
    assert again == {name: value for name, value in body.items() if name != "secret"}
    assert ok(client.get(ENDPOINTS)) == {"data": [again], "next_cursor": None}
    with scopes_disabled():
        assert open_secret(WebhookSecret.objects.get()) == body["secret"]
    assert actions() == ["webhook_endpoint.created"]


@pytest.mark.parametrize(
    ("values", "pointer", "code"),
    [
        ({"url": "http://app.example.com/"}, "/url", "EGRESS_DENIED"),
        ({"url": "https://127.0.0.1/"}, "/url", "EGRESS_DENIED"),
        ({"url": "https://169.254.169.254/latest"}, "/url", "EGRESS_DENIED"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "/url", "EGRESS_DENIED"),
        ({"url": "https://metadata.google.internal/"}, "/url", "EGRESS_DENIED"),
        ({"url": "https://me:secret@app.example.com/"}, "/url", "URL_REFUSED"),
        ({"url": "ftp://app.example.com/"}, "/url", "URL_REFUSED"),
        ({"event_types": ["record.created", "record.nonsense"]}, "/event_types/1", "UNKNOWN_EVENT_TYPE"),
        ({"connections": ["con_" + "0" * 32]}, "/connections/0", "UNKNOWN_CONNECTION"),
        ({"payload": "fat"}, "/payload", None),
    ],
)
def test_endpoint_when_a_value_is_wrong_then_the_field_is_named(
    client: Client, values: dict[str, Any], pointer: str, code: str | None
) -> None:
    body = ok(send(client, "post", ENDPOINTS, {"url": URL, **values}), 422)

    assert body["errors"][0]["pointer"] == pointer and (code is None or body["errors"][0]["code"] == code)
    assert "secret" not in json.dumps(body)
    made = make(client)
    assert ok(send(client, "patch", f"{ENDPOINTS}/{made['id']}", values), 422)["errors"][0]["pointer"] == pointer


def test_connections_of_the_other_environment_or_workspace_are_not_there(workspace: Workspace, client: Client) -> None:
    for other in (
        connect(workspace, "test"),
        connect(make_workspace()),
        connect(workspace, purge_requested_at=timezone.now()),
    ):
        response = send(client, "post", ENDPOINTS, {"url": URL, "connections": [f"con_{other.pk.hex}"]})
        assert response.json()["errors"][0]["code"] == "UNKNOWN_CONNECTION"


def test_http_and_the_operators_networks_are_for_the_test_environment_only(workspace: Workspace, settings: Any) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    for url, test, live in [
        ("http://app.example.com/", 201, 422),
        ("http://127.0.0.1:9000/", 201, 422),
        ("http://10.0.0.1/", 422, 422),
        ("http://169.254.169.254/", 422, 422),
    ]:
        assert send(client_of(workspace, "test"), "post", ENDPOINTS, {"url": url}).status_code == test, url
        assert send(client_of(workspace), "post", ENDPOINTS, {"url": url}).status_code == live, url


def test_endpoints_are_at_most_fifty_in_each_environment(workspace: Workspace, client: Client) -> None:
    facts = {"workspace": workspace, "environment": "live", "url": URL}
    with scope(workspace=workspace.pk):
        WebhookEndpoint.objects.bulk_create(WebhookEndpoint(**facts) for _ in range(MOST_ENDPOINTS - 1))
    make(client)

    assert refused(send(client, "post", ENDPOINTS, {"url": URL})) == (409, "TOO_MANY_ENDPOINTS")
    make(client_of(workspace, "test"))
    make(client_of(make_workspace()))


def test_change_writes_what_differs_and_a_new_address_starts_afresh(client: Client) -> None:
    made = make(client)
    address = f"{ENDPOINTS}/{made['id']}"
    set_row(made, failures_in_row=7, failing_since=timezone.now(), probe_at=timezone.now())

    assert ok(send(client, "patch", address, {"description": "Orders"}))["failures_in_row"] == 7
    assert ok(send(client, "patch", address, {"description": "Orders"}))["description"] == "Orders"
    moved = ok(send(client, "patch", address, {"url": f"{URL}/new?key=hidden"}))

    assert (moved["failures_in_row"], moved["failing_since"], row(made).probe_at) == (0, None, None)
    assert actions() == ["webhook_endpoint.created", *["webhook_endpoint.changed"] * 2]
    with scopes_disabled():
        assert "hidden" not in str(list(AuditEvent.objects.values_list("details", flat=True)))


def test_states(client: Client) -> None:
    made = make(client)
    address = f"{ENDPOINTS}/{made['id']}"

    def press(name: str) -> Any:
        return send(client, "post", f"{address}/{name}")

    assert [ok(press("pause"))["status"], ok(press("pause"))["status"]] == ["paused", "paused"]
    assert [ok(press("resume"))["status"], ok(press("resume"))["status"]] == ["active", "active"]
    assert ok(press("enable"))["status"] == "active"
    set_row(
        made,
        status=EndpointStatus.DISABLED,
        disabled_reason="Nothing but failure.",
        disabled_at=timezone.now(),
        failures_in_row=40,
        failing_since=timezone.now(),
    )
    assert ok(client.get(address))["disabled_reason"] == "Nothing but failure."
    assert refused(press("resume")) == refused(press("pause")) == (409, "ENDPOINT_DISABLED")
    enabled = ok(press("enable"))
    assert (enabled["status"], enabled["disabled_reason"], enabled["disabled_at"]) == ("active", None, None)
    assert (enabled["failures_in_row"], enabled["failing_since"]) == (0, None)
    told = ["created", "paused", "resumed", "enabled"]
    assert actions() == [f"webhook_endpoint.{name}" for name in told]


def test_resuming_forgets_what_failed_before_the_pause(client: Client) -> None:
    """Else one failure after a pause of six days would count as six days of nothing but failure."""
    made = make(client)
    set_row(made, status=EndpointStatus.PAUSED, failures_in_row=4, failing_since=timezone.now() - timedelta(days=6))
    resumed = ok(send(client, "post", f"{ENDPOINTS}/{made['id']}/resume"))
    assert (resumed["status"], resumed["failures_in_row"], resumed["failing_since"]) == ("active", 0, None)


def test_secret_is_rotated_and_never_more_than_two_sign(client: Client) -> None:
    made = make(client)
    address = f"{ENDPOINTS}/{made['id']}/rotate-secret"

    second = ok(send(client, "post", address), 201)
    kept = [secret["expires_at"] for secret in second["secrets"]]
    assert kept[0] is None and len(kept) == 2
    until = datetime.fromisoformat(kept[1]) - timezone.now()
    assert timedelta(hours=23, minutes=59) < until < timedelta(hours=24, minutes=1)
    third = ok(send(client, "post", address, {"overlap_seconds": 3600}), 201)

    with scopes_disabled():
        secrets = [open_secret(secret) for secret in WebhookSecret.objects.order_by("-created_at")]
    assert secrets == [third["secret"], second["secret"]] and made["secret"] not in secrets
    with scopes_disabled():
        WebhookSecret.objects.exclude(expires_at=None).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert len(ok(client.get(f"{ENDPOINTS}/{made['id']}"))["secrets"]) == 1, "one that is over signs nothing"
    last = ok(send(client, "post", address, {"overlap_seconds": 0}), 201)
    assert len(last["secrets"]) == 1
    assert send(client, "post", address, {"overlap_seconds": 5}).status_code == 422


def test_endpoint_is_deleted_with_its_deliveries(workspace: Workspace, client: Client) -> None:
    gone, kept = make(client), make(client)
    for body in (gone, kept):
        deliver(row(body))

    response = send(client, "delete", f"{ENDPOINTS}/{gone['id']}")

    assert response.status_code == 204 and not response.content
    assert client.get(f"{ENDPOINTS}/{gone['id']}").status_code == 404
    with scopes_disabled():
        counts = [model.objects.count() for model in (WebhookEndpoint, WebhookSecret, Delivery, DeliveryAttempt)]
    assert counts == [1, 1, 1, 1] and actions()[-1] == "webhook_endpoint.deleted"


def test_connection_tokens_have_no_part_in_it(workspace: Workspace, client: Client) -> None:
    made, plant = make(client), connect(workspace)
    delivery = deliver(row(made))
    token = api(make_token(workspace, connection_id=plant.pk, scopes=["webhooks:write"])[1])

    for response in (token.get(ENDPOINTS), send(token, "post", ENDPOINTS, {"url": URL}), token.get(DELIVERIES)):
        assert response.status_code == 403
    for address in (f"{ENDPOINTS}/{made['id']}", f"{DELIVERIES}/whd_{delivery.pk.hex}"):
        assert token.get(address).status_code == 404
    reader = api(make_token(workspace, scopes=["webhooks:read"])[1])
    assert reader.get(ENDPOINTS).status_code == 200
    assert refused(send(reader, "post", ENDPOINTS, {"url": URL})) == (403, "MISSING_SCOPE")


# --- deliveries -------------------------------------------------------------------------------------------------------


def deliver(endpoint: Any, **facts: Any) -> Delivery:
    """A delivery that failed once."""
    with scope(workspace=endpoint.workspace_id):
        values = {"event_id": ids.new_id(), "event_type": "sync.completed", "position": 1, "attempts": 1, **facts}
        made = Delivery(workspace_id=endpoint.workspace_id, endpoint=endpoint, **values)
        made.save(force_insert=True)
        DeliveryAttempt(
            workspace_id=endpoint.workspace_id,
            delivery=made,
            number=1,
            status_code=503,
            error_code="HTTP_503",
            elapsed_ms=4.5,
            answer="starting",
        ).save(force_insert=True)
    return made


def test_deliveries_are_listed_filtered_and_shown_with_attempts(workspace: Workspace, client: Client) -> None:
    first, second = make(client), make(client)
    event_id = emit_now(workspace)
    one = deliver(row(first), event_id=event_id)
    two = deliver(row(second), status=DeliveryStatus.EXHAUSTED, event_type="issue.opened", body='{"frozen":1}', part=2)
    shown = [f"whd_{pk.hex}" for pk in (two.pk, one.pk)]

    def found(**query: str) -> list[str]:
        return [delivery["id"] for delivery in ok(client.get(DELIVERIES, query))["data"]]

    assert found() == shown
    assert found(endpoint=first["id"]) == found(status="pending") == found(type="sync.completed") == [shown[1]]
    assert found(event=f"evt_{event_id.hex}") == [shown[1]] and found(event=f"evt_{'0' * 32}") == []
    page = ok(client.get(DELIVERIES, {"limit": 1}))
    assert [each["id"] for each in page["data"]] == shown[:1]
    rest = ok(client.get(DELIVERIES, {"limit": 1, "cursor": page["next_cursor"]}))
    assert [each["id"] for each in rest["data"]] == shown[1:] and rest["next_cursor"] is None
    assert client.get(DELIVERIES, {"status": "lost"}).status_code == 400

    detail = ok(client.get(f"{DELIVERIES}/{shown[1]}"))
    assert json.loads(detail["body"])["id"] == detail["event"] == detail["message_id"] == f"evt_{event_id.hex}"
    (attempt,) = detail["attempts"]
    assert (attempt["status_code"], attempt["error_code"], attempt["answer"]) == (503, "HTTP_503", "starting")
    assert detail["due_at"] and detail["attempt_count"] == 1
    frozen = ok(client.get(f"{DELIVERIES}/{shown[0]}"))
    assert (frozen["body"], frozen["due_at"]) == ('{"frozen":1}', None)
    assert frozen["message_id"] == f"evt_{two.event_id.hex}_2"


def test_test_resend_and_recover_reach_the_engine(workspace: Workspace, client: Client) -> None:
    made = make(client)
    address = f"{ENDPOINTS}/{made['id']}"
    emit_now(workspace)
    set_row(made, position=1)

    response = send(client, "post", f"{address}/test", {"type": "record.updated"})
    test = ok(response, 201)
    assert (test["type"], test["position"], test["is_manual"]) == ("record.updated", 0, True)
    sent = ok(client.get(response["Location"]))
    assert sent["id"] == test["id"] and sent["attempts"] == []
    assert ok(send(client, "post", f"{address}/test"), 201)["type"] == "webhook.test"
    assert send(client, "post", f"{address}/test", {"type": "nonsense"}).status_code == 422

    since = (timezone.now() - timedelta(hours=1)).isoformat()
    assert ok(send(client, "post", f"{address}/recover", {"since": since}), 202) == {"deliveries": 1}
    told = ok(client.get(DELIVERIES, {"type": "sync.completed"}))["data"][0]
    again = ok(send(client, "post", f"{DELIVERIES}/{told['id']}/resend"), 201)
    assert again["message_id"] == told["message_id"] and again["id"] != told["id"] and again["is_manual"]
    ok(send(client, "post", f"{address}/pause"))
    assert refused(send(client, "post", f"{DELIVERIES}/{told['id']}/resend")) == (409, "ENDPOINT_NOT_ACTIVE")


# --- the schema -------------------------------------------------------------------------------------------------------


def test_schema_describes_every_type_of_event_with_an_example_that_fits() -> None:
    document = json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True), default=str))

    assert set(CATALOGUE) == set(EventType), "workspaces/event_catalogue.py tells of every type"
    assert set(document["webhooks"]) == set(EventType.values)
    for name, webhook in document["webhooks"].items():
        content = webhook["post"]["requestBody"]["content"]["application/json"]
        schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
        Draft202012Validator.check_schema(schema)
        example = content["examples"]["event"]["value"]
        Draft202012Validator(schema).validate(example)
        assert example["type"] == name and set(example["data"]) == set(schema["properties"]["data"]["required"])
        headers = [parameter["name"] for parameter in webhook["post"]["parameters"]]
        assert headers == ["webhook-id", "webhook-timestamp", "webhook-signature"]


# --- waiting for events -----------------------------------------------------------------------------------------------


@pytest.fixture
def glances(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What happens between two looks at the feed, instead of sleeping: each is called once, in order."""
    acts: list[Any] = []

    def pause(seconds: float) -> None:
        assert 0 < seconds <= 0.25
        if acts:
            acts.pop(0)()

    monkeypatch.setattr(events_api, "rest", pause)
    return acts


def test_wait_answers_as_soon_as_something_that_fits_is_there(
    workspace: Workspace, client: Client, glances: list[Any]
) -> None:
    emit_now(workspace)
    glances += [lambda: None, lambda: emit_now(workspace, type=EventType.ONLINE), lambda: emit_now(workspace)]

    page = ok(client.get(FEED, {"after": "1", "wait": "30", "type": "sync.completed"}))

    assert [event["position"] for event in page["data"]] == [3] and not glances
    assert (page["next_after"], page["has_more"]) == (3, False)


def test_wait_answers_an_empty_page_in_the_end_and_moves_on(
    workspace: Workspace, client: Client, glances: list[Any]
) -> None:
    glances += [lambda: emit_now(workspace)]

    page = ok(client.get(FEED, {"wait": "1", "type": "sync.failed"}))

    assert page == {"data": [], "next_after": 1, "has_more": False}


def test_wait_does_not_wait_for_what_is_there(workspace: Workspace, client: Client, glances: list[Any]) -> None:
    emit_now(workspace)
    glances += [lambda: pytest.fail("it waited")]

    assert len(ok(client.get(FEED, {"wait": 30}))["data"]) == 1
    assert ok(client.get(FEED, {"after": 1}))["data"] == []
    for wrong in ("31", "-1", "soon"):
        assert client.get(FEED, {"wait": wrong}).status_code == 400


def test_wait_when_no_place_is_free_is_refused_at_once(workspace: Workspace, client: Client, settings: Any) -> None:
    settings.WEB_THREADS = 8
    events_api.places.cache_clear()
    places = events_api.places()
    taken = 0
    while places.acquire():
        taken += 1
    try:
        response = client.get(FEED, {"wait": 30})
        assert refused(response) == (429, "TOO_MANY_AT_ONCE") and response["Retry-After"] == "1"
        emit_now(workspace)
        assert len(ok(client.get(FEED, {"wait": 30}))["data"]) == 1, "what is there needs no place"
    finally:
        events_api.places.cache_clear()
    assert taken == 2, "a quarter of the threads"


def test_wait_gives_nothing_to_a_token_revoked_meanwhile(workspace: Workspace, glances: list[Any]) -> None:
    token, clear = make_token(workspace, scopes=["events:read"])

    def revoke_and_emit() -> None:
        tokens.revoke_token(token=token)
        emit_now(workspace)

    glances += [revoke_and_emit]
    assert api(clear).get(FEED, {"wait": 30}).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_wait_holds_no_transaction_and_sees_what_another_session_commits(
    workspace: Workspace, client: Client, glances: list[Any]
) -> None:
    def emit_elsewhere() -> None:
        assert not database.in_atomic_block
        thread = threading.Thread(target=commit, args=[workspace])
        thread.start()
        thread.join(timeout=30)

    glances += [emit_elsewhere]
    assert len(ok(client.get(FEED, {"wait": 30}))["data"]) == 1


def commit(workspace: Workspace) -> None:
    """In a thread of its own."""
    with transaction.atomic():
        emit(EventType.ONLINE, workspace_id=workspace.pk, environment="live", data={})
    database.close()
