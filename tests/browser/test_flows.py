"""A flow is made, edited with its faults told while one types, published, run, watched and taken over by a person."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone
from django_scopes import scopes_disabled
from playwright.sync_api import Page, expect

from flows.engine.admission import NOT_ADMITTED
from flows.models import Flow, FlowRun, StepRun
from tests.admin_pages import change, rows_of
from tests.browser.test_first_connection import SIZES, fits, owner, sign_in, workspace  # noqa: F401
from tests.flow_stage import drain, make_flow, start, work
from workspaces.models import Workspace

pytestmark = pytest.mark.django_db(transaction=True)
DEFINITION = {
    "format": 1,
    "trigger": {"on": "manual"},
    "steps": [
        {"name": "note", "title": "Take a note", "do": "map", "value": {"$": "trigger.body.note"}},
        {
            "name": "each_line",
            "do": "for_each",
            "items": "trigger.body.lines",
            "steps": [{"name": "line", "do": "map", "value": {"$": "item"}}],
        },
        {"name": "rest", "do": "wait", "seconds": 3600},
    ],
    "example": {"body": {"note": "from the example", "lines": [{"id": "a"}, {"id": "b"}]}},
}


def written(page: Page, definition: Any) -> None:
    """As if it were typed; the field behind the editor follows."""
    text = json.dumps(definition, indent=2)
    page.evaluate("text => window.ace.edit(document.querySelector('.ace_editor')).setValue(text, -1)", text)


def only_run() -> FlowRun:
    with scopes_disabled():
        run: FlowRun = FlowRun.objects.order_by("-id")[0]
    return run


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_flow_from_its_making_to_its_end(
    page: Page,
    workspace: Workspace,
    owner: Any,
    size: tuple[int, int],
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    sign_in(page, owner)
    page.goto(f"{rows_of(Flow)}add/")
    page.locator("#id_name").fill("Night watch")
    assert fits(page)
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_text("It is a draft now")).to_be_visible()
    expect(page.locator(".ace_editor")).to_be_visible()
    assert fits(page)

    wrong = {**DEFINITION, "steps": [{"name": "note", "do": "mapp", "value": 1}]}
    written(page, wrong)
    expect(page.get_by_text("1 thing to mend")).to_be_visible()
    fault = page.locator("#definition-faults a[data-line]")
    line = int(str(fault.get_attribute("data-line")))
    fault.click()
    row = page.evaluate("window.ace.edit(document.querySelector('.ace_editor')).getCursorPosition().row")
    assert row == line - 1 > 0
    page.get_by_role("button", name="Save the draft").click()
    expect(page.get_by_text("1 thing to mend")).to_be_visible()
    assert "mapp" in page.locator("#id_definition").input_value(), "what was typed is still there"

    written(page, DEFINITION)
    expect(page.get_by_text("The definition can be saved.")).to_be_visible()
    page.keyboard.press("Control+s")
    expect(page.get_by_text("The draft is saved")).to_be_visible()
    page.get_by_label("Insert a step").select_option(label="map")
    expect(page.locator("#definition-faults")).to_contain_text("mend")
    page.reload()
    page.get_by_role("button", name="Save and publish").click()
    page.get_by_role("button", name="Yes, publish it").click()
    expect(page.get_by_text("Version 1 is what runs now")).to_be_visible()
    assert fits(page)

    page.locator("a[href$='/press/run/']").click()
    assert "from the example" in page.locator("#id_body").input_value() and fits(page)
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_text("still to come").first).to_be_visible()
    run = only_run()
    drain(run)
    expect(page.locator("h2").get_by_text("Waiting", exact=True)).to_be_visible()
    expect(page.locator("#run-told")).to_have_text("Waiting, rest")
    assert fits(page)
    watch_steps(page)
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name="Yes, cancel it").click()
    expect(page.locator("h2").get_by_text("Cancelled", exact=True)).to_be_visible()
    page.goto(rows_of(Flow))
    expect(page.get_by_text("By API or by hand")).to_be_visible()
    assert fits(page)
    page.goto(rows_of(FlowRun))
    assert fits(page)


def watch_steps(page: Page) -> None:
    """What was opened stays so while the page asks for itself anew, focus included."""
    page.locator("summary", has_text="Take a note").click()
    expect(page.locator(".lsh-step-detail").get_by_text('"from the example"', exact=True)).to_be_visible()
    page.locator("summary", has_text="each_line").click()
    page.locator("summary", has_text="item").first.click()
    expect(page.locator("summary", has_text="line").last).to_be_visible()
    assert fits(page)
    with page.expect_response(lambda answer: answer.url.endswith("/live/")):
        pass
    page.wait_for_function("!document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling')")
    expect(page.locator(".lsh-step-detail").get_by_text('"from the example"', exact=True)).to_be_visible()
    assert page.locator("details.lsh-step-row[open]").count() == 3
    assert "item" in page.evaluate("document.activeElement.innerText")


def test_person_says_what_became_of_a_request_and_tests_a_step(
    page: Page,
    workspace: Workspace,
    owner: Any,
) -> None:
    call = {"name": "call", "do": "http_request", "method": "POST", "url": "https://erp.example/orders"}
    after = {"name": "after", "do": "map", "value": {"$": "steps.call.body"}}
    flow = make_flow(call, after, workspace=workspace)
    run = start(flow, {"note": "pinned"})
    with scopes_disabled():
        StepRun.objects.create(
            workspace_id=run.workspace_id, run=run, path="call", name="call", kind="http_request", status="waiting",
            has_begun=True, input={"url": "https://erp.example/orders"},
        )  # fmt: skip
        FlowRun.objects.filter(pk=run.pk).update(
            status="waiting", waits_for="person", current_step="call", started_at=timezone.now(), due_at=NOT_ADMITTED
        )
    sign_in(page, owner)
    page.goto(change(run))
    expect(page.get_by_text("Nobody can tell")).to_be_visible()
    page.get_by_role("link", name="Say what became of it").click()
    page.get_by_label("It was done").check()
    page.locator("#id_output").fill('{"body": {"id": 7}}')
    page.get_by_role("button", name="Say so").click()
    expect(page.get_by_text("The run goes on")).to_be_visible()
    work(run)
    expect(page.locator("h2").get_by_text("Succeeded", exact=True)).to_be_visible()
    page.get_by_role("link", name="Details of after").click()
    page.get_by_role("link", name="Test this step").click()
    assert '"id": 7' in page.locator("#id_input").input_value()
    page.get_by_role("button", name="Test it").click()
    expect(page.locator("#outcome")).to_contain_text("Succeeded")
    expect(page.locator("#outcome")).to_contain_text('"id": 7')
