"""Link as a popup of another site, on a phone, by keyboard alone, without scripts, and for what was connected before."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django_scopes import scope
from playwright.sync_api import Browser, BrowserContext, Page, expect

from connections.models import Connection
from integrations.sdk.declarations import Text
from tests.browser.link_site import ProductSite
from tests.browser.link_walk import (  # noqa: F401
    NOTHING,
    STATE,
    Invited,
    begin,
    check_and_share,
    customer,
    fits,
    site,
    stored,
    workspace,
)
from tests.capable_erp import CapableErp, capable_erp  # noqa: F401
from tests.connectors import API_KEY, TestErpServer, erp_server  # noqa: F401
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("capable_erp")]


@pytest.fixture(autouse=True)
def _probed(capable_erp: type[CapableErp], monkeypatch: pytest.MonkeyPatch) -> None:
    """The system tells what the account may do: not all of it."""
    told = {"purchase_order": {"create": True, "update": True, "delete": False}}
    monkeypatch.setattr(capable_erp, "may", told)


def sign_in(page: Page, erp: TestErpServer) -> None:
    page.get_by_label("Base url").fill(erp.base_url)
    page.get_by_label("Api key", exact=True).fill(API_KEY)
    page.get_by_role("button", name="Test the connection").click()


@pytest.fixture
def product(context: BrowserContext, site: ProductSite, live_server: Any) -> Page:
    """The other site's page, with link.js of ours in it."""
    site.script = f"{live_server.url}/link/link.js"
    return context.new_page()


# --- popup ------------------------------------------------------------------------------------------------------------


def test_popup_hands_the_code_to_the_page_that_opened_it_and_closes(
    product: Page, live_server: Any, workspace: Workspace, site: ProductSite, erp_server: TestErpServer
) -> None:
    invited = Invited(workspace, live_server.url, system="test-erp", origin=site.origin)
    site.link = invited.address
    product.goto(site.origin)
    with product.expect_popup() as opened:
        product.get_by_role("button", name="Connect your ERP").click()
    popup = opened.value
    popup.get_by_role("button", name="Begin").click()
    sign_in(popup, erp_server)
    popup.get_by_role("link", name="Continue").click()
    with popup.expect_event("close"):
        popup.get_by_role("button", name="Share and connect").click()

    told = product.locator("#told")
    expect(told).to_contain_text("success")
    result = json.loads(told.inner_text().removeprefix("success "))
    assert result["state"] == STATE
    assert invited.exchange(result["code"]).status_code == 201


@pytest.mark.parametrize("way", ["closed", "cancelled"])
def test_popup_that_ends_early_tells_why(
    way: str, product: Page, live_server: Any, workspace: Workspace, site: ProductSite
) -> None:
    invited = Invited(workspace, live_server.url, system="test-erp", origin=site.origin)
    site.link = invited.address
    product.goto(site.origin)
    with product.expect_popup() as opened:
        product.get_by_role("button", name="Connect your ERP").click()
    popup = opened.value
    expect(popup.get_by_role("button", name="Begin")).to_be_visible()
    if way == "closed":
        popup.close()
    else:
        popup.get_by_role("link", name="Cancel").click()
        popup.get_by_role("button", name="Stop and erase").click()

    expect(product.locator("#told")).to_have_text(f'exit {{"reason":"{way}"}}')
    assert stored() == NOTHING


def test_popup_opened_by_another_origin_tells_it_nothing(
    product: Page, live_server: Any, workspace: Workspace, site: ProductSite, erp_server: TestErpServer
) -> None:
    """The message goes to the registered origin alone, whoever opened the window."""
    workspace.link_origins = ["https://app.nordring.example"]
    workspace.save()
    invited = Invited(workspace, live_server.url, system="test-erp", origin="https://app.nordring.example")
    site.link = invited.address
    product.goto(site.origin)
    with product.expect_popup() as opened:
        product.get_by_role("button", name="Connect your ERP").click()
    popup = opened.value
    popup.get_by_role("button", name="Begin").click()
    sign_in(popup, erp_server)
    popup.get_by_role("link", name="Continue").click()
    with popup.expect_event("close"):
        popup.get_by_role("button", name="Share and connect").click()

    expect(product.locator("#told")).to_have_text('exit {"reason":"closed"}')
    assert invited.status() == "finished"


def test_message_of_another_window_is_not_believed(
    product: Page, live_server: Any, workspace: Workspace, site: ProductSite
) -> None:
    invited = Invited(workspace, live_server.url, system="test-erp", origin=site.origin)
    site.link = invited.address
    product.goto(site.origin)
    with product.expect_popup() as opened:
        product.get_by_role("button", name="Connect your ERP").click()
    expect(opened.value.get_by_role("button", name="Begin")).to_be_visible()
    product.evaluate("window.postMessage({type: 'lineshaft:link', code: 'forged', state: ''}, '*')")
    opened.value.close()

    expect(product.locator("#told")).to_have_text('exit {"reason":"closed"}')


