"""Connections of the test ERP to its server, and both as fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connections.choices import ConnectionStatus
from connections.models import Connection, Credential
from core.ids import new_id
from core.keys import default_ring
from tests.connectors.connector import SLUG, TestErp
from tests.connectors.server import API_KEY, TestErpServer
from workspaces.models import Workspace


def connect(
    server: TestErpServer, *, workspace: Workspace | None = None, api_key: str = API_KEY, **values: Any
) -> Connection:
    """An active connection to the server, stored without a check; `values` are columns of the connection."""
    if workspace is None:
        workspace = Workspace(name="Acme", slug=f"acme-{new_id().hex[-12:]}")
        workspace.save(force_insert=True)
    values = {"name": "Plant 1", "health": ConnectionStatus.ACTIVE, "config": {"base_url": server.base_url}, **values}
    connection = Connection(workspace=workspace, system=SLUG, **values)
    connection.save(force_insert=True)
    credential = Credential(workspace=workspace, connection=connection, name="api_key")
    credential.ciphertext = default_ring().encrypt(api_key, bound_to=credential.bound_to)
    credential.save(force_insert=True)
    return connection


@pytest.fixture
def erp_connector(settings: Any) -> type[TestErp]:
    """The connector is the catalogue's only one during the test."""
    settings.CONNECTORS = ["tests.connectors.TestErp"]
    return TestErp


@pytest.fixture
def erp_server() -> Iterator[TestErpServer]:
    server = TestErpServer()
    try:
        yield server
    finally:
        server.stop()
