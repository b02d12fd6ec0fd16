"""What a person does first, in a real browser: sign in, connect a system, see it sync."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.utils import timezone
from django_scopes import scopes_disabled
from playwright.sync_api import Page, expect

from connections.models import Connection
from syncs.choices import RunStatus
from syncs.engine.run import execute_run
from syncs.models import Record, SyncRun
from syncs.services import ensure_syncs
from tests.admin_pages import change
from tests.connectors import API_KEY, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import make_person, make_workspace
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]
PASSWORD = "correct-horse-battery"
SIZES = {"wide": (1400, 900), "narrow": (400, 800)}


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace("Nordring")


@pytest.fixture
def owner(workspace: Workspace) -> Any:
    person = make_person("owner", workspace)
    person.set_password(PASSWORD)
    person.save()
    return person


def sign_in(page: Page, person: Any) -> None:
    page.goto("/admin/")
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#home-status")).to_be_visible()


def work_off() -> int:
    """Play the workers: execute every queued run here."""
    with scopes_disabled():
        queued = list(SyncRun.objects.filter(status=RunStatus.QUEUED).values_list("pk", flat=True))
    for pk in queued:
        execute_run(pk)
    return len(queued)


def fits(page: Page) -> bool:
    """Nothing runs out of the page sideways."""
    over: int = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return over <= 0


def test_first_connection_from_sign_in_to_records(page: Page, owner: Any, erp_server: TestErpServer) -> None:
    erp_server.add_orders(60)
    erp_server.add_vendors(3)
    sign_in(page, owner)
    page.get_by_role("link", name="Add the first one").click()
    page.get_by_role("link", name="Test ERP").click()

    page.locator("#id_name").fill("Nordring plant")
    page.get_by_label("Base url").fill(erp_server.base_url)
    page.locator("input[name=secret__api_key]").fill("a wrong key")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Not signed in:")).to_be_visible()
    expect(page.get_by_text("Who must act: the customer.")).to_be_visible()
    expect(page.locator("h2").get_by_text("Pending", exact=True)).to_be_visible()
    assert "a wrong key" not in page.content()

    page.locator("input[name=secret__api_key]").fill(API_KEY)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Signed in: Signed in as integration@erp.example")).to_be_visible()
    expect(page.locator("h2").get_by_text("Active", exact=True)).to_be_visible()

    with scopes_disabled():
        connection = Connection.objects.get()
        ensure_syncs(connection)  # the tick's duty
    page.reload()
    page.get_by_role("button", name="Sync all now").click()
    expect(page.get_by_text("2 runs queued.")).to_be_visible()
    assert work_off() == 2

    page.get_by_role("link", name="Runs").first.click()
    expect(page.get_by_text("60 read · 60 new")).to_be_visible()
    page.locator("#result_list").get_by_role("row", name=re.compile("60 new")).get_by_role("link").first.click()
    expect(page.locator("h2").get_by_text("Completed", exact=True)).to_be_visible()

    page.get_by_role("link", name="Records").first.click()
    page.get_by_role("link", name="Purchase order").click()
    page.get_by_label("Exact remote id or number").fill("PO-1007")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="1007", exact=True).click()
    expect(page.get_by_label("Unified").locator("pre")).to_contain_text('"number": "PO-1007"')
    expect(page.get_by_label("Raw").locator("pre")).to_contain_text('"vendor_name": "Nordring Dichtungen GmbH"')

    page.get_by_role("link", name="Home").click()
    expect(page.locator("#home-status").get_by_text("Completed").first).to_be_visible()


def test_home_refreshes_itself_and_keeps_its_place(
    page: Page, owner: Any, workspace: Workspace, erp_server: TestErpServer
) -> None:
    for number in range(30):
        sync_of(connect(erp_server, workspace=workspace, name=f"Plant {number:02}"))
    sign_in(page, owner)
    page.evaluate("window.scrollTo(0, 700)")
    place = page.evaluate("window.scrollY")
    assert place > 0
    with scopes_disabled():
        Connection.objects.filter(name="Plant 15").update(name="Renamed meanwhile")

    with page.expect_response(re.compile("/admin/status/")):
        pass
    expect(page.get_by_role("link", name="Renamed meanwhile")).to_be_visible()
    assert page.evaluate("window.scrollY") == place
    with page.expect_response(re.compile("/admin/status/")):
        pass  # it goes on asking


def test_run_page_follows_the_run_without_loading_anew(
    page: Page, owner: Any, workspace: Workspace, erp_server: TestErpServer
) -> None:
    sync = sync_of(connect(erp_server, workspace=workspace))
    with scopes_disabled():
        run = SyncRun.objects.create(
            workspace=workspace, connection=sync.connection, sync=sync, mode="full", status="running",
            phase="fetching", started_at=timezone.now(), read_count=10, total=100,
        )  # fmt: skip
    sign_in(page, owner)
    page.goto(change(run))
    page.evaluate("window.same = true")
    expect(page.get_by_text("10 of 100 read")).to_be_visible()

    with scopes_disabled():
        SyncRun.objects.update(read_count=70)
    expect(page.get_by_text("70 of 100 read")).to_be_visible()
    with scopes_disabled():
        SyncRun.objects.update(status="completed", finished_at=timezone.now(), read_count=100)
    expect(page.locator("h2").get_by_text("Completed", exact=True)).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)
    assert page.evaluate("window.same") is True


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_screens_fit_and_nothing_complains(
    size: str, scheme: Any, page: Page, owner: Any, workspace: Workspace, erp_server: TestErpServer
) -> None:
    erp_server.add_orders(40)
    sync = sync_of(connect(erp_server, workspace=workspace, name="A plant with quite a long name GmbH & Co. KG"))
    run_sync(sync)
    erp_server.delete("orders", *[str(number) for number in range(1001, 1021)])
    run = run_sync(sync, "full")
    with scopes_disabled():
        record = Record.objects.first()
    page.set_viewport_size({"width": SIZES[size][0], "height": SIZES[size][1]})
    page.emulate_media(color_scheme=scheme)
    sign_in(page, owner)

    connection = f"/admin/connections/connection/{sync.connection_id}"
    for address in (
        "/admin/",
        "/admin/connections/connection/",
        "/admin/connections/connection/add/",
        "/admin/connections/connection/add/?system=test-erp",
        f"{connection}/change/",
        f"{connection}/mapping/purchase_order/",
        f"{connection}/press/disconnect/",
        "/admin/syncs/sync/",
        change(sync),
        "/admin/syncs/syncrun/",
        change(run),
        f"/admin/syncs/syncrun/{run.pk}/press/delete/",
        "/admin/syncs/record/",
        f"/admin/syncs/record/?connection={sync.connection_id}&entity=purchase_order",
        change(record),
        "/admin/syncs/quarantinedrecord/",
        "/admin/workspaces/event/",
    ):
        response = page.goto(address)
        assert response is not None and response.status == 200, address
        assert fits(page), address
        assert page.locator("html.dark").count() == (scheme == "dark")
