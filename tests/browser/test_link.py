"""A customer walks Link in a real browser, from the session to the exchanged token, for every way of signing in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django_scopes import scope, scopes_disabled
from playwright.sync_api import Browser, Page, expect

from connections.models import LinkSession
from connections.services.systems import update_system_settings
from integrations.connectors.maintainx import MaintainX
from integrations.simulators import running as simulator_running
from integrations.simulators.kit.server import Simulator
from sandbox.tryton import TrytonServer
from sandbox.tryton import running as tryton_running
from tests.browser.link_site import ProductSite
from tests.browser.link_walk import (  # noqa: F401
    NOTHING,
    STATE,
    Invited,
    begin,
    check_and_share,
    customer,
    site,
    stored,
    workspace,
)
from tests.connectors import API_KEY, TestErpServer, erp_connector, erp_server  # noqa: F401
from tests.oauth.connector import CONNECTORS as BEHIND_OAUTH
from tests.oauth.running import OAuthServer, oauth_server
from tests.tenants import api
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db(transaction=True)]
WRONG = "a wrong key, a canary"


@pytest.fixture(scope="module")
def tryton_server() -> Iterator[TrytonServer]:
    with tryton_running() as server:
        yield server


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """Without the vendor's limit, which would have the test wait."""
    monkeypatch.setattr(MaintainX, "limits", replace(MaintainX.limits, per_minute=None))
    with simulator_running("maintainx") as found:
        yield found


@pytest.fixture
def oauth(live_server: Any, settings: Any, workspace: Workspace) -> Iterator[OAuthServer]:
    """The server knows our callback, and the workspace its client."""
    settings.CONNECTORS = [*settings.CONNECTORS, *BEHIND_OAUTH]
    settings.PUBLIC_URL = live_server.url
    with oauth_server(redirect_uri=f"{live_server.url}/link/oauth/callback") as server:
        with scope(workspace=workspace.pk):
            update_system_settings(
                workspace=workspace,
                system="oauth-erp",
                environment="test",
                changes={
                    "oauth_client_id": server.client_id,
                    "oauth_client_secret": server.client_secret,
                    "oauth_hosts": [server.host],
                },
                by="test",
            )
        yield server


def agree(page: Page, server: OAuthServer, *, allow: bool = True) -> None:
    """Be the customer at the system's own pages."""
    expect(page).to_have_url(re.compile(re.escape(server.base_url)))
    page.locator("input[name=username]").fill(server.username)
    page.locator("input[name=password]").fill(server.password)
    page.locator("form [type=submit]").first.click()
    page.locator(
        "input[type=submit][value=Authorize], input[name=allow]" if allow else "input[value=Cancel]"
    ).first.click()


def to_oauth(page: Page, server: OAuthServer, invited: Invited) -> None:
    begin(page, invited)
    page.get_by_role("button", name="OAuth ERP").click()
    page.get_by_label("Address").fill(server.base_url)
    page.get_by_role("button", name="Continue to OAuth ERP").click()


def check_exchanged(invited: Invited, code: str, *, account: str) -> None:
    """The code gives a token that sees this connection, once."""
    answer = invited.exchange(code)
    assert answer.status_code == 201, answer.content
    body = answer.json()
    connection = invited.connection()
    assert (connection.status, connection.account, connection.passthrough_shared) == ("active", account, False)
    assert body["connection"]["id"] == f"con_{connection.pk.hex}"
    seen = api(body["token"]).get("/api/v1/connections").json()["data"]
    assert [row["id"] for row in seen] == [body["connection"]["id"]]
    assert invited.exchange(code).status_code == 409
    assert invited.status() == "exchanged"


# --- the whole way ----------------------------------------------------------------------------------------------------


def test_tryton_with_a_password_from_session_to_token(
    customer: Page, live_server: Any, workspace: Workspace, site: ProductSite, tryton_server: TrytonServer
) -> None:
    invited = Invited(workspace, live_server.url, environment="live", redirect_uri=site.redirect_uri)
    begin(customer, invited)
    customer.get_by_role("searchbox").fill("purchases")
    customer.get_by_role("button", name="Tryton").click()
    customer.get_by_label("Address").fill(tryton_server.base_url)
    customer.get_by_label("Database").fill(tryton_server.database)
    customer.get_by_label("User name").fill(tryton_server.user)
    customer.get_by_label("Password", exact=True).fill(tryton_server.password)
    customer.get_by_role("button", name="Test the connection").click()
    expect(customer.get_by_role("row", name=re.compile("^Purchase orders"))).to_contain_text("Yes")
    check_and_share(customer)

    expect(customer.get_by_role("heading", name="Welcome back")).to_be_visible()
    answer = site.answer()
    assert (answer["state"], answer["plan"]) == (STATE, "gold")
    check_exchanged(invited, answer["code"], account=invited.connection().account)
    assert invited.connection().account.startswith(tryton_server.user)


