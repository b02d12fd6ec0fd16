"""Browsers on the pages of Link.

from tests.connectors import erp_connector, erp_server  # noqa: F401
from tests.link_browsing import begun, workspace  # noqa: F401
"""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from connections.models import LinkSession
from connections.services.linking import create_link_session
from tests.connectors import API_KEY, TestErpServer
from tests.tenants import make_workspace
from workspaces.models import Workspace


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace("Nordring")


def invite(workspace: Workspace, **wishes: Any) -> tuple[LinkSession, str]:
    """A session for the test ERP and the address of its page."""
    values = {"environment": "live", "system": "test-erp", "created_by": "test", **wishes}
    session, token = create_link_session(workspace=workspace, **values)
    return session, f"/link/{token}"


def text(response: Any, status: int = 200) -> str:
    assert response.status_code == status, response.content[:500]
    content: str = response.content.decode()
    return content


def begun(workspace: Workspace, **wishes: Any) -> tuple[Client, str]:
    """A browser that pressed Begin."""
    _, address = invite(workspace, **wishes)
    client = Client()
    assert client.post(address).status_code == 303
    return client, address


def signed_to_the_erp(workspace: Workspace, erp: TestErpServer, **wishes: Any) -> tuple[Client, str]:
    """A browser whose sign-in worked."""
    client, address = begun(workspace, **wishes)
    answer = client.post(f"{address}/connect", {"base_url": erp.base_url, "api_key": API_KEY, "site": "north"})
    assert (answer.status_code, answer["Location"]) == (303, f"{address}/result"), answer.content[:1000]
    return client, address
