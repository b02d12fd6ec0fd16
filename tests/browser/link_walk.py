"""A customer in front of the Link pages, and what they leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django_scopes import scope, scopes_disabled
from playwright.sync_api import BrowserContext, Page, expect

from connections.models import Connection, Credential, Grant, LinkSecret, LinkSession
from connections.services.linking import create_link_session
from tests.browser.conftest import Watched
from tests.browser.link_site import ProductSite, product_site
from tests.tenants import api, make_token, make_workspace
from workspaces.models import Workspace

STATE = "order-4711"


@pytest.fixture
def site() -> Iterator[ProductSite]:
    with product_site() as found:
        yield found


@pytest.fixture
def workspace(site: ProductSite) -> Workspace:
    """With a face, and with the product's addresses registered."""
    found = make_workspace("Nordring")
    found.display_name, found.colour = "Nordring Procurement", "#1d4ed8"
    found.support_address, found.privacy_url = "help@nordring.example", "https://nordring.example/privacy"
    found.link_redirect_uris, found.link_origins = [site.redirect_uri], [site.origin]
    found.save()
    return found


@pytest.fixture
def customer(context: BrowserContext) -> Iterator[Page]:
    """A page whose test fails when a script fails or our policy blocks something; refusals have their own statuses."""
    page = context.new_page()
    watched = Watched(page)
    yield page
    page.goto("about:blank")
    assert [trouble for trouble in watched.troubles if not is_status(trouble)] == []


def is_status(trouble: str) -> bool:
    return trouble.startswith("HTTP 4") or "the server responded with a status of 4" in trouble


class Invited:
    """A link session and the one who got its address."""

    def __init__(self, workspace: Workspace, live_url: str, **wishes: Any) -> None:
        values = {"environment": "test", "created_by": "test", "state": STATE, **wishes}
        self.workspace, self.environment = workspace, values["environment"]
        self.session, self.token = create_link_session(workspace=workspace, **values)
        self.address = f"{live_url}/link/{self.token}"

    def status(self) -> str:
        with scopes_disabled():
            return str(LinkSession.objects.values_list("status", flat=True).get(pk=self.session.pk))

    def exchange(self, code: str) -> Any:
        """As the product's backend does it, over the API."""
        _, clear = make_token(self.workspace, environment=self.environment)
        return api(clear).post("/api/v1/link-sessions/exchange", {"code": code}, content_type="application/json")

    def connection(self) -> Connection:
        with scope(workspace=self.workspace.pk):
            found: Connection = Connection.objects.get()
            return found


def begin(page: Page, invited: Invited) -> None:
    page.goto(invited.address)
    page.get_by_role("button", name="Begin").click()


def check_and_share(page: Page) -> None:
    """From the result of the test to the end, with all that was asked for."""
    expect(page.get_by_role("heading", name="The connection works")).to_be_visible()
    page.get_by_role("link", name="Continue").click()
    page.get_by_role("button", name="Share and connect").click()


def stored() -> dict[str, int]:
    """How many rows there are of what must not stay behind."""
    with scopes_disabled():
        return {model.__name__: model.objects.count() for model in (Connection, Credential, Grant, LinkSecret)}


NOTHING = {"Connection": 0, "Credential": 0, "Grant": 0, "LinkSecret": 0}


def fits(page: Page) -> bool:
    """Nothing runs out of the page sideways."""
    over: int = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return over <= 0
