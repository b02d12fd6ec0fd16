"""Link with a system that is signed in to by OAuth, against a real server of it in a process of its own."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django_scopes import scope, scopes_disabled

from connections.models import Connection, Credential, Grant, LinkSecret, LinkSession
from connections.services import linking, open_connector
from connections.services.linking import LinkError
from connections.services.systems import CLIENT_SECRET, redirect_uri, update_system_settings
from core.errors import ConfigError
from tests.oauth.connector import SLUG
from tests.oauth.running import OAuthServer, oauth_server
from tests.tenants import make_workspace
from workspaces.models import AuditEvent, Workspace

pytestmark = pytest.mark.django_db
SHARED = {"vendor": "read", "purchase_order": "read"}


@pytest.fixture(scope="module")
def server() -> Iterator[OAuthServer]:
    with oauth_server() as running:
        yield running


@pytest.fixture
def workspace(settings: Any) -> Iterator[Workspace]:
    settings.CONNECTORS = ["tests.oauth.connector.OAuthErp"]
    made = make_workspace("acme")
    with scope(workspace=made.pk):
        yield made


@pytest.fixture
def ready(workspace: Workspace, server: OAuthServer) -> tuple[LinkSession, str]:
    """A session in its browser, before the sign-in."""
    server.heal()
    server.set_redirect_uri(redirect_uri())
    changes = {"oauth_client_id": server.client_id, CLIENT_SECRET: server.client_secret, "oauth_hosts": [server.host]}
    update_system_settings(workspace=workspace, system=SLUG, environment="live", changes=changes, by="me")
    return begun(workspace)


def begun(workspace: Workspace) -> tuple[LinkSession, str]:
    _, token = linking.create_link_session(
        workspace=workspace, environment="live", customer_reference="c1", created_by="me"
    )
    session = linking.find_session(token)
    browser = linking.begin(session, None)
    linking.choose_system(session, SLUG)
    assert linking.uses_oauth(session)
    return session, browser


def left(session: LinkSession, browser: str, server: OAuthServer, **wanted: Any) -> dict[str, str]:
    """What the system sends the browser back with."""
    return server.agree(linking.start_oauth(session, {"base_url": server.base_url}, browser), **wanted)


def refused(code: str, function: Any, *args: Any) -> LinkError:
    with pytest.raises(LinkError) as caught:
        function(*args)
    assert caught.value.code == code, caught.value
    return caught.value


def kept() -> set[str]:
    with scopes_disabled():
        assert not Credential.objects.exists()
        return {secret.name for secret in LinkSecret.objects.all()}


def test_oauth_when_the_customer_agrees_then_the_connection_holds_the_grant(ready, server, workspace):
    session, browser = ready
    server.forget_journal()
    address = linking.start_oauth(session, {"base_url": server.base_url}, browser)
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"] and asked["redirect_uri"] == [redirect_uri()]
    assert kept() == {"oauth_verifier"}

    found, outcome = linking.take_oauth_answer(browser, server.agree(address))

    assert found.pk == session.pk and outcome.ok and outcome.account
    assert [row.read for row in outcome.matrix] == [True, True] and kept() == {"grant"}
    linking.finish(found, shared=SHARED, passthrough=False, renew=False)
    connection = Connection.objects.get()
    assert kept() == set() and connection.status == "active" and Grant.objects.get().connection_id == connection.pk
    with open_connector(connection) as connector:
        assert connector.check().account == outcome.account
    assert server.journal() == {"authorization_code": 1}


def test_oauth_when_renewed_then_the_grant_is_replaced(ready, server, workspace):
    for renew in (False, True):
        session, browser = begun(workspace)
        found, outcome = linking.take_oauth_answer(browser, left(session, browser, server))
        assert bool(outcome.existing) is renew
        linking.finish(found, shared=SHARED, passthrough=False, renew=renew)
    assert Connection.objects.count() == Grant.objects.count() == 1 and Grant.objects.get().generation == 2


def test_oauth_when_access_is_denied_then_nothing_stays(ready, server):
    session, browser = ready
    answer = left(session, browser, server, allow=False)
    assert answer["error"] == "access_denied"

    error = refused("LINK_DENIED", linking.take_oauth_answer, browser, answer)

    assert error.session is not None and error.session.pk == session.pk and kept() == set()
    assert AuditEvent.objects.get(action="link.refused").details["reason"] == "access_denied"
    assert linking.take_oauth_answer(browser, left(session, browser, server))[1].ok


def test_oauth_when_the_state_comes_again_then_it_is_foreign(ready, server):
    session, browser = ready
    answer = left(session, browser, server)
    assert linking.take_oauth_answer(browser, answer)[1].ok
    refused("LINK_STATE_FOREIGN", linking.take_oauth_answer, browser, answer)
    assert kept() == {"grant"}


@pytest.mark.parametrize("foreign", ["state", "browser", "no browser", "no state", "older state"])
def test_oauth_when_the_answer_is_foreign_then_no_code_is_taken(ready, server, foreign):
    session, browser = ready
    answer = left(session, browser, server)
    if foreign == "older state":
        linking.start_oauth(session, {"base_url": server.base_url}, browser)
    server.forget_journal()
    sent = {**answer, **({"state": "x" * 43} if foreign == "state" else {})}
    if foreign == "no state":
        del sent["state"]
    came_from = {"browser": "y" * 43, "no browser": None}.get(foreign, browser)

    error = refused("LINK_STATE_FOREIGN", linking.take_oauth_answer, came_from, sent)

    assert error.session is None and server.journal() == {} and "grant" not in kept()


def test_oauth_when_another_browser_took_over_then_the_first_ones_answer_is_foreign(ready, server):
    session, browser = ready
    answer = left(session, browser, server)
    linking.take_over(LinkSession.objects.get(pk=session.pk))
    refused("LINK_STATE_FOREIGN", linking.take_oauth_answer, browser, answer)
    assert kept() == set()


@pytest.mark.parametrize("fault", ["500", "html"])
def test_oauth_when_the_token_endpoint_fails_then_the_outcome_says_so(ready, server, fault):
    session, browser = ready
    answer = left(session, browser, server)
    server.fail(fault)
    _, outcome = linking.take_oauth_answer(browser, answer)
    assert not outcome.ok and [check.name for check in outcome.checks] == ["signed_in"] and kept() == set()


def test_oauth_when_no_client_is_registered_then_the_operator_is_named(workspace, server):
    session, browser = begun(workspace)
    with pytest.raises(ConfigError) as caught:
        linking.start_oauth(session, {"base_url": server.base_url}, browser)
    assert caught.value.code == "OAUTH_CLIENT_MISSING" and kept() == set()


def test_start_oauth_when_the_browser_is_another_then_it_is_refused(ready, server):
    session, _ = ready
    refused("LINK_STATE_FOREIGN", linking.start_oauth, session, {"base_url": server.base_url}, "z" * 43)


def test_the_client_secret_goes_to_no_host_that_the_workspace_did_not_name(
    workspace: Workspace, server: OAuthServer, ready: tuple[LinkSession, str]
) -> None:
    """A customer types the address of the sign-in, and could name a host of their own."""
    session, browser = ready
    update_system_settings(
        workspace=workspace, system=SLUG, environment="live", changes={"oauth_hosts": ["erp.example"]}, by="me"
    )
    server.forget_journal()
    with pytest.raises(ConfigError) as caught:
        linking.start_oauth(session, {"base_url": server.base_url}, browser)
    assert caught.value.code == "OAUTH_HOST_NOT_ALLOWED" and server.host in caught.value.detail
    assert not server.attempts()


@pytest.mark.filterwarnings("ignore:No directory at")
def test_oauth_answer_when_it_comes_again_then_the_page_leads_back_and_the_customer_is_on_record(workspace):
    changes = {"oauth_client_id": "app", CLIENT_SECRET: "s3cret", "oauth_hosts": ["erp.example"]}
    update_system_settings(workspace=workspace, system=SLUG, environment="live", changes=changes, by="me")
    _, token = linking.create_link_session(workspace=workspace, environment="live", system=SLUG, created_by="test")
    client, address = Client(), f"/link/{token}"
    assert client.post(address).status_code == 303
    leave = html.unescape(client.post(f"{address}/connect", {"base_url": "https://erp.example"}).content.decode())
    (state,) = re.findall(r"[?&]state=([\w-]+)", leave.split("data-forward")[0])

    denied = client.get("/link/oauth/callback", {"state": state, "error": "access_denied"})

    assert denied.status_code == 403 and f"{address}/connect" in denied.content.decode()
    with scopes_disabled():
        event = AuditEvent.objects.get(action="link.refused")
        session = LinkSession.objects.get()
    assert (event.actor_kind, event.actor) == ("customer", f"customer by link lnk_{session.pk.hex}")
    assert event.request_id.startswith("req_")
    assert client.get("/link/oauth/callback", {"state": state}).status_code == 400
