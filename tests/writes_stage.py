"""A connection with two orders in its copy, and a client that writes on it over the API.

from tests.connectors import erp_server  # noqa: F401
from tests.writes_stage import client, connection  # noqa: F401
"""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django_scopes import scope

from connections.models import Connection
from syncs.models import Operation
from syncs.operations.copying import record_id_of
from tests.connectors import TestErpServer, connect
from tests.syncing import run_sync, sync_of
from tests.tenants import api, make_token
from workspaces.choices import Scope

working = pytest.mark.usefixtures("worker")
ORDERS, OPERATIONS = "/api/v1/purchase-orders", "/api/v1/operations"
NEW = {"vendor": "7", "notes": "Gate 3", "lines": [{"quantity": "8", "unit": "EA", "description": "Seal"}]}


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    """With two orders in the copy."""
    found = connect(erp_server)
    erp_server.add_orders(2, first=1)
    assert run_sync(sync_of(found)).status == "completed"
    erp_server.forget_calls()
    return found


@pytest.fixture
def client(connection: Connection) -> Client:
    return client_of(connection)


def client_of(connection: Connection, *scopes: str) -> Client:
    """With a connection token."""
    asked = scopes or (Scope.RECORDS_WRITE, Scope.OPERATIONS_WRITE)
    return api(make_token(connection.workspace, scopes=asked, connection_id=connection.pk)[1])


def send(client: Client, method: str, path: str, body: Any = None, **headers: Any) -> Any:
    named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    kind = named.pop("Content-Type", "application/json")
    return getattr(client, method)(path, {} if body is None else body, content_type=kind, headers=named)


def ok(response: Any, status: int = 200) -> dict[str, Any]:
    assert response.status_code == status, response.content
    return response.json()


def refused(response: Any) -> tuple[int, str]:
    body = response.json()
    assert response["Content-Type"] == "application/problem+json", body
    return response.status_code, body["code"]


def po(connection: Connection, remote_id: str = "1") -> str:
    return f"po_{record_id_of(connection.pk, 'purchase_order', remote_id).hex}"


def one(connection: Connection, remote_id: str = "1") -> str:
    return f"{ORDERS}/{po(connection, remote_id)}"


def count(connection: Connection) -> int:
    with scope(workspace=connection.workspace_id):
        return int(Operation.objects.count())


def writes_to(server: TestErpServer) -> list[str]:
    return [f"{call.method} {call.path}" for call in server.calls if call.method != "GET"]
