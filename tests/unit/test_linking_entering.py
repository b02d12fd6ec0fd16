"""What a customer enters in Link: tried out on the system, kept or refused, and the places it offers."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection as database

from connections.models import Connection, LinkSecret, LinkSession
from connections.services import check_connection, linking, open_connector, trying
from connections.services.linking import testing
from core.errors import ValidationFailedError
from integrations.sdk.declarations import Choice
from integrations.sdk.pages import CheckResult
from tests.connectors import API_KEY, SLUG, TestErp, erp_connector, erp_server  # noqa: F401
from tests.linking_stage import SHARED, audited, begun, erp, finished, inside, kept, refused, signed_in, workspace  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("erp_connector")]
WRONG = "wrong-horse-battery-staple"


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


@pytest.mark.parametrize(
    "account",
    ["a\x00b", "half \ud800", "x" * 1_000_000, 42, {"id": 1}, None, ["a"]],
    ids=["nul", "half", "long", "number", "object", "none", "list"],
)
def test_submit_when_the_system_names_an_odd_account_then_it_is_told_as_far_as_it_can_be(
    workspace, erp_server, monkeypatch, account
):
    erp_server.add_orders(1)
    monkeypatch.setattr(TestErp, "check", lambda self: CheckResult(account=account, version=account))

    session = signed_in(workspace, erp_server, customer_reference="c")

    outcome = linking.outcome_of(session)
    assert len(outcome.account) <= 200 and "\x00" not in outcome.account
    connection, _ = finished(session)
    assert connection.account == outcome.account and len(connection.system_version) <= 80
    assert check_connection(connection, by="test").ok


def test_check_when_the_system_dawdles_over_each_call_then_it_ends_all_the_same(workspace, erp_server, monkeypatch):
    monkeypatch.setattr(trying, "TRIAL_SECONDS", 0.0)
    session = begun(workspace)

    outcome = linking.submit(session, {"base_url": erp_server.base_url}, {"api_key": API_KEY})

    assert {call.path for call in erp_server.calls} == {"/me"}
    assert not outcome.ok and "too slowly" in outcome.checks[-1].detail and not LinkSecret.objects.exists()


@pytest.fixture
def two_systems(settings: Any) -> None:
    settings.CONNECTORS = ["tests.connectors.TestErp", "integrations.connectors.tryton.Tryton"]


def test_submit_when_another_tab_chose_another_system_then_nothing_is_sent(workspace, erp_server, two_systems):
    session = begun(workspace)
    linking.choose_system(LinkSession.objects.get(pk=session.pk), "tryton")

    refused("LINK_OVERTAKEN", linking.submit, session, {"base_url": erp_server.base_url}, {"api_key": API_KEY})

    assert not erp_server.calls and not LinkSecret.objects.exists()


@pytest.mark.parametrize("way", ["take_over", "choose_system"])
def test_tries_are_of_the_link_whoever_begins_anew(workspace, erp_server, two_systems, way):
    session = begun(workspace)
    LinkSession.objects.update(found={"tries": 50})
    again = LinkSession.objects.select_related("workspace").get(pk=session.pk)
    if way == "take_over":
        linking.take_over(again)
    else:
        linking.choose_system(again, "tryton")
    linking.choose_system(again, SLUG)

    refused("LINK_TOO_MANY_TRIES", linking.submit, again, {"base_url": erp_server.base_url}, {"api_key": API_KEY})
    assert not erp_server.calls


def test_submit_when_too_many_are_tried_at_once_then_this_one_waits_for_another_time(
    workspace, erp_server, monkeypatch
):
    monkeypatch.setattr(testing, "_places", threading.BoundedSemaphore(1))
    monkeypatch.setattr(testing, "WAIT_SECONDS", 0.01)
    session = begun(workspace)
    with testing.place(session):
        error = refused("LINK_BUSY", linking.submit, session, {"base_url": erp_server.base_url}, {"api_key": API_KEY})
    assert error.http_status == 503 and not erp_server.calls
    assert linking.submit(session, {"base_url": erp_server.base_url}, {"api_key": API_KEY}).ok


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


def test_submit_when_the_offered_places_are_odd_then_those_that_can_be_kept_are_shown(
    workspace, erp_server, monkeypatch
):
    config = tuple(
        Choice("company", choices_from="list_companies", required=False) if field.name == "company" else field
        for field in TestErp.config
    )
    monkeypatch.setattr(TestErp, "config", config)
    offers = [("1", "A\x00B" + "x" * 5000), ("a\x00", "NUL"), ("y" * 5000, "long"), ("\udfff", "half"), ("2", None)]
    monkeypatch.setattr(TestErp, "list_companies", lambda self: offers, raising=False)

    (choice,) = linking.outcome_of(signed_in(workspace, erp_server)).choices

    assert [value for value, _ in choice.options] == ["1", "2"]
    assert choice.options[0][1].startswith("ABx") and len(choice.options[0][1]) == 200


def test_choose_places_when_another_tab_signed_in_then_its_secret_goes_not_with_these_settings(
    workspace, erp_server, monkeypatch
):
    config = tuple(
        Choice("company", choices_from="list_companies", required=False) if field.name == "company" else field
        for field in TestErp.config
    )
    monkeypatch.setattr(TestErp, "config", config)
    monkeypatch.setattr(TestErp, "list_companies", lambda self: [("1", "N"), ("2", "S")], raising=False)
    first = signed_in(workspace, erp_server)
    second = LinkSession.objects.select_related("workspace").get(pk=first.pk)
    assert linking.submit(second, {"base_url": erp_server.base_url, "fiscal_year": 2026}, {"api_key": API_KEY}).ok
    erp_server.forget_calls()

    refused("LINK_OVERTAKEN", linking.choose_places, first, {"company": "2"})

    assert not erp_server.calls and LinkSession.objects.get().config.get("fiscal_year") == 2026


def test_place_that_was_chosen_before_can_be_left_again(workspace, erp_server, monkeypatch):
    config = tuple(
        Choice("company", choices_from="list_companies", required=False) if field.name == "company" else field
        for field in TestErp.config
    )
    monkeypatch.setattr(TestErp, "config", config)
    monkeypatch.setattr(TestErp, "list_companies", lambda self: [("1", "N"), ("2", "S")], raising=False)
    session = signed_in(workspace, erp_server)
    assert linking.choose_places(session, {"company": "2"}).ok
    assert linking.choose_places(session, {"company": None}).ok
    assert "company" not in finished(session)[0].config
