"""Link for a connection that exists: renewed in its place, never that of somebody else."""

from __future__ import annotations

import ssl

import pytest
import trustme

from connections.choices import ConnectionStatus
from connections.models import Connection
from connections.services import check_connection, delete_connection, disconnect_connection, linking, open_connector
from connections.services.credentials import store_secrets, stored_names
from core.errors import ConflictError
from integrations.sdk.pages import CheckResult
from tests.connectors import API_KEY, SLUG, TestErp, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.linking_stage import SHARED, erp, finished, inside, refused, signed_in, workspace  # noqa: F401
from workspaces.models import Event

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("erp_connector")]


def test_renewal_when_finished_then_the_connection_keeps_its_id_and_what_it_had(workspace, erp):
    connection = connect(
        erp, workspace=workspace, api_key="old", health=ConnectionStatus.NEEDS_REAUTH, customer_reference="c",
        shared={"vendor": "read"}, name="Plant", page_size=7,
    )  # fmt: skip
    session, token = linking.create_link_session(
        workspace=workspace, environment="live", connection=connection, created_by="me"
    )
    assert session.is_renewal and session.entities == {"vendor": "read"} and session.system == SLUG
    session = linking.find_session(token)
    linking.begin(session, None)
    linking.choose_system(session, SLUG)
    assert session.config == {"base_url": erp.base_url}
    assert linking.submit(session, session.config, {"api_key": API_KEY}).ok

    renewed, done = finished(session, shared={"vendor": "read"}, passthrough=True)

    assert renewed.pk == connection.pk and (renewed.name, renewed.page_size) == ("Plant", 7)
    assert renewed.status == "active" and renewed.passthrough_shared is True
    assert Event.objects.filter(type="connection.online").count() == 1
    with open_connector(renewed) as connector:
        assert connector.settings.secrets == {"api_key": API_KEY}
    assert linking.exchange(done.code, workspace=workspace, environment="live", created_by="b")[0].pk == connection.pk


def test_renewal_when_the_server_has_an_authority_of_its_own_then_the_connections_is_trusted(workspace):
    own_authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own_authority.issue_cert("127.0.0.1").configure_cert(context)
    server = TestErpServer(tls=context)
    try:
        pem = own_authority.cert_pem.bytes().decode()
        connection = connect(server, workspace=workspace, ca_certificate=pem)
        wanted = {"workspace": workspace, "environment": "live", "created_by": "me"}
        _, token = linking.create_link_session(**wanted, connection=connection)
        session = linking.find_session(token)
        linking.begin(session, None)
        linking.choose_system(session, SLUG)
        outcome = linking.submit(session, session.config, {"api_key": API_KEY})
    finally:
        server.stop()
    assert outcome.ok, outcome.checks


def test_finish_when_the_connection_exists_then_it_can_be_renewed_instead(workspace, erp):
    first, _ = finished(signed_in(workspace, erp))
    session = signed_in(workspace, erp)
    assert linking.outcome_of(session).existing == first

    again, _ = finished(session, renew=True, shared={"vendor": "read"})

    assert again.pk == first.pk and again.shared == {"vendor": "read"} and Connection.objects.count() == 1
    other, _ = finished(signed_in(workspace, erp))
    assert other.pk != first.pk and Connection.objects.count() == 2


@pytest.mark.parametrize("different", ["customer", "environment", "host", "none"])
def test_outcome_when_it_is_another_customer_or_instance_then_no_renewal_is_offered(workspace, erp, different):
    first, _ = finished(signed_in(workspace, erp))
    if different == "host":
        Connection.objects.filter(pk=first.pk).update(config={"base_url": "https://erp.example"})
    wanted = {
        "customer": {"customer_reference": "cust-2"},
        "none": {"customer_reference": ""},
        "environment": {"environment": "test"},
    }
    session = signed_in(workspace, erp, **wanted.get(different, {}))
    assert linking.outcome_of(session).existing is None
    refused("LINK_NOTHING_TO_RENEW", linking.finish, session, shared=SHARED, passthrough=False, renew=True)


def test_finish_when_the_existing_one_was_disconnected_then_it_comes_back(workspace, erp):
    first, _ = finished(signed_in(workspace, erp))
    disconnect_connection(first, by="me")
    again, _ = finished(signed_in(workspace, erp), renew=True)
    assert again.pk == first.pk and again.status == "active" and again.online_since is not None


def test_finish_when_an_existing_one_is_renewed_then_raw_calls_that_nobody_asked_for_end(workspace, erp_server):
    first, _ = finished(signed_in(workspace, erp_server, customer_reference="c", passthrough=True), passthrough=True)
    assert first.passthrough_shared
    again, _ = finished(signed_in(workspace, erp_server, customer_reference="c"), renew=True)
    assert again.pk == first.pk and not again.passthrough_shared


def test_deleted_connection_is_not_offered_to_be_renewed(workspace, erp_server):
    first, _ = finished(signed_in(workspace, erp_server, customer_reference="c"))
    delete_connection(first, by="me")
    assert linking.outcome_of(signed_in(workspace, erp_server, customer_reference="c")).existing is None


def test_renewal_leaves_no_secret_of_before(workspace, erp_server):
    connection = connect(erp_server, workspace=workspace, health=ConnectionStatus.NEEDS_REAUTH)
    store_secrets(connection, {"of_an_older_version": "canary", "tls_client_key": "the operator's"})
    finished(signed_in(workspace, erp_server, customer_reference="", connection=connection))
    assert stored_names(connection) == {"api_key", "tls_client_key"}


def test_disconnected_connection_whose_key_is_gone_is_not_renewed_by_link(workspace, erp_server):
    first, _ = finished(signed_in(workspace, erp_server, customer_reference="c"))
    Connection.objects.filter(pk=first.pk).update(client_certificate="PEM")
    disconnect_connection(first, by="me")

    assert linking.outcome_of(signed_in(workspace, erp_server, customer_reference="c")).existing is None
    with pytest.raises(ConflictError, match="client_key"):
        linking.create_link_session(
            workspace=workspace, environment="live", connection=Connection.objects.get(pk=first.pk), created_by="test"
        )


def test_check_when_the_customer_signs_in_again_meanwhile_then_the_old_refusal_tells_nothing(
    workspace, erp_server, monkeypatch
):
    connection = connect(erp_server, workspace=workspace, api_key="old")
    session, token = linking.create_link_session(
        workspace=workspace, environment="live", connection=connection, created_by="test"
    )
    session = linking.find_session(token)
    linking.begin(session, None)
    linking.choose_system(session, SLUG)
    assert linking.submit(session, session.config, {"api_key": API_KEY}).ok
    plain = TestErp.check

    def check(self: TestErp) -> CheckResult:
        try:
            return plain(self)
        finally:  # the refusal is on its way while the customer finishes
            linking.finish(session, shared=SHARED, passthrough=False, renew=False)

    monkeypatch.setattr(TestErp, "check", check)
    outcome = check_connection(connection, by="test")

    assert not outcome.ok and Connection.objects.get().status == ConnectionStatus.ACTIVE
