"""Link, the connect flow, as services: from the link to the connection and its token, and every way it ends before."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme
from django.db import connection as database
from django.db import connections as databases
from django.db.models.functions import Now
from django_scopes import scope, scopes_disabled

from connections.choices import ConnectionStatus, LinkStatus
from connections.models import Connection, Credential, Grant, LinkSecret, LinkSession
from connections.services import check_connection, disconnect_connection, linking, open_connector
from connections.services.linking import LinkError
from connections.services.systems import update_system_settings
from core.errors import ConflictError, LineshaftError, ValidationFailedError
from integrations.sdk.declarations import Choice
from tests.connectors import API_KEY, SLUG, TestErp, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.tenants import make_workspace
from workspaces.models import ApiToken, AuditEvent, Event, Workspace
from workspaces.tokens import authenticate

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("erp_connector")]

RETURN, ORIGIN = "https://app.example.com/connected?from=link", "https://app.example.com"
SHARED = {"purchase_order": "read_write", "vendor": "read"}
WRONG = "wrong-horse-battery-staple"


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


def expire(session: LinkSession) -> None:
    LinkSession.objects.filter(pk=session.pk).update(expires_at=Now() - timedelta(seconds=1))


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


# --- the whole way ----------------------------------------------------------------------------------------------------


def test_link_when_all_goes_well_then_a_connection_and_its_token_stand(workspace, erp):
    session, token = linking.create_link_session(
        workspace=workspace,
        environment="live",
        name="Acme, plant north",
        customer_reference="cust-1",
        metadata={"plan": "gold"},
        redirect_uri=RETURN,
        state="s&1",
        created_by="token tok_1",
    )
    assert linking.link_address(token).endswith(f"/link/{token}") and token not in str(session.__dict__)
    found = linking.find_session(token)
    browser = linking.begin(found, None)
    assert linking.begin(linking.find_session(token), browser) == browser
    assert [choice.slug for choice in linking.systems_of(found)] == [SLUG]
    linking.choose_system(found, SLUG)
    assert [field.name for field in linking.form_of(found)] == [field.name for field in TestErp.config]
    assert not linking.uses_oauth(found)

    outcome = linking.submit(found, {"base_url": erp.base_url, "fiscal_year": 2026}, {"api_key": API_KEY})

    assert outcome.ok and outcome.account == "integration@erp.example" and outcome.existing is None
    assert [(check.name, check.label, check.ok) for check in outcome.checks] == [
        ("reachable", "Reaching the system", True),
        ("signed_in", "Signing in", True),
        ("purchase_order_readable", "Purchase orders", True),
        ("vendor_readable", "Vendors", True),
    ]
    orders, vendors = outcome.matrix
    assert (orders.asked, orders.read, orders.create, orders.update) == ("read_write", True, None, False)
    assert (vendors.asked, vendors.read, vendors.create) == ("read", True, False)
    assert linking.outcome_of(linking.find_session(token)) == outcome

    connection, done = finished(found)
    returned = urlsplit(done.redirect_url or "")
    assert parse_qs(returned.query) == {"from": ["link"], "code": [done.code], "state": ["s&1"]}
    assert (connection.status, connection.name, connection.customer_reference, connection.metadata) == (
        "active", "Acme, plant north", "cust-1", {"plan": "gold"},
    )  # fmt: skip
    assert connection.config["base_url"] == erp.base_url and connection.config["fiscal_year"] == 2026
    assert connection.account == "integration@erp.example" and connection.checked_at is not None
    assert connection.shared == SHARED and connection.passthrough_shared is False
    with open_connector(connection) as connector:
        assert connector.check().account == connection.account
    assert not LinkSecret.objects.exists()

    made, api_token, clear = linking.exchange(done.code, workspace=workspace, environment="live", created_by="backend")
    assert made.pk == connection.pk and authenticate(clear, address=None).connection_id == connection.pk
    assert api_token.scopes == sorted(
        ["connections:read", "syncs:read", "syncs:write", "records:read", "events:read", "operations:read",
         "records:write", "operations:write"]
    )  # fmt: skip
    assert {event.action for event in AuditEvent.objects.all()} >= {"link.created", "link.finished", "link.exchanged"}
    assert LinkSession.objects.get().status == LinkStatus.EXCHANGED


def test_submit_when_some_entities_are_asked_for_then_no_other_is_touched(workspace, erp):
    session = signed_in(workspace, erp, entities={"vendor": "read"})

    assert {call.path for call in erp.calls} == {"/me", "/vendors"}
    assert [row.entity for row in linking.outcome_of(session).matrix] == ["vendor"]
    connection, _ = finished(session, shared={"vendor": "read"})
    erp.calls.clear()
    assert check_connection(connection, by="test").ok
    assert {call.path for call in erp.calls} == {"/me", "/vendors"}


def test_submit_when_one_entity_is_forbidden_then_the_rest_is_offered(workspace, erp):
    erp.fail("http_403", on="/vendors")
    session = signed_in(workspace, erp)

    outcome = linking.outcome_of(session)
    assert [row.read for row in outcome.matrix] == [True, False]
    assert [check.ok for check in outcome.checks] == [True, True, True, False]
    connection, _ = finished(session, shared={"purchase_order": "read"})
    assert connection.status == "active" and connection.error["code"] == "PERMISSION_DENIED"


# --- making links -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "pointer", "code"),
    [
        ({"system": "nothing"}, "/system", "UNKNOWN_SYSTEM"),
        ({"redirect_uri": RETURN + "&x=1"}, "/redirect_uri", "NOT_REGISTERED"),
        ({"redirect_uri": RETURN.upper()}, "/redirect_uri", "NOT_REGISTERED"),
        ({"origin": ORIGIN + "/"}, "/origin", "NOT_REGISTERED"),
        ({"valid_minutes": 4}, "/valid_minutes", "INVALID"),
        ({"valid_minutes": 1441}, "/valid_minutes", "INVALID"),
        ({"is_magic": True, "valid_days": 8}, "/valid_days", "INVALID"),
        ({"is_magic": True, "valid_days": 0}, "/valid_days", "INVALID"),
        ({"valid_days": 3}, "/valid_days", "INVALID"),
        ({"entities": {"spaceship": "read"}}, "/entities/spaceship", "UNKNOWN_ENTITY"),
        ({"entities": {"vendor": "write"}}, "/entities/vendor", "INVALID"),
        ({"entities": {}}, "/entities", "REQUIRED"),
        ({"system": SLUG, "entities": {"asset": "read"}}, "/entities", "UNKNOWN_ENTITY"),
        ({"state": "x" * 501}, "/state", "INVALID"),
        ({"state": "a\nb"}, "/state", "INVALID"),
        ({"name": "x" * 121}, "/name", "INVALID"),
        ({"environment": "staging"}, "/environment", "INVALID"),
    ],
)
def test_create_link_session_when_a_value_is_wrong_then_it_is_named(workspace, wanted, pointer, code):
    with pytest.raises(ValidationFailedError) as caught:
        linking.create_link_session(workspace=workspace, **{"environment": "live", "created_by": "me", **wanted})

    assert [(error.pointer, error.code) for error in caught.value.errors] == [(pointer, code)]
    assert not LinkSession.objects.exists()


def test_create_link_session_when_the_redirect_is_not_registered_then_it_says_where(workspace):
    with pytest.raises(ValidationFailedError, match="An owner registers it in the admin: Workspaces"):
        linking.create_link_session(
            workspace=workspace, environment="live", redirect_uri="https://evil.example", created_by="me"
        )


def test_create_link_session_when_magic_then_it_lasts_for_days(workspace):
    session, _ = linking.create_link_session(
        workspace=workspace, environment="live", is_magic=True, valid_days=3, created_by="me"
    )
    assert timedelta(days=2, hours=23) < session.expires_at - session.created_at <= timedelta(days=3)


def test_systems_of_when_one_is_switched_off_then_it_is_not_offered(workspace):
    session, _ = linking.create_link_session(workspace=workspace, environment="live", created_by="me")
    update_system_settings(workspace=workspace, system=SLUG, environment="live", changes={"enabled": False}, by="me")

    assert linking.systems_of(session) == []
    refused("LINK_SYSTEM_UNAVAILABLE", linking.choose_system, session, SLUG)
    with pytest.raises(ValidationFailedError, match="switched off"):
        linking.create_link_session(workspace=workspace, environment="live", system=SLUG, created_by="me")


def test_systems_of_when_simulated_then_only_the_test_environment_offers_it(workspace, monkeypatch):
    monkeypatch.setattr(TestErp, "simulated", True)
    for environment, offered in (("live", []), ("test", [SLUG])):
        session, _ = linking.create_link_session(workspace=workspace, environment=environment, created_by="me")
        assert [choice.slug for choice in linking.systems_of(session)] == offered


def test_systems_of_when_nothing_asked_for_is_there_then_it_is_not_offered(workspace):
    session, _ = linking.create_link_session(
        workspace=workspace, environment="live", entities={"asset": "read"}, created_by="me"
    )
    assert linking.systems_of(session) == []


# --- links that lead nowhere ------------------------------------------------------------------------------------------


def test_find_session_when_the_token_is_unknown_then_it_says_so():
    assert refused("LINK_UNKNOWN", linking.find_session, "x" * 43).http_status == 404


def test_find_session_when_expired_then_nothing_goes_on(workspace, erp):
    session = signed_in(workspace, erp)
    expire(session)

    refused("LINK_EXPIRED", linking.submit, session, {"base_url": erp.base_url}, {"api_key": API_KEY})
    refused("LINK_EXPIRED", linking.finish, session, shared=SHARED, passthrough=False, renew=False)
    assert linking.forget_stale_links() == 2 and linking.forget_stale_links() == 0
    assert LinkSession.objects.get().config == {}
    assert kept() == 0 and not Connection.objects.exists()
    assert linking.status_of(LinkSession.objects.get()) == LinkStatus.EXPIRED


def test_cancel_when_secrets_are_kept_then_they_are_erased(workspace, erp):
    session = signed_in(workspace, erp)

    linking.cancel(session)
    linking.cancel(session)

    assert kept() == 0 and len(audited("link.cancelled")) == 1
    refused("LINK_CANCELLED", linking.finish, session, shared=SHARED, passthrough=False, renew=False)
    refused("LINK_CANCELLED", linking.choose_system, session, SLUG)


def test_cancel_when_finished_then_the_connection_stays(workspace, erp):
    session = signed_in(workspace, erp)
    finished(session)
    with pytest.raises(ConflictError, match="has finished"):
        linking.cancel(session)


def test_finish_when_done_twice_then_the_second_is_refused(workspace, erp):
    session = signed_in(workspace, erp)
    finished(session)
    refused("LINK_FINISHED", linking.finish, session, shared=SHARED, passthrough=False, renew=False)
    assert Connection.objects.count() == 1


def test_forget_stale_links_when_idle_for_an_hour_then_secrets_go_and_finish_is_refused(workspace, erp):
    session = signed_in(workspace, erp)
    LinkSecret.objects.update(updated_at=Now() - timedelta(minutes=59))
    assert linking.forget_stale_links() == 0
    LinkSecret.objects.update(updated_at=Now() - timedelta(minutes=61))

    refused("LINK_NOT_TESTED", linking.finish, session, shared=SHARED, passthrough=False, renew=False)
    assert linking.forget_stale_links() == 1 and kept() == 0
    refused("LINK_NOT_TESTED", linking.finish, session, shared=SHARED, passthrough=False, renew=False)


# --- browsers ---------------------------------------------------------------------------------------------------------


def test_begin_when_another_browser_comes_then_it_is_told(workspace, erp):
    session = signed_in(workspace, erp)

    refused("LINK_OTHER_BROWSER", linking.begin, session, None)
    refused("LINK_OTHER_BROWSER", linking.begin, session, "x" * 43)
    assert kept() == 1


def test_take_over_when_another_browser_goes_on_then_it_starts_anew_and_the_first_is_out(workspace, erp):
    first = signed_in(workspace, erp)
    second = LinkSession.objects.get(pk=first.pk)

    browser = linking.take_over(second)

    assert kept() == 0 and linking.begin(second, browser) == browser
    assert (second.chosen_system, second.config, linking.outcome_of(second)) == ("", {}, None)
    refused("LINK_OTHER_BROWSER", linking.finish, first, shared=SHARED, passthrough=False, renew=False)
    refused("LINK_OTHER_BROWSER", linking.submit, first, {"base_url": erp.base_url}, {"api_key": API_KEY})


# --- what is entered --------------------------------------------------------------------------------------------------


def test_submit_when_the_key_is_wrong_then_nothing_of_it_stays(workspace, erp):
    session = signed_in(workspace, erp)

    outcome = linking.submit(session, {"base_url": erp.base_url, "company": "Nord"}, {"api_key": WRONG})

    assert not outcome.ok and [check.ok for check in outcome.checks] == [True, False]
    assert kept() == 0 and session.config == {"base_url": erp.base_url, "company": "Nord"}
    with database.cursor() as cursor:
        for table in ("connections_linksession", "workspaces_auditevent", "connections_linksecret"):
            cursor.execute(f"SELECT count(*) FROM {table} row WHERE row::text LIKE %s", [f"%{WRONG}%"])
            assert cursor.fetchone() == (0,), table
    assert [event.details["reason"] for event in audited("link.refused")] == ["AUTHENTICATION_FAILED"]
    refused("LINK_NOT_TESTED", linking.finish, session, shared=SHARED, passthrough=False, renew=False)
    assert not Connection.objects.exists()


@pytest.mark.parametrize("fault", ["http_500", "html", "not_json", "http_403"])
def test_submit_when_nothing_can_be_read_then_nothing_stays(workspace, erp, fault):
    session = begun(workspace)
    erp.fail(fault)
    assert not linking.submit(session, {"base_url": erp.base_url}, {"api_key": API_KEY}).ok
    assert kept() == 0


def test_submit_when_nothing_listens_then_it_is_not_reachable(workspace, erp):
    session = begun(workspace)
    erp.stop()
    outcome = linking.submit(session, {"base_url": erp.base_url}, {"api_key": API_KEY})
    assert [(check.name, check.ok) for check in outcome.checks] == [("reachable", False)]


def test_submit_when_the_address_is_private_then_no_setting_of_ours_is_told(workspace, erp, settings):
    settings.EGRESS_ALLOWED_NETWORKS = []
    outcome = linking.submit(begun(workspace), {"base_url": erp.base_url}, {"api_key": API_KEY})
    assert not outcome.ok and "EGRESS" not in outcome.checks[0].detail and not erp.calls


@pytest.mark.parametrize(
    ("config", "secrets", "pointer"),
    [
        ({}, {"api_key": API_KEY}, "/config/base_url"),
        ({"base_url": "file:///etc/passwd"}, {"api_key": API_KEY}, "/config/base_url"),
        ({"base_url": "https://erp.example", "x": 1}, {"api_key": API_KEY}, "/config/x"),
        ({"base_url": "https://erp.example"}, {}, "/secrets/api_key"),
        ({"base_url": "https://erp.example"}, {"api_key": {"ref": "env:LINESHAFT_REF_X"}}, "/secrets/api_key"),
        ({"base_url": "https://erp.example"}, {"api_key": API_KEY, "other": "x"}, "/secrets/other"),
    ],
)
def test_submit_when_a_value_is_wrong_then_it_is_named_and_nothing_called(workspace, erp, config, secrets, pointer):
    with pytest.raises(ValidationFailedError) as caught:
        linking.submit(begun(workspace), config, secrets)
    assert [error.pointer for error in caught.value.errors] == [pointer] and not erp.calls and kept() == 0


def test_submit_when_tried_too_often_then_the_link_is_used_up(workspace, erp):
    session = begun(workspace)
    LinkSession.objects.update(found={"tries": 50})
    refused("LINK_TOO_MANY_TRIES", linking.submit, session, {"base_url": erp.base_url}, {"api_key": API_KEY})
    assert not erp.calls


def test_choose_system_when_another_then_what_was_entered_is_erased(workspace, erp, settings):
    settings.CONNECTORS = ["tests.connectors.TestErp", "integrations.connectors.tryton.Tryton"]
    session = signed_in(workspace, erp)
    linking.choose_system(session, SLUG)
    assert kept() == 1
    linking.choose_system(session, "tryton")
    assert kept() == 0 and session.config == {} and "company" not in [f.name for f in linking.form_of(session)]


# --- places -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_sites(monkeypatch):
    """The company is chosen from what the system offers."""
    config = tuple(
        Choice("company", label="Company", choices_from="list_companies", required=False)
        if field.name == "company"
        else field
        for field in TestErp.config
    )
    monkeypatch.setattr(TestErp, "config", config)
    offers = [("1", "North"), ("2", "South")]
    monkeypatch.setattr(TestErp, "list_companies", lambda self: offers, raising=False)
    return offers


def test_choose_places_when_the_system_offers_some_then_one_of_them_is_set(workspace, erp, with_sites):
    session = signed_in(workspace, erp)
    (choice,) = linking.outcome_of(session).choices
    assert (choice.name, choice.label, choice.options) == ("company", "Company", with_sites)

    with pytest.raises(ValidationFailedError):
        linking.choose_places(session, {"company": "3"})
    erp.calls.clear()
    assert linking.choose_places(session, {"company": "2"}).ok and erp.calls
    erp.calls.clear()
    assert linking.choose_places(session, {"company": "2"}).ok and not erp.calls

    connection, _ = finished(session)
    assert connection.config["company"] == "2"
    with open_connector(connection) as connector:
        assert connector.settings.secrets == {"api_key": API_KEY}


def test_submit_when_one_place_only_then_there_is_nothing_to_choose(workspace, erp, with_sites):
    with_sites.pop()
    assert linking.outcome_of(signed_in(workspace, erp)).choices == []


def test_submit_when_a_place_must_be_chosen_first_then_it_is_not_finished_before(
    workspace, erp, with_sites, monkeypatch
):
    config = tuple(
        Choice("company", choices_from="list_companies") if field.name == "company" else field
        for field in TestErp.config
    )
    monkeypatch.setattr(TestErp, "config", config)
    session = begun(workspace)
    erp.fail("http_403", on="/orders", times=1)
    erp_vendors_too = linking.submit(session, {"base_url": erp.base_url}, {"api_key": API_KEY})
    assert erp_vendors_too.ok and len(erp_vendors_too.choices) == 1
    with pytest.raises(ValidationFailedError):
        linking.finish(session, shared=SHARED, passthrough=False, renew=False)
    assert linking.choose_places(session, {"company": "1"}).ok
    assert finished(session)[0].config["company"] == "1"


# --- what is shared ---------------------------------------------------------------------------------------------------


def test_finish_when_nothing_is_shared_then_it_is_refused(workspace, erp):
    session = signed_in(workspace, erp)
    refused("LINK_NOTHING_SHARED", linking.finish, session, shared={}, passthrough=False, renew=False)


@pytest.mark.parametrize(
    "shared", [{"vendor": "read_write"}, {"purchase_order": "read"}, {"asset": "read"}, {"vendor": "all"}]
)
def test_finish_when_more_is_shared_than_asked_for_then_it_is_refused(workspace, erp, shared):
    session = signed_in(workspace, erp, entities={"vendor": "read"})
    with pytest.raises(ValidationFailedError):
        linking.finish(session, shared=shared, passthrough=False, renew=False)
    assert not Connection.objects.exists()


@pytest.mark.parametrize(("asked", "given", "shared"), [(True, True, True), (True, False, False), (False, True, False)])
def test_finish_when_raw_calls_then_they_are_shared_only_if_asked_for(workspace, erp, asked, given, shared):
    connection, _ = finished(signed_in(workspace, erp, passthrough=asked), passthrough=given)
    assert connection.passthrough_shared is shared


# --- renewing ---------------------------------------------------------------------------------------------------------


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


# --- the code ---------------------------------------------------------------------------------------------------------


def test_exchange_when_used_twice_then_the_second_is_refused_and_on_record(workspace, erp):
    _, done = finished(signed_in(workspace, erp))
    linking.exchange(done.code, workspace=workspace, environment="live", created_by="b")

    error = refused("CODE_USED", linking.exchange, done.code, workspace=workspace, environment="live", created_by="b")

    assert error.http_status == 409 and ApiToken.objects.count() == 1
    assert [event.details["reason"] for event in audited("link.refused")] == ["CODE_USED"]


def test_exchange_when_it_is_late_then_it_is_refused(workspace, erp):
    _, done = finished(signed_in(workspace, erp))
    LinkSession.objects.update(code_expires_at=Now() - timedelta(seconds=1))
    refused("CODE_EXPIRED", linking.exchange, done.code, workspace=workspace, environment="live", created_by="b")
    assert not ApiToken.objects.exists()


def test_exchange_when_it_is_foreign_then_there_is_no_such_code(workspace, erp):
    _, done = finished(signed_in(workspace, erp))
    stranger = make_workspace("other")
    for owner, environment, code in (
        (stranger, "live", done.code), (workspace, "test", done.code), (workspace, "live", done.code[:-1]),
    ):  # fmt: skip
        error = refused(
            "CODE_UNKNOWN", linking.exchange, code, workspace=owner, environment=environment, created_by="b"
        )
        assert error.http_status == 404
    assert linking.exchange(done.code, workspace=workspace, environment="live", created_by="b")


def test_exchange_when_reading_alone_is_shared_then_so_is_the_token(workspace, erp):
    _, done = finished(signed_in(workspace, erp), shared={"vendor": "read"})
    _, token, _ = linking.exchange(done.code, workspace=workspace, environment="live", created_by="b")
    assert "records:write" not in token.scopes and not any(scope.startswith("passthrough") for scope in token.scopes)


def test_exchange_when_the_caller_may_less_then_the_token_may_no_more(workspace, erp):
    _, done = finished(signed_in(workspace, erp))
    _, token, _ = linking.exchange(
        done.code, workspace=workspace, environment="live", within=["connections:write", "records:read"], created_by="b"
    )
    assert token.scopes == ["connections:read", "records:read"]


def test_exchange_when_raw_calls_are_not_shared_then_their_scopes_are_refused(workspace, erp):
    _, done = finished(signed_in(workspace, erp))
    wanted = {"workspace": workspace, "environment": "live", "created_by": "b"}
    with pytest.raises(ValidationFailedError):
        linking.exchange(done.code, scopes=["passthrough:read"], **wanted)
    assert linking.exchange(done.code, scopes=["records:read"], **wanted)[1].scopes == ["records:read"]


def test_exchange_when_the_connection_was_ended_then_no_token_is_made(workspace, erp):
    connection, done = finished(signed_in(workspace, erp))
    disconnect_connection(connection, by="me")
    with pytest.raises(LineshaftError):
        linking.exchange(done.code, workspace=workspace, environment="live", created_by="b")
    assert not ApiToken.objects.exists()


# --- at once ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_finish_when_pressed_twice_at_once_then_one_connection_is_made(workspace, erp):
    session = signed_in(workspace, erp)
    together, told = threading.Barrier(2), []

    def press() -> None:
        try:
            with scope(workspace=workspace.pk):
                own = LinkSession.objects.get(pk=session.pk)
                together.wait(timeout=10)
                told.append(linking.finish(own, shared=SHARED, passthrough=False, renew=False).code)
        except LinkError as error:
            told.append(error.code)
        finally:
            databases.close_all()

    threads = [threading.Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)

    assert sorted(map(len, told)) == [len("LINK_FINISHED"), 43] and "LINK_FINISHED" in told
    assert Connection.objects.count() == 1 and Credential.objects.count() == 1
