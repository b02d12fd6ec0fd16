"""A customer's odd system is fitted without code: fields added from what is seen, looked at, published, brought back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from django_scopes import scopes_disabled
from playwright.sync_api import Page, expect

from connections.models import Connection
from connections.services import set_mapping
from syncs import ticks
from syncs.choices import RunStatus
from syncs.engine.run import execute_run
from syncs.models import Sync, SyncRun
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import copy_of, run_sync, sync_of
from tests.tenants import make_person, make_workspace, signed_in

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
NO_SIDEWAYS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
PICTURES = os.environ.get("LINESHAFT_PICTURES", "")
"""A folder to leave pictures of the screens in."""


@pytest.fixture
def sync(erp_server: TestErpServer) -> Sync:
    erp_server.add_orders(12, gate="Gate 3", deliveryTerms="DAP Hamburg", extras={"Cost center": "CC-4000"})
    erp_server.add_orders(2, first=1013, total="twelve", gate=None)
    connection = connect(erp_server, workspace=make_workspace("Nordring"), name="Plant Kiel")
    found = sync_of(connection)
    run_sync(found)
    erp_server.forget_calls()
    return found


@pytest.fixture
def editor(page: Page, live_server: Any, sync: Sync) -> Page:
    """The page of the purchase orders' mapping, opened by a developer."""
    person = signed_in(make_person("developer", sync.workspace))
    session = person.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page.goto(address(sync.connection))
    expect(page.get_by_label("Preview", exact=True)).to_contain_text("0 of 10 differ")
    return page


def address(connection: Connection) -> str:
    return f"/admin/connections/connection/{connection.pk}/mapping/purchase_order/"


def work_off() -> None:
    """Play the tick and the workers."""
    with scopes_disabled():
        ticks.notice_mapping_changes()
        ticks.dispatch_due_syncs()
        for pk in list(SyncRun.objects.filter(status=RunStatus.QUEUED).values_list("pk", flat=True)):
            execute_run(pk)


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def test_field_is_added_looked_at_published_and_brought_back(
    editor: Page, sync: Sync, erp_server: TestErpServer
) -> None:
    raw, rows = editor.get_by_label("Raw fields", exact=True), editor.get_by_label("Mapping rows")
    preview = editor.get_by_label("Preview", exact=True)
    editor.get_by_label("Search raw fields").fill("cost")
    expect(raw.get_by_role("listitem")).to_have_count(1)
    raw.get_by_role("button", name='Add extras."Cost center" as custom.cost_center').click()

    expect(rows.get_by_role("group", name="custom.cost_center").get_by_label("Title")).to_have_value("Cost center")
    expect(preview).to_contain_text("8 of 10 differ, 2 cannot be mapped")
    expect(preview).to_contain_text("CC-4000")
    expect(preview).to_contain_text("set aside")
    expect(editor.get_by_text("Not published yet")).to_be_visible()
    picture(editor, "added")

    editor.get_by_label("Why").fill("Nordring books by cost center")
    editor.get_by_role("button", name="Publish", exact=True).click()
    expect(editor.get_by_text("Version 1 of the override is in force with 1 row.")).to_be_visible()
    expect(editor.locator("#mapping-progress")).to_contain_text("starts within seconds")
    work_off()
    expect(editor.locator("#mapping-progress")).to_contain_text("12 records changed by it")
    assert copy_of(sync).live["1001"]["custom"] == {"cost_center": "CC-4000"}

    editor.get_by_role("link", name="Compare version 1").click()
    expect(editor.get_by_label("Changes")).to_contain_text("custom.cost_center added")
    editor.get_by_role("button", name="Back to default", exact=True).click()
    expect(editor.get_by_text("The connector's default is in force.").first).to_be_visible()
    work_off()
    assert copy_of(sync).live["1001"]["custom"] == {}
    editor.get_by_role("button", name="Bring back version 1").click()
    expect(editor.get_by_label("Versions")).to_contain_text("brings back version 1")
    assert not erp_server.calls_to("/orders"), "nothing was asked of the system"


