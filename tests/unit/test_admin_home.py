"""The home page: all connections of a person at a glance, worst first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from django_scopes import scopes_disabled

from connections.models import Connection
from core.models import TickBeat
from syncs.models import Sync, SyncRun
from tests.admin_pages import change, html, press, words
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import make_person, make_workspace, signed_in
from workspaces.models import Workspace

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
HOME, STATUS = "/admin/", "/admin/status/"


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


def tick_now() -> None:
    for name in django_settings.TICKS:
        TickBeat.objects.update_or_create(name=name, defaults={"last_at": Now(), "elapsed_ms": 1})


def shown_names(client: Client, **query: str) -> list[str]:
    response = client.get(STATUS, query)
    html(response)
    return [row["connection"].name for row in response.context_data["rows"]]


def test_problems_come_first_with_who_must_act(workspace: Workspace, erp_server: TestErpServer) -> None:
    def plant(name: str, **values: Any) -> Sync:
        return sync_of(connect(erp_server, workspace=workspace, name=name, **values))

    plant("A paused", paused=True)
    well = plant("B well")
    run_sync(well)
    plant("C never")
    stale = plant("D stale")
    run_sync(stale)
    plant("E refused", health="needs_reauth", error={"message": "Key refused.", "who_must_act": "customer"})
    erp_server.fail("http_403", on="/orders", times=1)
    run_sync(plant("F failed"))
    with scopes_disabled():
        Sync.objects.filter(entity="vendor").update(enabled=False)
        Sync.objects.filter(pk=well.pk).update(last_success_at=timezone.now() - timedelta(hours=3, minutes=5))
        Sync.objects.filter(pk=stale.pk).update(data_as_of=timezone.now() - timedelta(hours=9))
    client = signed_in(make_person("auditor", workspace))

    assert shown_names(client) == ["E refused", "F failed", "D stale", "C never", "B well", "A paused"]
    shown = words(client.get(HOME))
    for text in (
        "Key refused.",
        "Who must act: the customer",
        "Stale: Purchase order",
        "ago",
        "UTC",
        "1 Failed",
        "2 Completed",
    ):
        assert text in shown, text
    assert shown_names(client, state="failed") == ["F failed"] and shown_names(client, state="needs_review") == []
    assert len(shown_names(client, state="nonsense", page="99")) == 6


def test_home_offers_buttons_to_who_may_press_them(workspace: Workspace, erp_server: TestErpServer) -> None:
    sync = sync_of(connect(erp_server, workspace=workspace))
    address = press(sync.connection, "sync_all")

    assert address not in html(signed_in(make_person("auditor", workspace)).get(HOME))
    client = signed_in(make_person("operator", workspace))
    assert address in html(client.get(HOME)) and change(sync.connection) in html(client.get(HOME))
    response = client.post(address, {"next": HOME}, follow=True)
    assert response.redirect_chain[-1][0] == HOME and "2 runs queued." in words(response)


def test_home_says_what_to_start_when_nothing_moves(workspace: Workspace, erp_server: TestErpServer) -> None:
    client = signed_in(make_person("owner", workspace))

    assert "manage.py tick" in words(client.get(HOME))
    tick_now()
    assert "manage.py tick" not in words(client.get(HOME))
    TickBeat.objects.update(last_at=timezone.now() - timedelta(seconds=40))
    assert "did not run in 30 s" in words(client.get(STATUS))
    tick_now()
    sync = sync_of(connect(erp_server, workspace=workspace))
    with scopes_disabled():
        SyncRun.objects.create(
            workspace=workspace, connection=sync.connection, sync=sync, mode="full",
            due_at=timezone.now() - timedelta(seconds=90),
        )  # fmt: skip
    assert "manage.py worker sync" in words(client.get(STATUS))


def test_home_takes_the_same_queries_and_has_pages(
    workspace: Workspace, erp_server: TestErpServer, django_assert_max_num_queries: Any, django_assert_num_queries: Any
) -> None:
    client = signed_in(make_person("owner", workspace))
    for number in range(3):
        run_sync(sync_of(connect(erp_server, workspace=workspace, name=f"Plant {number:03}")))
    html(client.get(STATUS))
    with django_assert_max_num_queries(18) as few:
        html(client.get(STATUS))
    for number in range(3, 60):
        sync_of(connect(erp_server, workspace=workspace, name=f"Plant {number:03}"))

    with django_assert_num_queries(len(few)):
        first = shown_names(client)
    second = shown_names(client, page="2")
    assert len(first) == 50 and len(second) == 10 and not set(first) & set(second)
    assert "Page 1 of 2, 60 connections" in words(client.get(HOME))


def test_home_shows_ones_own_connections_alone(workspace: Workspace, erp_server: TestErpServer) -> None:
    connect(erp_server, workspace=make_workspace("Other"), name="Hidden plant")
    ended = connect(erp_server, workspace=workspace, name="Ended plant")
    with scopes_disabled():
        Connection.objects.filter(pk=ended.pk).update(health="disconnected")

    page = html(signed_in(make_person("owner", workspace)).get(HOME))
    assert "Hidden plant" not in page and "Ended plant" not in page and "Add the first one" in page
    page = html(signed_in(make_person()).get(HOME))
    assert "/admin/connections/" not in page and "nothing to see here" in page
    assert "Hidden plant" in html(signed_in(make_person(is_superuser=True)).get(HOME))


def test_part_that_is_asked_again_sends_who_was_signed_out_to_the_front_door() -> None:
    response = Client().get(STATUS)

    assert response.status_code == 403 and response["HX-Refresh"] == "true" and not response.content
    assert 'hx-trigger="every 5s"' in html(signed_in(make_person("auditor", make_workspace())).get(STATUS))


def test_sidebar_shows_people_to_the_operator_alone(workspace: Workspace) -> None:
    member = html(signed_in(make_person("owner", workspace)).get(HOME))
    operator = html(signed_in(make_person(is_superuser=True)).get(HOME))

    for place in ("connections/connection/", "syncs/sync/", "syncs/syncrun/", "syncs/record/", "workspaces/event/"):
        assert f'href="/admin/{place}"' in member and f'href="/admin/{place}"' in operator
    assert "/admin/auth/user/" not in member and "/admin/auth/user/" in operator
