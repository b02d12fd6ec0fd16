"""What goes wrong upstream is told in plain words: by the API, by the sync status, and in the admin. Good rows arrive."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import trustme
from django.test import Client
from django_scopes import scopes_disabled

from connections.models import Connection
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import copy_of, run_sync, sync_of
from tests.tenants import api, make_token, make_workspace
from workspaces.choices import Scope
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def tls_server() -> Iterator[TestErpServer]:
    """The ERP behind a certificate nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = TestErpServer(tls=context)
    try:
        yield server
    finally:
        server.stop()


def shown_everywhere(connection: Connection, admin_client: Client) -> dict[str, str]:
    """The error as sync-status over the API tells it, and the pages of the admin that must show its message."""
    token = make_token(connection.workspace, scopes=[Scope.SYNCS_READ, Scope.CONNECTIONS_READ])[1]
    client = api(token)
    (status,) = client.get("/api/v1/sync-status").json()["data"]
    assert status["status"] in ("failed", "needs_reauth", "in_progress")
    (error,) = [error for error in status["errors"] if error["entity"] in ("purchase_order", None)]
    run = client.get("/api/v1/sync-runs").json()["data"][0]
    assert run["error"]["code"] == error["code"]
    with scopes_disabled():
        run_pk = sync_of(connection).runs.order_by("-created_at").values_list("pk", flat=True).first()
    for page in (f"/admin/syncs/syncrun/{run_pk}/change/", "/admin/"):
        html = admin_client.get(page, follow=True).content.decode()
        assert error["code"] in html or error["message"][:40] in html, page
        assert "Traceback" not in html
    assert "Traceback" not in str(status)
    return error  # type: ignore[no-any-return]


def fail(connection: Connection, settings: Any) -> None:
    settings.SYNC_RETRY_SECONDS = []
    assert run_sync(sync_of(connection)).status == "failed"


def test_wrong_password(workspace, erp_server, admin_client, settings) -> None:
    connection = connect(erp_server, workspace=workspace, api_key="wrong")
    fail(connection, settings)
    error = shown_everywhere(connection, admin_client)
    assert (error["code"], error["who_must_act"]) == ("AUTHENTICATION_FAILED", "customer")


def test_unreachable_host(workspace, erp_server, admin_client, settings) -> None:
    erp_server.stop()
    connection = connect(erp_server, workspace=workspace)
    fail(connection, settings)
    error = shown_everywhere(connection, admin_client)
    assert (error["code"], error["who_must_act"]) == ("CONNECTION_REFUSED", "source")


def test_refused_private_address_names_the_setting(workspace, erp_server, admin_client, settings) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = []
    connection = connect(erp_server, workspace=workspace)
    fail(connection, settings)
    error = shown_everywhere(connection, admin_client)
    assert (error["code"], error["who_must_act"]) == ("EGRESS_DENIED", "operator")
    assert "EGRESS_ALLOWED_NETWORKS" in error["message"]


def test_certificate_nobody_trusts(workspace, tls_server, admin_client, settings) -> None:
    connection = connect(tls_server, workspace=workspace)
    fail(connection, settings)
    error = shown_everywhere(connection, admin_client)
    assert (error["code"], error["who_must_act"]) == ("CERTIFICATE_UNTRUSTED", "operator")


@pytest.mark.parametrize(
    ("fault", "code"),
    [("html", "UNEXPECTED_ANSWER"), ("truncated", "ANSWER_CUT_OFF"), ("http_403", "PERMISSION_DENIED")],
)
def test_unusable_answers(workspace, erp_server, admin_client, settings, fault, code) -> None:
    erp_server.add_orders(3)
    erp_server.fail(fault, on="/orders")
    connection = connect(erp_server, workspace=workspace)
    fail(connection, settings)
    assert shown_everywhere(connection, admin_client)["code"] == code


def test_bad_rows_are_named_and_the_good_ones_arrive(workspace, erp_server, admin_client) -> None:
    erp_server.add_orders(9)
    connection = connect(erp_server, workspace=workspace)
    erp_server.fail("nul", on="/orders")
    run = run_sync(sync_of(connection))
    assert (run.status, len(copy_of(sync_of(connection)).live)) == ("completed", 8)
    client = api(make_token(workspace, scopes=[Scope.SYNCS_READ])[1])
    run_id = client.get("/api/v1/sync-runs").json()["data"][0]["id"]
    (quarantined,) = client.get(f"/api/v1/sync-runs/{run_id}/errors").json()["data"]
    assert (quarantined["code"], quarantined["remote_id"]) == ("NUL_CHARACTER", "1001")
    html = admin_client.get(f"/admin/syncs/syncrun/{run.pk}/change/", follow=True).content.decode()
    assert "NUL" in html and "1001" in html