def test_mistake_is_told_where_it_is_made_and_mended_by_keyboard(editor: Page) -> None:
    rows, preview = editor.get_by_label("Mapping rows"), editor.get_by_label("Preview", exact=True)
    save = editor.get_by_role("button", name="Publish", exact=True)
    rows.get_by_role("button", name="Edit total_amount").focus()
    editor.keyboard.press("Enter")
    source = rows.get_by_role("group", name="total_amount").get_by_label("Made from")
    expect(source).to_be_focused()

    source.fill("items[?")
    expect(rows.get_by_role("alert").filter(has_text="cannot be used")).to_be_visible()
    expect(save).to_be_disabled()
    source.fill("total")
    expect(save).to_be_enabled()

    group = rows.get_by_role("group", name="total_amount")
    group.get_by_label("Add a transform").select_option("multiply")
    expect(rows.get_by_text("by: multiply needs `by`")).to_be_visible()
    editor.keyboard.type("0.01")
    expect(preview).to_contain_text("1.2")
    group.get_by_role("button", name="Take away Multiply").click()
    group.get_by_label("Add a transform").select_option("strip_thousands")
    expect(preview).to_contain_text("is not a number")
    picture(editor, "mistake")
    rows.get_by_role("button", name="Leave out total_amount").click()
    expect(rows.get_by_role("button", name="Edit total_amount")).to_be_focused()
    expect(preview).to_contain_text("Mended. Before: total_amount")


def test_fields_are_added_without_a_suggestion(editor: Page) -> None:
    rows = editor.get_by_label("Mapping rows")
    editor.get_by_label("Field to add").select_option("payment_terms")
    editor.get_by_role("button", name="Add a row").click()
    rows.get_by_role("group", name="payment_terms").get_by_label("Made from").fill("deliveryTerms")
    expect(editor.get_by_label("Preview", exact=True)).to_contain_text("DAP Hamburg")
    editor.get_by_label("Field to add").select_option("custom.")
    editor.get_by_label("Name of the custom field").fill("no name")
    editor.get_by_role("button", name="Add a row").click()
    expect(rows.get_by_text("A custom field is `custom.` and letters")).to_be_visible()
    rows.get_by_role("button", name="Remove custom.no name").click()
    expect(editor.get_by_role("button", name="Add a row")).to_be_focused()
    expect(editor.get_by_role("button", name="Publish", exact=True)).to_be_enabled()


def test_draft_is_kept_and_two_editors_do_not_overwrite_each_other(editor: Page, sync: Sync) -> None:
    rows = editor.get_by_label("Mapping rows")
    rows.get_by_role("button", name="Edit notes").click()
    rows.get_by_role("group", name="notes").get_by_label("Made from").fill("gate")
    expect(editor.get_by_label("Preview", exact=True)).to_contain_text("Gate 3")
    editor.reload()
    editor.get_by_role("button", name="Take up your unpublished changes").click()
    expect(rows.locator("li[data-target=notes]")).to_contain_text("← gate")
    with scopes_disabled():
        set_mapping(sync.connection, "purchase_order", [{"target": "description"}], by="ann@nordring.example")

    editor.get_by_role("button", name="Publish", exact=True).click()

    expect(editor.get_by_text("ann@nordring.example published version 1 meanwhile")).to_be_visible()
    expect(editor.get_by_label("Changes")).to_contain_text("description removed")
    expect(rows.locator("li[data-target=notes]")).to_contain_text("← gate")
    picture(editor, "conflict")


def test_mapping_is_exported_and_imported(editor: Page, tmp_path: Path) -> None:
    document = {"format": "lineshaft.mapping/1", "system": "test-erp", "entity": "purchase_order"}
    file = tmp_path / "mapping.json"
    file.write_text(json.dumps({**document, "rows": [{"target": "custom.gate", "source": "gate"}]}))

    editor.get_by_label("Import").set_input_files(file)
    expect(editor.get_by_label("Mapping rows")).to_contain_text("custom.gate")
    editor.get_by_role("button", name="Publish", exact=True).click()
    expect(editor.get_by_text("Version 1 of the override")).to_be_visible()
    with editor.expect_download() as download:
        editor.get_by_role("link", name="Export").click()
    assert json.loads(Path(download.value.path()).read_text())["rows"] == [{"target": "custom.gate", "source": "gate"}]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
def test_editor_fits_its_window(editor: Page, width: int, scheme: Any) -> None:
    editor.set_viewport_size({"width": width, "height": 900})
    editor.emulate_media(color_scheme=scheme)
    editor.reload()
    rows = editor.get_by_label("Mapping rows")
    rows.get_by_role("button", name="Edit status", exact=True).click()
    expect(rows.get_by_role("group", name="status")).to_contain_text("Replace values")
    rows.get_by_role("group", name="status").get_by_label("The source's value, and ours").fill("open = approved")
    expect(editor.get_by_label("Preview", exact=True)).to_contain_text("approved")
    assert editor.evaluate(NO_SIDEWAYS), "the page scrolls sideways"
    picture(editor, f"editor-{width}-{scheme}")