def test_blocked_popup_then_the_whole_page_goes_there_and_comes_back(
    product: Page, live_server: Any, workspace: Workspace, site: ProductSite, erp_server: TestErpServer
) -> None:
    wishes = {"origin": site.origin, "redirect_uri": site.redirect_uri}
    invited = Invited(workspace, live_server.url, system="test-erp", **wishes)
    site.link = invited.address
    product.goto(site.origin)
    product.evaluate("window.open = () => null")
    product.get_by_role("button", name="Connect your ERP").click()
    product.get_by_role("button", name="Begin").click()
    sign_in(product, erp_server)
    check_and_share(product)

    expect(product.get_by_role("heading", name="Welcome back")).to_be_visible()
    assert invited.exchange(site.answer()["code"]).status_code == 201


# --- small, by keyboard, plain ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone(
    scheme: Any, customer: Page, live_server: Any, workspace: Workspace, erp_server: TestErpServer
) -> None:
    customer.set_viewport_size({"width": 360, "height": 740})
    customer.emulate_media(color_scheme=scheme)
    invited = Invited(workspace, live_server.url, passthrough=True)
    customer.goto(invited.address)
    assert fits(customer)
    customer.get_by_role("button", name="Begin").click()
    assert fits(customer)
    customer.get_by_role("button", name="Test ERP").click()
    assert fits(customer)
    customer.get_by_role("button", name="Test the connection").click()
    expect(customer.get_by_role("alert")).to_be_visible()
    assert fits(customer)
    sign_in(customer, erp_server)
    expect(customer.get_by_role("heading", name="The connection works")).to_be_visible()
    assert fits(customer)
    customer.get_by_role("link", name="Continue").click()
    expect(customer.get_by_label("Raw calls")).not_to_be_checked()
    assert fits(customer)
    customer.get_by_role("button", name="Share and connect").click()
    expect(customer.get_by_role("heading", name="Test ERP is connected")).to_be_visible()
    assert fits(customer)
    assert invited.connection().passthrough_shared is False


def press_to(page: Page, name: str, key: str = "Enter") -> None:
    """Go on with Tab until what is called so has the focus, which must show, then press the key."""
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "() => { const at = document.activeElement, look = getComputedStyle(at), next = at.nextElementSibling;"
            " const name = at.labels && at.labels[0] || at;"
            " const outline = look.opacity === '0' && next ? getComputedStyle(next).outlineStyle : look.outlineStyle;"
            " return [name.innerText || at.value || '', outline]; }"
        )
        if name in focused[0]:
            assert focused[1] not in ("none", ""), f"the focus on {name} does not show"
            if key:
                page.keyboard.press(key)
            return
    raise AssertionError(f"{name} cannot be reached by keyboard on {page.url}")


def test_keyboard_alone_from_start_to_end(
    customer: Page, live_server: Any, workspace: Workspace, erp_server: TestErpServer
) -> None:
    invited = Invited(workspace, live_server.url)
    customer.goto(invited.address)
    press_to(customer, "Begin")
    expect(customer.get_by_role("heading", name="Which system")).to_be_visible()
    press_to(customer, "Test ERP")
    expect(customer.get_by_role("heading", name="Sign in to Test ERP")).to_be_visible()
    press_to(customer, "Test the connection")
    alert = customer.get_by_role("alert")
    expect(alert).to_be_focused()
    press_to(customer, "Base url is required")
    field = customer.get_by_label("Base url")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-describedby", "field-base_url_helptext field-base_url_error")
    expect(field).to_have_attribute("aria-invalid", "true")
    customer.keyboard.type(erp_server.base_url)
    press_to(customer, "Api key", key="")
    customer.keyboard.type(API_KEY)
    press_to(customer, "Show", key="Space")
    expect(customer.get_by_label("Api key", exact=True)).to_have_attribute("type", "text")
    press_to(customer, "Test the connection")
    expect(customer.get_by_role("heading", name="The connection works")).to_be_visible()
    press_to(customer, "Continue")
    expect(customer.get_by_role("heading", name="What do you share")).to_be_visible()
    press_to(customer, "Read and write", key="ArrowLeft")
    press_to(customer, "Share and connect")

    expect(customer.get_by_role("heading", name="Test ERP is connected")).to_be_visible()
    assert invited.connection().shared == {"purchase_order": "read", "vendor": "read"}


