"""Opening a connection's connector: what it needs, what it refuses, and that its secrets stay inside."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import trustme
from django.db import connection as database
from django_scopes import ScopeError, scope

from connections.models import Connection, Credential
from connections.services import open_connector
from core.errors import AuthError, BadAnswerError, ConfigError, EgressDeniedError, TlsError
from integrations.sdk.pages import Window
from tests.connectors import API_KEY, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from workspaces.secrets import open_secret

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("erp_connector")]


def test_open_connector_when_all_is_right_speaks_to_the_system(erp_server: TestErpServer) -> None:
    erp_server.add_orders(3)
    connection = connect(erp_server, page_size=2, time_zone="Europe/Berlin")

    with open_connector(connection) as erp:
        assert erp.check().account == "integration@erp.example"
        page = erp.fetch_page(erp.resource("purchase_order"), Window(None, erp.now()), None)

    assert [key for key, _ in page.records] == ["1001", "1002"]
    assert erp.settings.zone.key == "Europe/Berlin"
    assert erp.settings.config["site"] == "north", "a declared default is filled in"


def test_open_connector_when_the_secret_is_wrong_says_auth(erp_server: TestErpServer) -> None:
    with open_connector(connect(erp_server, api_key="something-else")) as erp, pytest.raises(AuthError) as caught:
        erp.check()

    assert "something-else" not in str(caught.value)


def test_open_connector_when_a_private_address_is_not_allowed_names_the_setting(
    erp_server: TestErpServer, settings: Any
) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = []

    with open_connector(connect(erp_server)) as erp, pytest.raises(EgressDeniedError, match="EGRESS_ALLOWED_NETWORKS"):
        erp.check()

    assert erp_server.calls == []


def test_open_connector_when_html_comes_says_so(erp_server: TestErpServer) -> None:
    erp_server.fail("html")

    with open_connector(connect(erp_server)) as erp, pytest.raises(BadAnswerError, match="HTML"):
        erp.check()


@pytest.mark.parametrize("missing", ["base_url", "api_key"])
def test_open_connector_when_a_required_setting_is_missing_names_it(erp_server: TestErpServer, missing: str) -> None:
    connection = connect(erp_server)
    with scope(workspace=connection.workspace_id):
        if missing == "base_url":
            Connection.objects.update(config={})
        else:
            Credential.objects.all().delete()

    with pytest.raises(ConfigError, match=missing) as caught, open_connector(connection):
        pass

    assert caught.value.code == "CONFIG_INCOMPLETE"


def test_open_connector_when_the_key_is_gone_says_key_missing(erp_server: TestErpServer, settings: Any) -> None:
    connection = connect(erp_server)
    settings.ENCRYPTION_KEYS = "other:" + "A" * 43 + "="

    with pytest.raises(ConfigError, match="api_key") as caught, open_connector(connection):
        pass

    assert caught.value.code == "KEY_MISSING"


def test_open_connector_when_a_ciphertext_comes_from_another_row_refuses(erp_server: TestErpServer) -> None:
    """A secret copied to another tenant's connection opens nothing."""
    mine, theirs = connect(erp_server), connect(erp_server)
    with scope(workspace=theirs.workspace_id):
        stolen = Credential.objects.get(connection=theirs).ciphertext
    with scope(workspace=mine.workspace_id):
        Credential.objects.filter(connection=mine).update(ciphertext=stolen)

    with pytest.raises(ConfigError) as caught, open_connector(mine):
        pass

    assert caught.value.code == "KEY_MISSING"


def test_open_connector_when_the_connector_was_withdrawn_says_so(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    connection.system = "gone-erp"

    with pytest.raises(ConfigError, match="gone-erp") as caught, open_connector(connection):
        pass

    assert caught.value.code == "SYSTEM_UNKNOWN"


def test_open_connector_with_a_stale_object_sends_the_new_secret_to_the_new_host_only(
    erp_server: TestErpServer,
) -> None:
    """A worker that loaded the connection before its host and secret changed must not mix them."""
    stale = connect(erp_server)
    with scope(workspace=stale.workspace_id):
        Connection.objects.update(config={"base_url": "https://new.example"})

    with open_connector(stale) as erp:
        assert erp.settings.config["base_url"] == "https://new.example"


def test_secret_at_rest_is_nowhere_in_clear_and_never_twice_the_same(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    other = connect(erp_server)

    with database.cursor() as cursor:
        cursor.execute("SELECT row_to_json(c)::text, encode(c.ciphertext, 'escape') FROM connections_credential c")
        dumped = cursor.fetchall()
        cursor.execute("SELECT row_to_json(c)::text FROM connections_connection c")
        dumped += cursor.fetchall()
        cursor.execute("SELECT DISTINCT ciphertext FROM connections_credential")
        assert len(cursor.fetchall()) == 2, "two rows with the same secret look different"

    assert API_KEY not in str(dumped)
    with scope(workspace=connection.workspace_id):
        credential = Credential.objects.get(connection=connection)
    assert open_secret(credential) == API_KEY
    assert other.pk != connection.pk


def test_queries_without_a_scope_raise() -> None:
    with pytest.raises(ScopeError):
        list(Connection.objects.all())


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[TestErpServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = TestErpServer(tls=context)
    try:
        yield server
    finally:
        server.stop()


def test_open_connector_when_the_authority_is_unknown_says_tls(tls_server: TestErpServer) -> None:
    with open_connector(connect(tls_server)) as erp, pytest.raises(TlsError, match="CA certificate"):
        erp.check()


def test_open_connector_when_the_authority_is_given_trusts_it(tls_server: TestErpServer, authority: trustme.CA) -> None:
    pem = authority.cert_pem.bytes().decode()

    with open_connector(connect(tls_server, ca_certificate=pem)) as erp:
        assert erp.check().version == "9.4"
