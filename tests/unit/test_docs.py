"""The pages hold together: links lead somewhere, every route is told, and the code in them runs."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection as database

from integrations.entities import ENTITIES
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.documents import ROOT, code_of, pages, prose_of, text_of
from tests.syncing import run_sync, sync_of
from tests.tenants import make_token, make_workspace
from workspaces.choices import EventType, Scope

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
GUIDES = [page for page in pages() if page.parts[:2] == ("docs", "guides")]


def anchors_of(page: Path) -> set[str]:
    """The names the repository host gives to a page's headings."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(prose_of(page)))
    return {text.strip().replace(" ", "-") for text in plain}


@pytest.mark.parametrize("page", pages(), ids=str)
def test_page_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors_of(target.relative_to(ROOT)), link


def test_every_guide_and_system_is_in_the_index() -> None:
    index = text_of(Path("docs/README.md"))
    listed = [page for page in pages() if page.parts[:2] in (("docs", "guides"), ("docs", "systems"))]

    assert [str(page) for page in listed if f"({page.relative_to('docs')}" not in index] == []


def test_every_route_group_is_told_in_a_guide() -> None:
    groups = {path.split("/")[3] for path in json.loads(text_of(Path("docs/openapi.json")))["paths"]}
    told = " ".join(text_of(page) for page in GUIDES)

    assert {"systems", "connections", "sync-status", "syncs", "sync-runs", "events", "tokens"} <= groups
    assert [group for group in sorted(groups) if f"/{group}" not in told] == []


def test_every_event_type_and_scope_is_told() -> None:
    events, tokens = text_of(Path("docs/guides/events.md")), text_of(Path("docs/guides/tokens.md"))

    assert [str(kind) for kind in EventType if f"`{kind}`" not in events] == []
    assert [str(scope) for scope in Scope if f"`{scope}`" not in tokens] == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("erp_connector")
def test_follower_of_the_events_guide_sees_each_change_once(
    erp_server: TestErpServer,
    live_server: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workspace = make_workspace()
    erp_server.add_orders(3)
    sync = sync_of(connect(erp_server, workspace=workspace))
    _, token = make_token(workspace, scopes=["events:read", "records:read"])
    follower = load_follower(live_server.url, token, tmp_path, monkeypatch)

    run_sync(sync)
    follower.read_new()
    first = capsys.readouterr().out.splitlines()
    erp_server.change("orders", "1002", notes="Gate 4.")
    erp_server.delete("orders", "1003")
    run_sync(sync, "full")
    follower.read_new()
    second = capsys.readouterr().out.splitlines()
    follower.read_new()

    leave(follower)
    assert [line.split()[0] for line in first] == ["record.created"] * 3
    assert [line.split()[:3:2] for line in second] == [["record.updated", "2"], ["record.deleted", "2"]]
    assert capsys.readouterr().out == ""


def load_follower(url: str, token: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The guide's code, as a reader would run it."""
    monkeypatch.setenv("LINESHAFT", url)
    monkeypatch.setenv("TOKEN", token)
    monkeypatch.setenv("POSITION_FILE", str(folder / "position"))
    (code,) = code_of("docs/guides/events.md", "python")
    names: dict[str, Any] = {"__name__": "follower"}
    exec(compile(code, "docs/guides/events.md", "exec"), names)
    return SimpleNamespace(**names)


def leave(follower: SimpleNamespace) -> None:
    """Hang up, and wait until the server's thread has closed its database session, which would hold the database."""
    follower.session.close()
    deadline = time.monotonic() + 30
    while others_connected():
        assert time.monotonic() < deadline, "the server's thread keeps its database session"
        time.sleep(0.02)


def others_connected() -> int:
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def test_follower_of_the_events_guide_finds_the_list_of_every_entity() -> None:
    """It makes the address from the entity's name."""
    assert {name: entity.describes.slug for name, entity in ENTITIES.items()} == {
        name: f"{name.replace('_', '-')}s" for name in ENTITIES
    }
