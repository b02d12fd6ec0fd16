"""Hook addresses by API and on the screens, and the messages that came there."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from connections.services import disconnect_connection
from core import ids
from tests.connectors import TestErpServer, connect, erp_server  # noqa: F401
from tests.tenants import api, make_person, make_token, signed_in
from webhooks.models import HookAddress, InboundHook
from webhooks.services import hook_addresses, inbound

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
BODY = b'{"type": "order.changed", "order": {"id": 7}, "api_key": "sesame-sesame"}'


@pytest.fixture
def connection(settings: Any, erp_server: TestErpServer) -> Connection:
    settings.CONNECTORS = ["tests.inbound_stage.HookedErp"]
    settings.PUBLIC_URL = "https://lineshaft.example"
    return connect(erp_server)


@pytest.fixture
def client(connection: Connection) -> Client:
    _, clear = make_token(connection.workspace)
    return api(clear)


def address(connection: Connection) -> str:
    return f"/api/v1/connections/{ids.show(Connection.PREFIX, connection.pk)}/hook-address"


def ask(client: Client, method: str, path: str, body: Any = None) -> Any:
    rest = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
    return getattr(client, method)(path, **rest)


def send(url: str, secret: str) -> int:
    signature = "sha256=" + hmac.digest(secret.encode(), BODY, "sha256").hex()
    path = url.removeprefix("https://lineshaft.example")
    sent = Client().post(path, BODY, content_type="text/plain", headers={"X-Erp-Signature": signature})
    return int(sent.status_code)


# --- by API -------------------------------------------------------------------------------------------------------------


def test_address_is_made_shown_once_seen_renewed_and_removed(connection: Connection, client: Client) -> None:
    path = address(connection)
    assert ask(client, "get", path).json()["code"] == "NO_HOOK_ADDRESS"
    assert ask(client, "delete", path).status_code == 404

    made = ask(client, "post", path, {})
    assert made.status_code == 201 and "no-store" in made["Cache-Control"]
    body = made.json()
    url = body.pop("url")
    assert url.startswith(f"https://lineshaft.example/hooks/con_{connection.pk.hex}/")
    seen = ask(client, "get", path)
    assert seen.json() == body and url.rpartition("/")[2] not in seen.content.decode()
    assert body["signature"] == {"kind": "hmac", "header": "X-Erp-Signature"}
    assert body["events"]["vendor.changed"] == "vendor" and not body["has_signing_secret"]
    assert send(url, "s1") == 401

    assert ask(client, "patch", path, {"signing_secrets": ["s0", "s1"]}).json()["has_signing_secret"]
    assert send(url, "s1") == 202
    assert ask(client, "get", path).json()["last_received_at"] is not None

    renewed = ask(client, "post", path, {"signing_secrets": ["s2"]}).json()["url"]
    assert (send(url, "s1"), send(renewed, "s1"), send(renewed, "s2")) == (404, 401, 202)
    assert ask(client, "delete", path).status_code == 204
    assert send(renewed, "s2") == 404


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("post", {"signing_secret": "one"}, 400),
        ("post", {"signing_secrets": [""]}, 422),
        ("post", {"signing_secrets": ["a\nb"]}, 422),
        ("patch", {}, 422),
        ("patch", {"signing_secrets": ["x" * 1001]}, 422),
        ("patch", {"signing_secrets": ["x"]}, 404),
    ],
)
def test_address_is_refused_with_what_is_wrong(
    connection: Connection, client: Client, method: str, body: Any, status: int
) -> None:
    answer = ask(client, method, address(connection), body)
    assert answer.status_code == status, answer.content
    with scopes_disabled():
        assert not HookAddress.objects.exists()


def test_address_of_a_system_that_tells_nothing_is_422(connection: Connection, client: Client, settings: Any) -> None:
    settings.CONNECTORS = ["tests.connectors.TestErp"]
    answer = ask(client, "post", address(connection), {})
    assert (answer.status_code, answer.json()["code"]) == (422, "OPERATION_NOT_SUPPORTED")


def test_address_of_an_ended_connection_is_409(connection: Connection, client: Client) -> None:
    disconnect_connection(connection, by="test")
    answer = ask(client, "post", address(connection), {})
    assert (answer.status_code, answer.json()["code"]) == (409, "CONNECTION_DISCONNECTED")


# --- on the screens -----------------------------------------------------------------------------------------------------


def page_of(connection: Connection) -> str:
    return reverse("admin:connections_connection_hook_address", args=[connection.pk])


def text(response: Any) -> str:
    assert response.status_code == 200, response.status_code
    return str(response.content.decode())


def test_operator_makes_an_address_and_stores_its_secret(connection: Connection) -> None:
    browser, page = signed_in(make_person("operator", connection.workspace)), page_of(connection)
    overview = text(browser.get(reverse("admin:connections_connection_change", args=[connection.pk])))
    assert f'href="{page}"' in overview
    assert "Make the address" in text(browser.get(page))

    made = browser.post(page, {"make": "", "secrets": ""})
    shown = text(made)
    url = shown.partition('id="hook-address">')[2].partition("<")[0]
    assert "/hooks/con_" in url and "no-store" in made["Cache-Control"]
    assert url not in text(browser.get(page)) and "refused until it is stored" in text(browser.get(page))

    stored = text(browser.post(page, {"store": "", "secrets": "s0\r\n s1 \r\n\r\n"}, follow=True))
    assert "2 signing secrets stored" in stored and "s1 " not in stored
    assert send(url, "s1") == 202
    text(browser.post(page, {"make": "", "secrets": ""}))
    assert send(url, "s1") == 404
    assert "leads nowhere" in text(browser.post(page, {"remove": ""}, follow=True))
    assert "Make one by POST" in text(browser.post(page, {"remove": ""}, follow=True))


def test_page_is_not_for_auditors_nor_for_systems_that_tell_nothing(connection: Connection, settings: Any) -> None:
    auditor = signed_in(make_person("auditor", connection.workspace))
    assert auditor.get(page_of(connection)).status_code == 403
    assert "Hook address" not in text(auditor.get(reverse("admin:connections_connection_change", args=[connection.pk])))
    settings.CONNECTORS = ["tests.connectors.TestErp"]
    operator = signed_in(make_person("operator", connection.workspace))
    assert operator.get(page_of(connection)).status_code == 404


@pytest.fixture
def message(connection: Connection) -> InboundHook:
    with scope(workspace=connection.workspace_id):
        row, _ = hook_addresses.make_address(connection, signing_secrets=["s1"])
    signature = "sha256=" + hmac.digest(b"s1", BODY, "sha256").hex()
    return inbound.receive(row, {"x-erp-signature": signature, "user-agent": "ERP 9"}, BODY)


def test_messages_are_listed_and_shown_with_secrets_cut(
    connection: Connection, message: InboundHook, django_assert_max_num_queries: Any
) -> None:
    browser = signed_in(make_person("operator", connection.workspace))
    listing = reverse("admin:webhooks_inboundhook_changelist")
    text(browser.get(listing))
    with django_assert_max_num_queries(12):
        shown = text(browser.get(listing, {"q": f"con_{connection.pk.hex}"}))
    assert "Received" in shown and "Plant 1" in shown
    assert "Plant 1" not in text(browser.get(listing, {"status__exact": "failed"})).partition("</thead>")[2]
    page = text(browser.get(reverse("admin:webhooks_inboundhook_change", args=[message.pk])))
    assert "ERP 9" in page and "order.changed" in page and "sesame-sesame" not in page and "Try again" not in page


def test_message_that_failed_is_tried_again_by_a_button(connection: Connection, message: InboundHook) -> None:
    browser = signed_in(make_person("operator", connection.workspace))
    press = reverse("admin:webhooks_inboundhook_press", args=[message.pk, "again"])
    assert "Nothing was changed" in text(browser.post(press, follow=True))
    with scopes_disabled():
        InboundHook.objects.filter(pk=message.pk).update(status="failed", done_at=message.received_at)
    assert "Try again" in text(browser.get(reverse("admin:webhooks_inboundhook_change", args=[message.pk])))
    assert "worked off again" in text(browser.post(press, follow=True))
    with scopes_disabled():
        assert InboundHook.objects.get().status == "received"