def test_maintainx_with_a_key_from_session_to_token(
    customer: Page, live_server: Any, workspace: Workspace, site: ProductSite, plant: Simulator
) -> None:
    wanted = {"work_order": "read_write", "asset": "read"}
    invited = Invited(workspace, live_server.url, redirect_uri=site.redirect_uri, system="maintainx", entities=wanted)
    begin(customer, invited)
    customer.get_by_label("Address").fill(plant.base_url)
    customer.get_by_label("API key", exact=True).fill(plant.api_key)
    customer.get_by_role("button", name="Test the connection").click()
    expect(customer.get_by_role("row", name=re.compile("^Assets"))).to_contain_text("Not asked")
    expect(customer.get_by_text("Vendors")).to_have_count(0)
    customer.get_by_role("link", name="Continue").click()
    expect(customer.get_by_label("Raw calls")).to_have_count(0)
    customer.get_by_role("radiogroup", name="Assets").get_by_label("Nothing").check()
    customer.get_by_role("button", name="Share and connect").click()

    expect(customer.get_by_role("heading", name="Welcome back")).to_be_visible()
    check_exchanged(invited, site.answer()["code"], account="organization 501")
    assert invited.connection().shared == {"work_order": "read_write"}


def test_oauth_system_from_session_to_token(
    customer: Page, live_server: Any, workspace: Workspace, site: ProductSite, oauth: OAuthServer
) -> None:
    invited = Invited(workspace, live_server.url, redirect_uri=site.redirect_uri)
    to_oauth(customer, oauth, invited)
    agree(customer, oauth)
    check_and_share(customer)

    expect(customer.get_by_role("heading", name="Welcome back")).to_be_visible()
    check_exchanged(invited, site.answer()["code"], account=oauth.username)
    assert oauth.journal() == {"authorization_code": 1}
    assert stored() == {"Connection": 1, "Credential": 0, "Grant": 1, "LinkSecret": 0}


# --- ways that end ----------------------------------------------------------------------------------------------------


def test_wrong_key_then_told_at_the_form_and_nothing_stored(
    customer: Page, live_server: Any, workspace: Workspace, erp_server: TestErpServer, erp_connector: Any
) -> None:
    invited = Invited(workspace, live_server.url, system="test-erp")
    begin(customer, invited)
    customer.get_by_label("Base url").fill(erp_server.base_url)
    customer.get_by_label("Api key", exact=True).fill(WRONG)
    with customer.expect_response(re.compile("/connect$")) as answered:
        customer.get_by_role("button", name="Test the connection").click()

    assert answered.value.status == 422
    alert = customer.get_by_role("alert")
    expect(alert).to_contain_text("Signing in")
    expect(alert).to_be_focused()
    expect(customer.get_by_label("Base url")).to_have_value(erp_server.base_url)
    expect(customer.get_by_label("Api key", exact=True)).to_have_value("")
    assert WRONG not in customer.content()
    assert stored() == NOTHING


def test_denied_at_the_system_then_told_and_tried_again(
    customer: Page, live_server: Any, workspace: Workspace, oauth: OAuthServer
) -> None:
    invited = Invited(workspace, live_server.url)
    to_oauth(customer, oauth, invited)
    with customer.expect_response(re.compile("/link/oauth/callback")) as answered:
        agree(customer, oauth, allow=False)

    assert answered.value.status == 403
    expect(customer.get_by_role("heading", name="You did not allow access")).to_be_visible()
    assert stored() == NOTHING and oauth.journal() == {}
    customer.get_by_role("link", name="Try again").click()
    expect(customer.get_by_label("Address")).to_have_value(oauth.base_url)


def test_foreign_or_used_state_then_refused_and_nothing_stored(
    customer: Page, chromium: Browser, live_server: Any, workspace: Workspace, oauth: OAuthServer
) -> None:
    invited = Invited(workspace, live_server.url)
    answers: list[str] = []
    customer.on("request", lambda request: answers.append(request.url) if "/oauth/callback" in request.url else None)
    to_oauth(customer, oauth, invited)
    expect(customer).to_have_url(re.compile(re.escape(oauth.base_url)))
    answer = customer.goto(f"{live_server.url}/link/oauth/callback?code=stolen&state=made-up")
    assert answer is not None and answer.status == 400
    expect(customer.get_by_role("heading", name="does not belong to this browser")).to_be_visible()
    assert stored()["Connection"] == 0 and stored()["Grant"] == 0

    to_connect = f"{invited.address}/connect"
    customer.goto(to_connect)
    customer.get_by_role("button", name="Continue to OAuth ERP").click()
    agree(customer, oauth)
    expect(customer.get_by_role("heading", name="The connection works")).to_be_visible()
    before, used = stored(), answers[-1]
    stranger = chromium.new_context()
    for page in (customer, stranger.new_page()):
        answer = page.goto(used)
        assert answer is not None and answer.status == 400
        expect(page.get_by_role("heading", name="does not belong to this browser")).to_be_visible()
    stranger.close()
    assert stored() == before and oauth.journal() == {"authorization_code": 1}


