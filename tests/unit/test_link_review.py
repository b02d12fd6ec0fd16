"""Link against hostile systems, several tabs, lost answers and links that outlive what they were made with."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection as database
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_scopes import scope, scopes_disabled

from connections.choices import ConnectionStatus, LinkStatus
from connections.models import Connection, LinkSecret, LinkSession, UpstreamCall
from connections.services import check_connection, delete_connection, disconnect_connection, linking, trying
from connections.services.credentials import store_secrets, stored_names
from connections.services.linking import FieldChoices, LinkError, testing
from connections.services.passthrough import RawCall, pass_through
from connections.services.systems import update_system_settings
from console.link.forms import PlacesForm
from core.errors import ConflictError
from integrations.sdk.declarations import Choice
from integrations.sdk.pages import CheckResult
from syncs.services.purging import purge_batch
from tests.connectors import API_KEY, SLUG, TestErp, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.oauth.connector import CONNECTORS as BEHIND_OAUTH
from tests.tenants import make_person, make_workspace
from workspaces.branding_form import fault_of_origin, fault_of_redirect
from workspaces.models import ApiToken, AuditEvent, Workspace
from workspaces.tokens import create_token

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
RETURN, ORIGIN = "https://app.example.com/connected", "https://app.example.com"
SHARED = {"purchase_order": "read_write", "vendor": "read"}


@pytest.fixture
def workspace() -> Workspace:
    made = make_workspace("acme")
    made.link_redirect_uris, made.link_origins = [RETURN], [ORIGIN]
    made.save(update_fields=["link_redirect_uris", "link_origins"])
    return made


@pytest.fixture
def inside(workspace: Workspace) -> Iterator[None]:
    with scope(workspace=workspace.pk):
        yield


@pytest.fixture
def two_systems(settings: Any) -> None:
    settings.CONNECTORS = ["tests.connectors.TestErp", "integrations.connectors.tryton.Tryton"]


def link(workspace: Workspace, **wanted: Any) -> tuple[LinkSession, str]:
    values = {"environment": "live", "system": SLUG, "created_by": "test", **wanted}
    return linking.create_link_session(workspace=workspace, **values)


def set_system(workspace: Workspace, system: str, **changes: Any) -> None:
    with scope(workspace=workspace.pk):
        update_system_settings(workspace=workspace, system=system, environment="live", changes=changes, by="me")


def begun(workspace: Workspace, **wanted: Any) -> LinkSession:
    """A session in its browser, with the test ERP chosen."""
    _, token = link(workspace, **wanted)
    session = linking.find_session(token)
    linking.begin(session, None)
    linking.choose_system(session, SLUG)
    return session


def signed_in(workspace: Workspace, erp: TestErpServer, **wanted: Any) -> LinkSession:
    session = begun(workspace, **wanted)
    assert linking.submit(session, {"base_url": erp.base_url}, {"api_key": API_KEY}).ok
    return session


def finished(session: LinkSession, **wanted: Any) -> tuple[Connection, linking.Finished]:
    done = linking.finish(session, **{"shared": SHARED, "passthrough": False, "renew": False, **wanted})
    assert session.connection is not None
    return Connection.objects.get(pk=session.connection.pk), done


def browsing(workspace: Workspace, **wanted: Any) -> tuple[Client, str]:
    """A browser that pressed Begin."""
    _, token = link(workspace, **wanted)
    client = Client()
    assert client.post(f"/link/{token}").status_code == 303
    return client, f"/link/{token}"


def browsing_on(workspace: Workspace, erp: TestErpServer, **wanted: Any) -> tuple[Client, str]:
    """A browser whose sign-in worked."""
    client, address = browsing(workspace, **wanted)
    answer = client.post(f"{address}/connect", {"base_url": erp.base_url, "api_key": API_KEY, "site": "north"})
    assert answer["Location"] == f"{address}/result"
    return client, address


def refused(code: str, function: Any, *args: Any, **values: Any) -> LinkError:
    with pytest.raises(LinkError) as caught:
        function(*args, **values)
    assert caught.value.code == code, caught.value
    return caught.value


# --- what a hostile system answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "account",
    ["a\x00b", "half \ud800", "x" * 1_000_000, 42, {"id": 1}, None, ["a"]],
    ids=["nul", "half", "long", "number", "object", "none", "list"],
)
def test_submit_when_the_system_names_an_odd_account_then_it_is_told_as_far_as_it_can_be(
    workspace, erp_server, inside, monkeypatch, account
):
    erp_server.add_orders(1)
    monkeypatch.setattr(TestErp, "check", lambda self: CheckResult(account=account, version=account))

    session = signed_in(workspace, erp_server, customer_reference="c")

    outcome = linking.outcome_of(session)
    assert len(outcome.account) <= 200 and "\x00" not in outcome.account
    connection, _ = finished(session)
    assert connection.account == outcome.account and len(connection.system_version) <= 80
    assert check_connection(connection, by="test").ok


def test_submit_when_the_offered_places_are_odd_then_those_that_can_be_kept_are_shown(
    workspace, erp_server, inside, monkeypatch
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


def test_check_when_the_system_dawdles_over_each_call_then_it_ends_all_the_same(
    workspace, erp_server, inside, monkeypatch
):
    monkeypatch.setattr(trying, "TRIAL_SECONDS", 0.0)
    session = begun(workspace)

    outcome = linking.submit(session, {"base_url": erp_server.base_url}, {"api_key": API_KEY})

    assert {call.path for call in erp_server.calls} == {"/me"}
    assert not outcome.ok and "too slowly" in outcome.checks[-1].detail and not LinkSecret.objects.exists()


# --- several tabs, several systems ------------------------------------------------------------------------------------


def test_submit_when_another_tab_chose_another_system_then_nothing_is_sent(workspace, erp_server, inside, two_systems):
    session = begun(workspace, system="")
    linking.choose_system(LinkSession.objects.get(pk=session.pk), "tryton")

    refused("LINK_OVERTAKEN", linking.submit, session, {"base_url": erp_server.base_url}, {"api_key": API_KEY})

    assert not erp_server.calls and not LinkSecret.objects.exists()


def test_form_that_was_drawn_for_another_system_sends_its_password_nowhere(workspace, erp_server, two_systems):
    client, address = browsing(workspace, system="")
    client.post(f"{address}/system", {"system": "tryton"})
    drawn = client.get(f"{address}/connect").content.decode()
    (of,) = re.findall(r'name="drawn-for" value="([^"]*)"', drawn)
    client.post(f"{address}/system", {"system": SLUG})

    answer = client.post(f"{address}/connect", {"drawn-for": of, "base_url": erp_server.base_url, "api_key": API_KEY})

    assert (of, answer["Location"]) == ("tryton", f"{address}/connect") and not erp_server.calls


def test_choose_places_when_another_tab_signed_in_then_its_secret_goes_not_with_these_settings(
    workspace, erp_server, inside, monkeypatch
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


def test_share_that_was_drawn_for_another_account_connects_nothing(workspace, erp_server):
    client, address = browsing_on(workspace, erp_server)
    (of,) = re.findall(r'name="drawn-for" value="([^"]+)"', client.get(f"{address}/share").content.decode())
    client.post(f"{address}/connect", {"base_url": erp_server.base_url, "api_key": API_KEY, "site": "south"})

    answer = client.post(f"{address}/share", {"drawn-for": of, "purchase_order": "read", "vendor": "read"})

    assert answer["Location"] == f"{address}/result"
    with scopes_disabled():
        assert not Connection.objects.exists()


@pytest.mark.parametrize("way", ["take_over", "choose_system"])
def test_tries_are_of_the_link_whoever_begins_anew(workspace, erp_server, inside, two_systems, way):
    session = begun(workspace, system="")
    LinkSession.objects.update(found={"tries": 50})
    again = LinkSession.objects.select_related("workspace").get(pk=session.pk)
    if way == "take_over":
        linking.take_over(again)
    else:
        linking.choose_system(again, "tryton")
    linking.choose_system(again, SLUG)

    refused("LINK_TOO_MANY_TRIES", linking.submit, again, {"base_url": erp_server.base_url}, {"api_key": API_KEY})
    assert not erp_server.calls


# --- ways that led nowhere --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["system", "connect"])
def test_step_after_taking_over_leads_on_also_where_the_link_names_the_system(workspace, step):
    _, address = browsing(workspace)
    other = Client()
    other.post(f"{address}/take-over")

    answer, hops = other.get(f"{address}/{step}"), 0
    while answer.status_code == 303 and hops < 5:
        answer, hops = other.get(answer["Location"]), hops + 1

    assert answer.status_code == 200 and b"Sign in to Test ERP" in answer.content


def test_start_when_the_system_was_switched_off_then_the_browser_stays_the_same(workspace):
    _, token = link(workspace)
    for enabled in (False, True):
        set_system(workspace, SLUG, enabled=enabled)
        if not enabled:
            client = Client()
            page = client.post(f"/link/{token}")
            assert page.status_code == 404 and f'href="/link/{token}"' in page.content.decode()
            assert "cannot be connected at the moment" in page.content.decode()
    assert client.get(f"/link/{token}").status_code == 200
    assert client.post(f"/link/{token}")["Location"] == f"/link/{token}/connect"


def test_finish_when_the_answer_was_lost_then_the_same_browser_gets_it_again_until_the_code_is_taken(
    workspace, erp_server
):
    client, address = browsing_on(workspace, erp_server, redirect_uri=RETURN, state="s1")
    choice = {"purchase_order": "read", "vendor": "read"}
    codes = []
    for wanted in (choice, choice, {}):
        page = html.unescape(client.post(f"{address}/share", wanted).content.decode())
        (back,) = re.findall(rf'href="({re.escape(RETURN)}[^"]+)"', page)
        told = parse_qs(urlsplit(back).query)
        assert told["state"] == ["s1"]
        codes.append(told["code"][0])
    used = client.get(address)
    assert used.status_code == 410 and f'action="{address}/share"' in used.content.decode()
    stranger = Client().post(f"{address}/share", choice)
    assert stranger.status_code == 410 and RETURN not in stranger.content.decode()

    for code in codes[:-1]:
        refused("CODE_UNKNOWN", linking.exchange, code, workspace=workspace, environment="live", created_by="b")
    linking.exchange(codes[-1], workspace=workspace, environment="live", created_by="b")

    assert client.post(f"{address}/share", choice).status_code == 410
    with scopes_disabled():
        assert Connection.objects.count() == 1 and LinkSession.objects.get().status == LinkStatus.EXCHANGED


def test_finish_when_its_code_is_late_then_no_other_is_given(workspace, erp_server):
    client, address = browsing_on(workspace, erp_server, redirect_uri=RETURN)
    client.post(f"{address}/share", {"purchase_order": "read", "vendor": "read"})
    with scopes_disabled():
        LinkSession.objects.update(code_expires_at=Now() - timedelta(seconds=1))
    assert client.post(f"{address}/share", {}).status_code == 410 == client.get(address).status_code


def test_oauth_answer_when_it_comes_again_then_the_page_leads_back_and_the_customer_is_on_record(workspace, settings):
    settings.CONNECTORS = [*settings.CONNECTORS, *BEHIND_OAUTH]
    set_system(workspace, "oauth-erp", oauth_client_id="app", oauth_client_secret="s3cret", oauth_hosts=["erp.example"])
    client, address = browsing(workspace, system="oauth-erp")
    leave = html.unescape(client.post(f"{address}/connect", {"base_url": "https://erp.example"}).content.decode())
    (state,) = re.findall(r"[?&]state=([\w-]+)", leave.split("data-forward")[0])

    denied = client.get("/link/oauth/callback", {"state": state, "error": "access_denied"})

    assert denied.status_code == 403 and f"{address}/connect" in denied.content.decode()
    with scopes_disabled():
        event = AuditEvent.objects.get(action="link.refused")
        session = LinkSession.objects.get()
    assert (event.actor_kind, event.actor) == ("customer", f"customer by link lnk_{session.pk.hex}")
    assert event.request_id.startswith("req_")
    assert client.get("/link/oauth/callback", {"state": state}).status_code == 400


def test_session_that_was_purged_meanwhile_is_unknown(workspace, erp_server, inside):
    connection = connect(erp_server, workspace=workspace)
    session = signed_in(workspace, erp_server, system="", connection=connection)
    Connection.objects.filter(pk=connection.pk).delete()

    error = refused("LINK_NOTHING_TO_RENEW", linking.finish, session, shared=SHARED, passthrough=False, renew=True)
    assert error.http_status == 409
    refused("LINK_UNKNOWN", linking.submit, session, {"base_url": erp_server.base_url}, {"api_key": API_KEY})


# --- where it leads back ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["share", "cancel"])
@pytest.mark.parametrize("registered", [True, False])
def test_end_when_the_owner_took_the_address_away_then_it_is_told_nothing(workspace, erp_server, end, registered):
    client, address = browsing_on(workspace, erp_server, redirect_uri=RETURN, origin=ORIGIN)
    if not registered:
        workspace.link_redirect_uris, workspace.link_origins = [], []
        workspace.save(update_fields=["link_redirect_uris", "link_origins"])

    page = client.post(f"{address}/{end}", {"purchase_order": "read", "vendor": "read"})

    content = page.content.decode()
    assert page.status_code == 200 and (f'href="{RETURN}' in content) is (f'data-origin="{ORIGIN}"' in content)
    assert (ORIGIN in content) is registered


@pytest.mark.parametrize("character", ["😀", "𝐞"])
def test_address_when_browsers_would_read_it_differently_then_it_is_not_registered(character):
    assert fault_of_redirect(f"https://{character}.example/x") and fault_of_redirect(f"https://a.example/{character}")
    assert fault_of_origin(f"https://{character}.example")


# --- renewals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "shared"), [(True, True), (False, False)])
def test_renewal_when_raw_calls_are_let_through_then_the_customer_is_asked_again(workspace, erp_server, given, shared):
    connection = connect(erp_server, workspace=workspace)
    client, address = browsing(workspace, system="", connection=connection)
    client.post(f"{address}/connect", {"base_url": erp_server.base_url, "api_key": API_KEY, "site": "north"})
    page = client.get(f"{address}/share").content.decode()
    assert re.search(r'name="passthrough"[^>]*checked', page), "as it stands now"

    client.post(
        f"{address}/share", {"purchase_order": "read", "vendor": "read", **({"passthrough": "on"} if given else {})}
    )

    with scopes_disabled():
        assert Connection.objects.get().passthrough_shared is shared


def test_finish_when_an_existing_one_is_renewed_then_raw_calls_that_nobody_asked_for_end(workspace, erp_server, inside):
    first, _ = finished(signed_in(workspace, erp_server, customer_reference="c", passthrough=True), passthrough=True)
    assert first.passthrough_shared
    again, _ = finished(signed_in(workspace, erp_server, customer_reference="c"), renew=True)
    assert again.pk == first.pk and not again.passthrough_shared


def test_deleted_connection_is_not_offered_to_be_renewed(workspace, erp_server, inside):
    first, _ = finished(signed_in(workspace, erp_server, customer_reference="c"))
    delete_connection(first, by="me")
    assert linking.outcome_of(signed_in(workspace, erp_server, customer_reference="c")).existing is None


def test_renewal_leaves_no_secret_of_before(workspace, erp_server, inside):
    connection = connect(erp_server, workspace=workspace, health=ConnectionStatus.NEEDS_REAUTH)
    store_secrets(connection, {"of_an_older_version": "canary", "tls_client_key": "the operator's"})
    finished(signed_in(workspace, erp_server, system="", connection=connection))
    assert stored_names(connection) == {"api_key", "tls_client_key"}


def test_disconnected_connection_whose_key_is_gone_is_not_renewed_by_link(workspace, erp_server, inside):
    first, _ = finished(signed_in(workspace, erp_server, customer_reference="c"))
    Connection.objects.filter(pk=first.pk).update(client_certificate="PEM")
    disconnect_connection(first, by="me")

    assert linking.outcome_of(signed_in(workspace, erp_server, customer_reference="c")).existing is None
    with pytest.raises(ConflictError, match="client_key"):
        link(workspace, system="", connection=Connection.objects.get(pk=first.pk))


def test_check_when_the_customer_signs_in_again_meanwhile_then_the_old_refusal_tells_nothing(
    workspace, erp_server, inside, monkeypatch
):
    connection = connect(erp_server, workspace=workspace, api_key="old")
    session, token = link(workspace, system="", connection=connection)
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


# --- the code ---------------------------------------------------------------------------------------------------------


def test_exchange_when_a_persons_token_asks_then_the_new_one_is_that_persons(workspace, erp_server, client):
    person = make_person("developer", workspace)
    with scope(workspace=workspace.pk):
        _, done = finished(signed_in(workspace, erp_server))
        _, clear = create_token(
            workspace=workspace, name="mine", scopes=["connections:write", "records:read"], environment="live",
            person_id=person.pk, created_by="me",
        )  # fmt: skip
    body = {"code": done.code}
    answer = client.post(
        "/api/v1/link-sessions/exchange",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {clear}"},
    )
    assert answer.status_code == 201, answer.content
    with scopes_disabled():
        assert ApiToken.objects.get(connection_id__isnull=False).person_id == person.pk


# --- small things -----------------------------------------------------------------------------------------------------


def test_place_that_is_not_needed_can_be_left_as_it_is() -> None:
    offered = [FieldChoices("company", "Company", "", [(1, "North"), (2, "South")], required=False)]

    form = PlacesForm(offered, {})
    assert next(iter(form.fields["company"].widget.choices)) == ("", "As the account is set")
    assert form.initial["company"] == "" and PlacesForm(offered, {"company": 2}).initial["company"] == "2"
    for typed, value in (("", None), ("2", 2)):
        form = PlacesForm(offered, {}, {"company": typed})
        assert form.is_valid() and form.values() == {"company": value}
    needed = PlacesForm([FieldChoices("company", "Company", "", [(1, "North"), (2, "South")])], {}, {"company": ""})
    assert not needed.is_valid() and next(iter(needed.fields["company"].widget.choices)) == ("1", "North")


def test_place_that_was_chosen_before_can_be_left_again(workspace, erp_server, inside, monkeypatch):
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


def test_link_in_logs_is_not_cut(workspace, erp_server, inside, caplog):
    session = signed_in(workspace, erp_server)
    with caplog.at_level("INFO"):
        finished(session)
    assert f"lnk_{session.pk.hex}" in " ".join(
        str(record.msg) for record in caplog.records if "link_id" in str(record.msg)
    )


def test_page_does_not_read_the_logo(workspace):
    workspace.logo, workspace.logo_type = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20, "image/png"
    workspace.save()
    _, token = link(workspace)
    client = Client()
    with CaptureQueriesContext(database) as queries:
        page = client.get(f"/link/{token}")
    assert f"/link/{token}/logo" in page.content.decode()
    assert not [each for each in queries.captured_queries if '"logo"' in each["sql"]]
    assert client.get(f"/link/{token}/logo").content == bytes(workspace.logo)


# --- many at once, and the end of a connection ------------------------------------------------------------------------


def test_submit_when_too_many_are_tried_at_once_then_this_one_waits_for_another_time(
    workspace, erp_server, inside, monkeypatch
):
    monkeypatch.setattr(testing, "_places", threading.BoundedSemaphore(1))
    monkeypatch.setattr(testing, "WAIT_SECONDS", 0.01)
    session = begun(workspace)
    with testing.place(session):
        error = refused("LINK_BUSY", linking.submit, session, {"base_url": erp_server.base_url}, {"api_key": API_KEY})
    assert error.http_status == 503 and not erp_server.calls
    assert linking.submit(session, {"base_url": erp_server.base_url}, {"api_key": API_KEY}).ok


@pytest.mark.django_db(transaction=True)
def test_raw_call_when_its_connection_is_purged_meanwhile_then_the_answer_is_given_all_the_same(
    workspace, erp_server, inside, monkeypatch
):
    erp_server.add_orders(1)
    connection = connect(erp_server, workspace=workspace)
    send = TestErp.passthrough

    def purged_meanwhile(self: TestErp, *args: Any) -> Any:
        answer = send(self, *args)
        delete_connection(Connection.objects.get(pk=connection.pk), by="me")
        while purge_batch(connection.pk):
            pass
        return answer

    monkeypatch.setattr(TestErp, "passthrough", purged_meanwhile)

    answer = pass_through(connection, RawCall("GET", "/me"), by="test")

    assert answer.status == 200
    assert not Connection.objects.exists() and not UpstreamCall.objects.exists()
