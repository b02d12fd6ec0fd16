"""The screens of endpoints and deliveries."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from core import ids
from tests.admin_pages import change, html, press, rows_of, words
from tests.tenants import emit_now, make_person, make_workspace, signed_in
from webhooks.choices import DeliveryStatus, EndpointStatus
from webhooks.models import Delivery, DeliveryAttempt, WebhookEndpoint, WebhookSecret
from webhooks.services.endpoints import create_endpoint
from workspaces.models import Event, Workspace
from workspaces.secrets import open_secret

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]
ADD, URL = "/admin/webhooks/webhookendpoint/add/", "https://app.example.com/lineshaft"


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def client(workspace: Workspace) -> Client:
    return signed_in(make_person("operator", workspace))


@pytest.fixture
def endpoint(workspace: Workspace) -> WebhookEndpoint:
    return make(workspace)


def make(workspace: Workspace, **facts: Any) -> WebhookEndpoint:
    with scope(workspace=workspace.pk):
        return create_endpoint(
            workspace=workspace, **{"environment": "live", "url": URL, "description": "Orders", **facts}
        )[0]


def deliver(endpoint: WebhookEndpoint, event_id: Any = None, **facts: Any) -> Delivery:
    with scope(workspace=endpoint.workspace_id):
        values = {"event_type": "sync.completed", "position": 1, "attempts": 2, **facts}
        made = Delivery(
            workspace_id=endpoint.workspace_id, endpoint=endpoint, event_id=event_id or ids.new_id(), **values
        )
        made.save(force_insert=True)
        for number, code in ((1, None), (2, 503)):
            DeliveryAttempt(
                workspace_id=endpoint.workspace_id,
                delivery=made,
                number=number,
                status_code=code,
                error_code=f"HTTP_{code}" if code else "TIMED_OUT",
                elapsed_ms=4.5,
                answer="<b>starting</b>",
            ).save(force_insert=True)
    return made


def form(workspace: Workspace, **values: Any) -> dict[str, Any]:
    return {"workspace": workspace.pk, "environment": "live", "url": URL, "payload": "thin", **values}


def connect(workspace: Workspace, environment: str = "live", name: str = "Plant North") -> Connection:
    made = Connection(workspace=workspace, system="tryton", name=name, environment=environment)
    made.save(force_insert=True)
    return made


def stored(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    with scopes_disabled():
        return WebhookEndpoint.objects.get(pk=endpoint.pk)


def test_endpoint_is_made_and_its_secret_shown_once(workspace: Workspace, client: Client) -> None:
    plant, other = connect(workspace), connect(workspace, "test")
    assert "Plant North (live)" in html(client.get(ADD))

    wrong = client.post(ADD, form(workspace, connections=[str(plant.pk), str(other.pk)]))
    assert "own workspace and environment only" in html(wrong)
    assert "needs https" in html(client.post(ADD, form(workspace, url="http://app.example.com")))
    made = client.post(ADD, form(workspace, connections=[str(plant.pk)], event_types=["issue.opened"]))

    shown = re.search(r"whsec_[A-Za-z0-9+/=]+", html(made))
    with scopes_disabled():
        (row,) = WebhookEndpoint.objects.all()
        assert shown and open_secret(WebhookSecret.objects.get()) == shown[0]
    assert "no-store" in made["Cache-Control"]
    assert (row.connection_ids, row.event_types, row.environment) == ([plant.pk], ["issue.opened"], "live")
    for address in (change(row), rows_of(WebhookEndpoint)):
        assert shown[0] not in html(client.get(address)), "never again"


def test_endpoint_is_changed(client: Client, endpoint: WebhookEndpoint) -> None:
    page = html(client.get(change(endpoint)))
    assert URL in page and "How it stands" in page

    data = {"url": f"{URL}/2", "description": "Both", "event_types": ["record.updated"], "payload": "full"}
    saved = client.post(change(endpoint), data)
    assert saved.status_code == 302 and saved["Location"] == change(endpoint)

    row = stored(endpoint)
    assert (row.url, row.description, row.event_types, row.payload) == (f"{URL}/2", "Both", ["record.updated"], "full")
    assert "is at a loopback address" in html(client.post(change(endpoint), {**data, "url": "https://127.0.0.1/"}))
    assert stored(endpoint).url == f"{URL}/2"


def test_buttons_fit_the_state_and_do_what_they_say(client: Client, endpoint: WebhookEndpoint) -> None:
    def offered() -> set[str]:
        return set(re.findall(rf"{endpoint.pk}/press/(\w+)/", html(client.get(change(endpoint)))))

    assert offered() == {"test", "recover", "pause", "rotate", "delete"}
    assert "Nothing is sent to it until" in html(client.get(press(endpoint, "pause")))
    assert "Paused." in html(client.post(press(endpoint, "pause"), follow=True))
    assert offered() == {"test", "resume", "rotate", "delete"}
    assert "Resumed." in html(client.post(press(endpoint, "resume"), follow=True))
    with scopes_disabled():
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
            status=EndpointStatus.DISABLED,
            disabled_reason="It answered 410 Gone.",
            disabled_at=timezone.now(),
            failures_in_row=4,
            failing_since=timezone.now() - timedelta(days=6),
        )
    assert offered() == {"test", "enable", "rotate", "delete"}
    page = words(client.get(change(endpoint)))
    assert "It answered 410 Gone." in page and "since 6 days ago" in page
    assert "It answered 410 Gone." in html(client.get(press(endpoint, "enable")))
    assert "Enabled." in html(client.post(press(endpoint, "enable"), follow=True))
    assert (stored(endpoint).status, stored(endpoint).failures_in_row) == ("active", 0)


def test_secret_is_rotated_after_asking(client: Client, endpoint: WebhookEndpoint) -> None:
    assert "24 hours" in html(client.get(press(endpoint, "rotate")))
    with scopes_disabled():
        assert WebhookSecret.objects.count() == 1, "looking at the question changes nothing"

    response = client.post(press(endpoint, "rotate"))

    assert re.search(r"whsec_[A-Za-z0-9+/=]+", html(response)) and "no-store" in response["Cache-Control"]
    page = words(client.get(change(endpoint)))
    assert "the current one" in page and "signs until" in page


def test_test_and_recover_ask_what_and_tell_what_came_of_it(client: Client, endpoint: WebhookEndpoint) -> None:
    assert "webhook.test" in html(client.get(press(endpoint, "test")))
    sent = client.post(press(endpoint, "test"), {"type": "record.updated"}, follow=True)
    assert "The test is on its way" in html(sent) and "a test: in no feed" in html(sent)
    with scopes_disabled():
        test = Delivery.objects.get()
    assert (test.event_type, test.is_manual) == ("record.updated", True)

    emit_now(stored(endpoint).workspace)
    with scopes_disabled():
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(position=1)
    assert "The last 7 days" in html(client.get(press(endpoint, "recover")))
    recovered = client.post(press(endpoint, "recover"), {"hours": "24"}, follow=True)
    assert "1 delivery due now." in html(recovered)
    client.post(press(endpoint, "pause"))
    refused = client.post(press(endpoint, "recover"), {"hours": "24"}, follow=True)
    assert "Resume or enable it first." in html(refused)


def test_endpoint_is_deleted_after_asking(client: Client, endpoint: WebhookEndpoint) -> None:
    deliver(endpoint)
    assert "Delete this endpoint?" in html(client.get(press(endpoint, "delete")))

    assert "is deleted." in html(client.post(press(endpoint, "delete"), follow=True))
    with scopes_disabled():
        assert not Delivery.objects.exists() and not WebhookEndpoint.objects.exists()


def test_delivery_shows_its_attempts_and_is_sent_again(workspace: Workspace, client: Client) -> None:
    endpoint, event_id = make(workspace), emit_now(workspace, data={"note": "Gate 3"})
    delivery = deliver(endpoint, event_id)

    page = words(client.get(change(delivery)))
    assert "TIMED_OUT" in page and "503" in page and "<b>starting</b>" in page and "Gate 3" in page
    assert f"evt_{event_id.hex}" in page
    again = client.post(press(delivery, "resend"), follow=True)

    assert "It is sent again now" in html(again)
    with scopes_disabled():
        assert Delivery.objects.filter(event_id=event_id, is_manual=True).count() == 1
        event = Event.objects.get()
    link = f"{rows_of(Delivery)}?event=evt_{event_id.hex}"
    assert link in html(client.get(change(event)))
    assert html(client.get(link)).count(f"/admin/webhooks/delivery/{delivery.pk}/change/") >= 1


def test_deliveries_are_filtered_and_found(workspace: Workspace, client: Client) -> None:
    first, second = make(workspace), make(workspace, description="Stock")
    one = deliver(first)
    two = deliver(second, status=DeliveryStatus.EXHAUSTED, event_type="issue.opened", due_at=None)

    def found(query: str) -> set[Any]:
        page = html(client.get(f"{rows_of(Delivery)}?{query}"))
        return {row.pk for row in (one, two) if f"delivery/{row.pk}/change/" in page}

    assert found("") == {one.pk, two.pk}
    assert found("status=exhausted") == found("type=issue.opened") == found(f"endpoint={second.pk}") == {two.pk}
    assert found(f"event=evt_{one.event_id.hex}") == found(f"q=evt_{one.event_id.hex}") == {one.pk}
    assert found(f"q=whe_{second.pk.hex}") == found(f"q=whd_{two.pk.hex}") == found("q=issue.opened") == {two.pk}
    assert found("endpoint=nonsense") == found("q=nonsense") == set()


def test_auditor_looks_and_presses_nothing(workspace: Workspace, endpoint: WebhookEndpoint) -> None:
    client, delivery = signed_in(make_person("auditor", workspace)), deliver(endpoint)

    for row in (endpoint, delivery):
        assert "/press/" not in html(client.get(change(row)))
    for address in (press(endpoint, "rotate"), press(endpoint, "test"), press(delivery, "resend")):
        assert client.post(address).status_code == 403
    assert client.get(ADD).status_code == 403
    assert client.post(change(endpoint), {"url": f"{URL}/taken"}).status_code == 403


def test_screens_take_the_same_queries_however_many_rows(workspace: Workspace, client: Client) -> None:
    endpoint = make(workspace)
    delivery = deliver(endpoint)
    addresses = [rows_of(WebhookEndpoint), rows_of(Delivery), change(endpoint), change(delivery)]

    def queries() -> list[int]:
        counts = []
        for address in addresses:
            with CaptureQueriesContext(database) as asked:
                html(client.get(address))
            counts.append(len(asked))
        return counts

    queries()  # what is read once and remembered
    few = queries()
    for _ in range(5):
        deliver(make(workspace))
        deliver(endpoint)
    assert queries() == few
    assert max(few) <= 16, few