def test_expired_link_then_told_whom_to_ask(customer: Page, live_server: Any, workspace: Workspace) -> None:
    invited = Invited(workspace, live_server.url, system="tryton")
    begin(customer, invited)
    expect(customer.get_by_label("Database")).to_be_visible()
    with scopes_disabled():
        LinkSession.objects.update(expires_at=Now() - timedelta(seconds=1))
    for address in (invited.address, f"{invited.address}/connect"):
        answer = customer.goto(address)
        assert answer is not None and answer.status == 410
        expect(customer.get_by_role("heading", name="This link has expired")).to_be_visible()
        expect(customer.get_by_text("Ask Nordring Procurement for a new link.")).to_be_visible()
    assert stored() == NOTHING


def test_used_link_then_told_that_it_is_done(
    customer: Page, live_server: Any, workspace: Workspace, erp_server: TestErpServer, erp_connector: Any
) -> None:
    invited = Invited(workspace, live_server.url, system="test-erp")
    begin(customer, invited)
    customer.get_by_label("Base url").fill(erp_server.base_url)
    customer.get_by_label("Api key", exact=True).fill(API_KEY)
    customer.get_by_role("button", name="Test the connection").click()
    check_and_share(customer)
    expect(customer.get_by_role("heading", name="Test ERP is connected")).to_be_visible()
    expect(customer.get_by_text("You can close this window.")).to_be_visible()

    before = stored()
    for address in (invited.address, f"{invited.address}/share"):
        answer = customer.goto(address)
        assert answer is not None and answer.status == 410
        expect(customer.get_by_role("heading", name="This link was used already")).to_be_visible()
    assert stored() == before


def test_unknown_link_then_told_so_without_a_face(customer: Page, live_server: Any) -> None:
    answer = customer.goto(f"{live_server.url}/link/{'x' * 43}")

    assert answer is not None and answer.status == 404
    expect(customer.get_by_role("heading", name="This link does not work")).to_be_visible()


def test_cancelled_link_then_nothing_stays(
    customer: Page, live_server: Any, workspace: Workspace, erp_server: TestErpServer, erp_connector: Any,
    site: ProductSite,
) -> None:  # fmt: skip
    invited = Invited(workspace, live_server.url, system="test-erp", redirect_uri=site.redirect_uri)
    begin(customer, invited)
    customer.get_by_label("Base url").fill(erp_server.base_url)
    customer.get_by_label("Api key", exact=True).fill(API_KEY)
    customer.get_by_role("button", name="Test the connection").click()
    expect(customer.get_by_role("heading", name="The connection works")).to_be_visible()
    assert stored()["LinkSecret"] == 1
    customer.get_by_role("link", name="Cancel").click()
    customer.get_by_role("button", name="Stop and erase").click()
    customer.get_by_role("link", name="Back to Nordring Procurement").click()

    expect(customer.get_by_role("heading", name="Welcome back")).to_be_visible()
    assert site.answer() == {"plan": "gold", "error": "cancelled", "state": STATE}
    assert stored() == NOTHING and invited.status() == "cancelled"


def test_second_browser_then_starts_anew_and_the_first_is_out(
    customer: Page, chromium: Browser, live_server: Any, workspace: Workspace, erp_server: TestErpServer,
    erp_connector: Any,
) -> None:  # fmt: skip
    invited = Invited(workspace, live_server.url, system="test-erp")
    begin(customer, invited)
    customer.get_by_label("Base url").fill(erp_server.base_url)
    customer.get_by_label("Api key", exact=True).fill(API_KEY)
    customer.get_by_role("button", name="Test the connection").click()
    expect(customer.get_by_role("heading", name="The connection works")).to_be_visible()

    elsewhere = chromium.new_context()
    page = elsewhere.new_page()
    answer = page.goto(invited.address)
    assert answer is not None and answer.status == 409
    expect(page.get_by_role("heading", name="open in another browser")).to_be_visible()
    page.get_by_role("button", name="Start anew here").click()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_label("Base url")).to_have_value("")
    assert stored() == NOTHING
    elsewhere.close()

    answer = customer.goto(f"{invited.address}/share")
    assert answer is not None and answer.status == 409