@pytest.fixture
def scriptless(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def test_without_scripts_all_the_same(
    scriptless: Page, live_server: Any, workspace: Workspace, site: ProductSite, erp_server: TestErpServer
) -> None:
    invited = Invited(workspace, live_server.url, redirect_uri=site.redirect_uri)
    begin(scriptless, invited)
    scriptless.get_by_role("searchbox").fill("no such thing")
    scriptless.get_by_role("button", name="Search").click()
    expect(scriptless.get_by_text("No system fits.")).to_be_visible()
    scriptless.get_by_role("link", name="show all").click()
    scriptless.get_by_role("button", name="Test ERP").click()
    expect(scriptless.get_by_role("button", name="Show")).to_be_hidden()
    sign_in(scriptless, erp_server)
    check_and_share(scriptless)
    scriptless.get_by_role("link", name="Back to Nordring Procurement").click()

    expect(scriptless.get_by_role("heading", name="Welcome back")).to_be_visible()
    assert invited.exchange(site.answer()["code"]).status_code == 201


# --- what is shared, and what was there before ------------------------------------------------------------------------------


def test_permissions_are_told_in_words_and_nothing_shared_is_refused(
    customer: Page, live_server: Any, workspace: Workspace, erp_server: TestErpServer
) -> None:
    invited = Invited(workspace, live_server.url, system="test-erp")
    begin(customer, invited)
    sign_in(customer, erp_server)
    cells = customer.get_by_role("row", name=re.compile("^Purchase orders")).get_by_role("cell")
    assert [text.split()[-1] for text in cells.all_inner_texts()] == ["Yes", "Yes", "Yes", "No"]
    customer.get_by_role("link", name="Continue").click()
    for group in customer.get_by_role("radiogroup").all():
        group.get_by_label("Nothing").check()
    customer.get_by_role("button", name="Share and connect").click()

    expect(customer.get_by_role("alert")).to_contain_text("Choose what to share")
    assert stored()["Connection"] == 0 and invited.status() == "started"


def connected(page: Page, workspace: Workspace, live_url: str, erp: TestErpServer) -> Connection:
    """A connection of the customer c-1, made by Link."""
    invited = Invited(workspace, live_url, system="test-erp", customer_reference="c-1", name="Nordring plant")
    begin(page, invited)
    sign_in(page, erp)
    check_and_share(page)
    expect(page.get_by_role("heading", name="Test ERP is connected")).to_be_visible()
    return invited.connection()


def test_same_account_again_then_renewed_or_connected_beside_it(
    customer: Page, live_server: Any, workspace: Workspace, erp_server: TestErpServer
) -> None:
    first = connected(customer, workspace, live_server.url, erp_server)
    for button, count in (("Renew the existing connection", 1), ("Connect another one", 2)):
        invited = Invited(workspace, live_server.url, system="test-erp", customer_reference="c-1")
        begin(customer, invited)
        sign_in(customer, erp_server)
        customer.get_by_role("link", name="Continue").click()
        expect(customer.get_by_text("This account is connected already")).to_be_visible()
        expect(customer.get_by_role("main").get_by_role("button").first).to_have_text("Renew the existing connection")
        customer.get_by_role("button", name=button).click()
        expect(customer.get_by_role("heading", name="Test ERP is connected")).to_be_visible()
        with scope(workspace=workspace.pk):
            assert Connection.objects.count() == count and Connection.objects.filter(pk=first.pk).exists()


def test_renewal_names_the_connection_and_keeps_it(
    customer: Page, live_server: Any, workspace: Workspace, erp_server: TestErpServer
) -> None:
    first = connected(customer, workspace, live_server.url, erp_server)
    invited = Invited(workspace, live_server.url, connection=first)
    customer.goto(invited.address)
    expect(customer.get_by_role("heading", name="Sign in to Test ERP again")).to_be_visible()
    expect(customer.get_by_text("Nordring plant")).to_be_visible()
    customer.get_by_role("button", name="Begin").click()
    expect(customer.get_by_label("Base url")).to_have_value(erp_server.base_url)
    sign_in(customer, erp_server)
    customer.get_by_role("link", name="Continue").click()
    customer.get_by_role("button", name="Renew the connection").click()

    expect(customer.get_by_role("heading", name="Test ERP is signed in again")).to_be_visible()
    assert invited.connection().pk == first.pk and stored()["Credential"] == 1


def test_places_that_the_system_offers_are_chosen_after_signing_in(
    customer: Page, live_server: Any, workspace: Workspace, erp_server: TestErpServer,
    capable_erp: type[CapableErp], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    company = Text("company", help="Company to read", choices_from="list_companies")
    fields = tuple(company if field.name == "company" else field for field in capable_erp.config)
    monkeypatch.setattr(capable_erp, "config", fields)
    offered = [("north", "Nordring North"), ("south", "Nordring South")]
    monkeypatch.setattr(capable_erp, "list_companies", lambda self: offered, raising=False)
    invited = Invited(workspace, live_server.url, system="test-erp")
    begin(customer, invited)
    expect(customer.get_by_label("Company")).to_have_count(0)
    sign_in(customer, erp_server)
    customer.get_by_role("link", name="Continue").click()
    customer.get_by_role("group", name="Company").get_by_label("Nordring South").check()
    customer.get_by_role("button", name="Continue").click()
    customer.get_by_role("button", name="Share and connect").click()

    expect(customer.get_by_role("heading", name="Test ERP is connected")).to_be_visible()
    assert invited.connection().config["company"] == "south"
