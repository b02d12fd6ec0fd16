"""The home page in a real browser: what moves shows without a reload, wide and narrow, light and dark."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from django_scopes import scopes_disabled
from playwright.sync_api import Page, expect

from connections.models import Connection
from console.models import ActivityHour
from syncs.models import Issue
from tests.browser.test_first_connection import SIZES, fits, owner, sign_in, workspace  # noqa: F401
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]
PICTURES = os.environ.get("LINESHAFT_PICTURES", "")
WITHIN_MS = 6_000  # the page asks again every five seconds


def fill(plant: Connection) -> None:
    """A week of hours, with a bad night."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with scopes_disabled():
        ActivityHour.objects.bulk_create(
            ActivityHour(
                workspace_id=plant.workspace_id,
                environment=plant.environment,
                connection=plant,
                starts_at=now - timedelta(hours=number),
                runs=4,
                failed_runs=4 if 9 < number < 14 else int(number == 20),
                records_changed=number * 7,
                operations=number % 9,
                failed_operations=int(number % 24 == 3),
            )
            for number in range(160)
        )


def raise_issue(plant: Connection, title: str, who: str) -> None:
    with scopes_disabled():
        Issue.objects.create(
            workspace_id=plant.workspace_id, environment=plant.environment, connection=plant, kind="offline",
            subject=title[:80], title=title, action="Ask who runs the system.", who_must_act=who,
        )  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_home_shows_what_changed_within_five_seconds_and_who_must_act(
    page: Page, workspace: Workspace, owner: Any, erp_server: TestErpServer, size: tuple[int, int],
    scheme: Literal["light", "dark"],
) -> None:  # fmt: skip
    plant = connect(erp_server, workspace=workspace, name="Plant North")
    fill(plant)
    raise_issue(plant, "Plant North is offline", "source")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    sign_in(page, owner)
    page.goto("/admin/")
    expect(page.get_by_role("img", name="Last 48 hours: 192 runs, 17 failed")).to_be_visible()
    expect(page.get_by_text("Records changed", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Who must act")).to_be_visible()
    assert fits(page)
    raise_issue(plant, "The key of Plant North was refused", "customer")
    with scopes_disabled():
        Connection.objects.filter(pk=plant.pk).update(health="needs_reauth")
    expect(page.get_by_role("link", name="The key of Plant North was refused")).to_be_visible(timeout=WITHIN_MS)
    expect(page.locator("#home-status table").get_by_text("Needs re-authorisation")).to_be_visible()
    assert fits(page)
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"home-{size[0]}-{scheme}.png", full_page=True)
