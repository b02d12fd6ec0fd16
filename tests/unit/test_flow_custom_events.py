"""Events that flows emit: named wherever types are chosen, each by its name or all by `custom.*`."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django_scopes import scopes_disabled

from tests.tenants import api, emit_now, make_person, make_token, make_workspace, signed_in
from webhooks.models import Delivery, WebhookEndpoint
from webhooks.services.fanout import fan_out
from workspaces.event_catalogue import is_choice_of_types, is_event_type
from workspaces.events import emit_custom
from workspaces.models import Workspace

ENDPOINTS, FEED = "/api/v1/webhook-endpoints", "/api/v1/events"
pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def client(workspace: Workspace) -> Client:
    return api(make_token(workspace, scopes=["webhooks:write", "events:read"])[1])


def tell(workspace: Workspace, *types: str) -> None:
    for name in types:
        emit_custom(name, workspace_id=workspace.pk, environment="live", data={"told": name}, reason="flow")
    connection.check_constraints()


def make(client: Client, types: list[str]) -> Any:
    body = {"url": "https://app.example.com/", "event_types": types}
    return client.post(ENDPOINTS, body, content_type="application/json")


def read(client: Client, types: str) -> list[str]:
    response = client.get(FEED, {"type": types})
    assert response.status_code == 200, response.content
    return [event["type"] for event in response.json()["data"]]


@pytest.mark.parametrize("name", ["custom.late", "custom.order.late_2", "record.created"])
def test_name_of_a_type(name: str) -> None:
    assert is_event_type(name) and is_choice_of_types(name)


@pytest.mark.parametrize(
    "name",
    ["custom", "custom.", "custom.Late", "custom..late", "custom.1", "custom.a b", "mine.late", "record.*", "custom.a.*",
     "custom." + "x" * 60],
)  # fmt: skip
def test_what_is_no_name_of_a_type(name: str, client: Client) -> None:
    assert not is_event_type(name) and not is_choice_of_types(name)
    assert client.get(FEED, {"type": name}).status_code == 400
    assert make(client, [name]).status_code == 422


def test_pattern_is_a_choice_and_no_type() -> None:
    assert is_choice_of_types("custom.*") and not is_event_type("custom.*")


def test_feed_is_filtered_by_name_and_by_pattern(workspace: Workspace, client: Client) -> None:
    tell(workspace, "custom.order.late", "custom.greeting")
    emit_now(workspace)

    assert read(client, "custom.*") == ["custom.order.late", "custom.greeting"]
    assert read(client, "custom.greeting") == ["custom.greeting"]
    assert read(client, "custom.*,sync.completed") == ["custom.order.late", "custom.greeting", "sync.completed"]
    assert read(client, "custom.unknown") == []


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (["custom.*"], ["custom.greeting", "custom.order.late"]),
        (["custom.greeting"], ["custom.greeting"]),
        (["sync.completed"], ["sync.completed"]),
        (["custom.*", "sync.completed"], ["custom.greeting", "custom.order.late", "sync.completed"]),
        ([], ["custom.greeting", "custom.order.late", "sync.completed"]),
    ],
    ids=str,
)
def test_endpoint_is_told_of_what_it_chose(
    workspace: Workspace, client: Client, chosen: list[str], told: list[str]
) -> None:
    made = make(client, chosen)
    assert made.status_code == 201 and made.json()["event_types"] == sorted(chosen)
    tell(workspace, "custom.order.late", "custom.greeting")
    emit_now(workspace)

    with scopes_disabled():
        fan_out(seconds=5)
        assert sorted(Delivery.objects.values_list("event_type", flat=True)) == told
    listed = client.get("/api/v1/webhook-deliveries", {"type": told[0]}).json()["data"]
    assert [delivery["type"] for delivery in listed] == [told[0]]


def test_what_was_missed_is_delivered_by_pattern_too(workspace: Workspace, client: Client) -> None:
    tell(workspace, "custom.order.late")
    made = make(client, ["custom.*"]).json()
    emit_now(workspace)
    with scopes_disabled():
        fan_out(seconds=5)
        assert not Delivery.objects.exists(), "it is told of what happens from then on"

    body = {"since": json.loads(client.get(FEED).content)["data"][0]["timestamp"]}
    response = client.post(f"{ENDPOINTS}/{made['id']}/recover", body, content_type="application/json")
    assert (response.status_code, response.json()) == (202, {"deliveries": 1}), response.content


def test_types_that_were_chosen_by_the_api_stay_when_the_admin_saves(workspace: Workspace, client: Client) -> None:
    made = make(client, ["custom.order.late", "custom.*", "sync.failed"]).json()
    pk = UUID(made["id"].removeprefix("whe_"))
    browser = signed_in(make_person("owner", workspace))
    address = reverse("admin:webhooks_webhookendpoint_change", args=[pk])

    page = browser.get(address).content.decode()
    assert 'value="custom.order.late"' in page and 'value="custom.*"' in page
    values = {
        "url": made["url"], "description": "Renamed", "payload": "thin",
        "event_types": ["custom.order.late", "custom.*", "sync.failed"],
    }  # fmt: skip
    assert browser.post(address, values).status_code == 302
    with scopes_disabled():
        row = WebhookEndpoint.objects.get(pk=pk)
    assert (row.description, row.event_types) == ("Renamed", ["custom.*", "custom.order.late", "sync.failed"])
