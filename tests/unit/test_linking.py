"""Link, the connect flow, as services: from the link to the connection and its token, and links that lead nowhere."""

from __future__ import annotations

import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connections as databases
from django.db.models.functions import Now
from django_scopes import scope

from connections.choices import LinkStatus
from connections.models import Connection, Credential, LinkSecret, LinkSession
from connections.services import check_connection, linking, open_connector
from connections.services.linking import LinkError
from connections.services.systems import update_system_settings
from core.errors import ConflictError, ValidationFailedError
from tests.connectors import API_KEY, SLUG, TestErp, connect, erp_connector, erp_server  # noqa: F401
from tests.linking_stage import (  # noqa: F401
    ORIGIN,
    RETURN,
    SHARED,
    audited,
    erp,
    finished,
    inside,
    kept,
    refused,
    signed_in,
    workspace,
)
from workspaces.models import AuditEvent
from workspaces.tokens import authenticate

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("erp_connector")]


def expire(session: LinkSession) -> None:
    LinkSession.objects.filter(pk=session.pk).update(expires_at=Now() - timedelta(seconds=1))


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


def test_link_in_logs_is_not_cut(workspace, erp_server, caplog):
    session = signed_in(workspace, erp_server)
    with caplog.at_level("INFO"):
        finished(session)
    assert f"lnk_{session.pk.hex}" in " ".join(
        str(record.msg) for record in caplog.records if "link_id" in str(record.msg)
    )


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


def test_session_that_was_purged_meanwhile_is_unknown(workspace, erp_server):
    connection = connect(erp_server, workspace=workspace)
    session = signed_in(workspace, erp_server, customer_reference="", connection=connection)
    Connection.objects.filter(pk=connection.pk).delete()

    error = refused("LINK_NOTHING_TO_RENEW", linking.finish, session, shared=SHARED, passthrough=False, renew=True)
    assert error.http_status == 409
    refused("LINK_UNKNOWN", linking.submit, session, {"base_url": erp_server.base_url}, {"api_key": API_KEY})


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
