"""A connection in every kind of trouble, and the issues that it makes.

from tests.connectors import erp_connector, erp_server  # noqa: F401
from tests.issue_stage import connection, needs_reauth, workspace  # noqa: F401
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django_scopes import scopes_disabled

from connections.models import Connection
from syncs.models import Issue, Operation
from tests.connectors import TestErpServer, connect
from tests.tenants import make_workspace
from webhooks.models import WebhookEndpoint
from workspaces.models import Workspace

REFUSED = {"code": "AUTHENTICATION_FAILED", "message": "Key refused.", "who_must_act": "customer", "action": "Sign in."}


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def connection(erp_server: TestErpServer, workspace: Workspace) -> Connection:
    return connect(erp_server, workspace=workspace)


def ago(**values: float) -> Any:
    return Now() - timedelta(**values)


def change(row: Any, **values: Any) -> None:
    with scopes_disabled():
        type(row).objects.filter(pk=row.pk).update(**values)


def open_issues() -> list[Issue]:
    with scopes_disabled():
        return list(Issue.objects.filter(resolved_at=None).order_by("kind", "subject"))


def operation(connection: Connection, status: str, **values: Any) -> Operation:
    row = Operation(
        workspace_id=connection.workspace_id,
        connection=connection,
        entity="purchase_order",
        kind="create",
        status=status,
        **values,
    )
    row.save(force_insert=True)
    return row


def endpoint(workspace: Workspace, **values: Any) -> WebhookEndpoint:
    row = WebhookEndpoint(workspace=workspace, url="https://hooks.example/in", **values)
    row.save(force_insert=True)
    return row


def needs_reauth(connection: Connection) -> Callable[[], None]:
    change(connection, health="needs_reauth", error=REFUSED)
    return lambda: change(connection, health="active", error=None)


def unknown_write(connection: Connection) -> Callable[[], None]:
    row = operation(connection, "needs_review")
    return lambda: change(row, status="succeeded")


def disabled(connection: Connection) -> Callable[[], None]:
    row = endpoint(connection.workspace, status="disabled", disabled_reason="410 Gone.")
    return lambda: change(row, status="active")
