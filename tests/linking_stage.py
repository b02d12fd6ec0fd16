"""Sessions of Link in every state, for a workspace that registered where they lead back.

from tests.connectors import erp_server  # noqa: F401
from tests.linking_stage import begun, erp, inside, workspace  # noqa: F401
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django_scopes import scope, scopes_disabled

from connections.models import Connection, Credential, Grant, LinkSecret, LinkSession
from connections.services import linking
from connections.services.linking import LinkError
from tests.connectors import API_KEY, SLUG, TestErpServer
from tests.tenants import make_workspace
from workspaces.models import AuditEvent, Workspace

RETURN, ORIGIN = "https://app.example.com/connected?from=link", "https://app.example.com"
SHARED = {"purchase_order": "read_write", "vendor": "read"}


@pytest.fixture
def workspace() -> Workspace:
    made = make_workspace("acme")
    made.link_redirect_uris, made.link_origins = [RETURN], [ORIGIN]
    made.save(update_fields=["link_redirect_uris", "link_origins"])
    return made


@pytest.fixture(autouse=True)
def inside(workspace: Workspace) -> Iterator[None]:
    """As a page does: one workspace is seen."""
    with scope(workspace=workspace.pk):
        yield


@pytest.fixture
def erp(erp_server: TestErpServer) -> TestErpServer:
    erp_server.add_orders(3)
    erp_server.put("vendors", {"id": "7", "code": "V-7", "name": "Nordring", "blocked": False, "email": "a@b.example"})
    return erp_server


def begun(workspace: Workspace, **wanted: Any) -> LinkSession:
    """A session in its browser, with the test ERP chosen."""
    wanted = {"environment": "live", "customer_reference": "cust-1", "created_by": "test", **wanted}
    _, token = linking.create_link_session(workspace=workspace, **wanted)
    session = linking.find_session(token)
    linking.begin(session, None)
    linking.choose_system(session, SLUG)
    return session


def signed_in(workspace: Workspace, erp: TestErpServer, **wanted: Any) -> LinkSession:
    session = begun(workspace, **wanted)
    outcome = linking.submit(session, {"base_url": erp.base_url}, {"api_key": API_KEY})
    assert outcome.ok, outcome.checks
    return session


def finished(session: LinkSession, **wanted: Any) -> tuple[Connection, linking.Finished]:
    wanted = {"shared": SHARED, "passthrough": False, "renew": False, **wanted}
    done = linking.finish(session, **wanted)
    assert session.connection is not None
    return Connection.objects.get(pk=session.connection.pk), done


def refused(code: str, function: Any, *args: Any, **values: Any) -> LinkError:
    with pytest.raises(LinkError) as caught:
        function(*args, **values)
    assert caught.value.code == code, caught.value
    return caught.value


def kept() -> int:
    with scopes_disabled():
        return int(LinkSecret.objects.count() + Credential.objects.count() + Grant.objects.count())


def audited(action: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action))
