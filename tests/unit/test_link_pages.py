"""The Link pages as a server sees them: headers, cookies, forged requests, who may see what, and texts of failures."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db.models.functions import Now
from django.test import Client
from django_scopes import scope, scopes_disabled

from connections.choices import LinkStatus
from connections.models import Connection, LinkSecret, LinkSession
from connections.services import linking
from connections.services.linking import FieldChoices, Row
from connections.services.systems import update_system_settings
from console.link.forms import PlacesForm, SignInForm
from console.link.sharing import permissions, shares
from console.link.urls import urlpatterns
from integrations.sdk.declarations import Boolean, Integer, Secret, Text, Url
from tests.connectors import API_KEY, SLUG, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.link_browsing import begun, invite, signed_to_the_erp, text, workspace  # noqa: F401
from tests.linking_stage import ORIGIN, RETURN, refused
from tests.oauth.connector import CONNECTORS as BEHIND_OAUTH
from tests.tenants import make_person, signed_in
from workspaces.models import AuditEvent, Workspace

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
CANARY = "canary-of-the-customer"


# --- headers and cookies ----------------------------------------------------------------------------------------------


def test_pages_when_asked_for_then_guarded(workspace: Workspace) -> None:
    client, address = begun(workspace)
    pages = (
        address,
        f"{address}/connect",
        f"{address}/cancel",
        f"{address}/theme.css",
        "/link/unknown-token",
        "/link/oauth/callback",
    )
    for page in pages:
        response = client.get(page)
        policy = response["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'"), page
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy and "form-action 'self'" in policy
        assert response["Referrer-Policy"] == "same-origin", page
        assert response["Cross-Origin-Opener-Policy"] == "unsafe-none", page
        assert response["Cache-Control"] == "no-store" and "noindex" in response["X-Robots-Tag"], page
        assert response["X-Frame-Options"] == "DENY" and response["X-Content-Type-Options"] == "nosniff", page


def test_pages_when_drawn_then_nothing_stands_inline(workspace: Workspace, erp_server: TestErpServer) -> None:
    client, address = signed_to_the_erp(workspace, erp_server, passthrough=True)
    for step in ("", "/connect", "/result", "/share", "/cancel"):
        page = text(client.get(f"{address}{step}"))
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]+src=)", page), step


def test_admin_keeps_its_own_headers() -> None:
    response = Client().get("/admin/login/")

    assert (
        response["Cross-Origin-Opener-Policy"] == "same-origin" and "unsafe-eval" in response["Content-Security-Policy"]
    )


@pytest.mark.parametrize("secure", [False, True])
def test_cookie_of_the_browser_is_for_these_pages_alone(secure: bool, workspace: Workspace, settings: Any) -> None:
    settings.SESSION_COOKIE_SECURE = secure
    session, address = invite(workspace)
    client = Client()
    client.post(address)

    cookie = client.cookies[f"lineshaft_link_{session.pk.hex}"]
    assert (cookie["path"], cookie["samesite"], cookie["httponly"]) == ("/link/", "Lax", True)
    assert bool(cookie["secure"]) is secure and cookie["max-age"] == ""


def test_form_without_its_token_is_refused_with_a_page(workspace: Workspace) -> None:
    session, address = invite(workspace)
    client = Client(enforce_csrf_checks=True)

    page = text(client.post(address), 403)

    assert "Allow cookies for this site" in page and "CSRF" not in page
    session.refresh_from_db()
    assert session.status == LinkStatus.OPEN
    assert "CSRF" in text(client.post("/admin/login/"), 403), "elsewhere it is Django's own page"


def test_link_js_may_be_loaded_from_any_site() -> None:
    response = Client().get("/link/link.js")

    assert "Lineshaft" in text(response) and response["Content-Type"].startswith("text/javascript")
    assert response["Cross-Origin-Resource-Policy"] == "cross-origin" and "public" in response["Cache-Control"]


# --- who may go on ----------------------------------------------------------------------------------------------------


STEPS = sorted(
    str(pattern.pattern).removeprefix("<str:token>")
    for pattern in urlpatterns
    if str(pattern.pattern).startswith("<str:token>/")
)


def test_every_route_is_known_to_these_tests() -> None:
    kinds = {"/theme.css", "/logo", "/take-over", "/cancel"}
    assert set(STEPS) - kinds == {"/system", "/connect", "/result", "/places", "/share"}


def test_looking_at_a_link_binds_it_to_nobody(workspace: Workspace) -> None:
    session, address = invite(workspace)
    for client in (Client(), Client()):
        page = text(client.get(address))
        assert client.head(address).status_code == 200
        assert "Connect Test ERP to Nordring" in page and not client.cookies.get(f"lineshaft_link_{session.pk.hex}")
    session.refresh_from_db()
    assert session.browser_digest is None


@pytest.mark.parametrize("step", ["/system", "/connect", "/result", "/places", "/share"])
def test_step_before_the_beginning_leads_to_the_start(step: str, workspace: Workspace) -> None:
    _, address = invite(workspace)
    for method in ("get", "post"):
        response: Any = getattr(Client(), method)(f"{address}{step}")
        assert (response.status_code, response["Location"]) == (303, address), method


@pytest.mark.parametrize("step", ["", "/system", "/connect", "/result", "/places", "/share", "/cancel"])
def test_step_in_another_browser_is_refused(step: str, workspace: Workspace, erp_server: TestErpServer) -> None:
    first, address = signed_to_the_erp(workspace, erp_server)
    for method in ("get", "post"):
        page = text(getattr(Client(), method)(f"{address}{step}"), 409)
        assert "open in another browser" in page and erp_server.base_url not in page
    assert first.get(f"{address}/result").status_code == 200


@pytest.mark.parametrize(("step", "to"), [("/result", "/connect"), ("/places", "/connect"), ("/share", "/connect")])
def test_step_that_is_not_due_leads_to_the_one_that_is(step: str, to: str, workspace: Workspace) -> None:
    client, address = begun(workspace)
    for method in ("get",) if step == "/result" else ("get", "post"):
        assert getattr(client, method)(f"{address}{step}")["Location"] == f"{address}{to}"


def test_customer_acts_as_customer_also_for_who_is_signed_in_elsewhere(
    workspace: Workspace, erp_server: TestErpServer
) -> None:
    """An operator of the installation who opens a link in the same browser sees all workspaces otherwise."""
    session, address = invite(workspace)
    client = signed_in(make_person(is_superuser=True))
    client.post(address)
    client.post(f"{address}/connect", {"base_url": erp_server.base_url, "api_key": API_KEY, "site": "north"})
    client.post(f"{address}/share", {"purchase_order": "read", "vendor": "nothing"})

    with scopes_disabled():
        assert Connection.objects.get().shared == {"purchase_order": "read"}
        finished = AuditEvent.objects.get(action="link.finished")
    assert (finished.actor_kind, finished.actor) == ("customer", f"customer by link lnk_{session.pk.hex}")
    assert finished.workspace_id == workspace.pk and finished.request_id.startswith("req_")


@pytest.mark.parametrize("step", ["system", "connect"])
def test_step_after_taking_over_leads_on_also_where_the_link_names_the_system(workspace, step):
    _, address = begun(workspace)
    other = Client()
    other.post(f"{address}/take-over")

    answer, hops = other.get(f"{address}/{step}"), 0
    while answer.status_code == 303 and hops < 5:
        answer, hops = other.get(answer["Location"]), hops + 1

    assert answer.status_code == 200 and b"Sign in to Test ERP" in answer.content


def test_start_when_the_system_was_switched_off_then_the_browser_stays_the_same(workspace):
    _, address = invite(workspace)
    for enabled in (False, True):
        with scope(workspace=workspace.pk):
            update_system_settings(
                workspace=workspace, system=SLUG, environment="live", changes={"enabled": enabled}, by="me"
            )
        if not enabled:
            client = Client()
            page = client.post(address)
            assert page.status_code == 404 and f'href="{address}"' in page.content.decode()
            assert "cannot be connected at the moment" in page.content.decode()
    assert client.get(address).status_code == 200
    assert client.post(address)["Location"] == f"{address}/connect"


# --- what is drawn ----------------------------------------------------------------------------------------------------


def test_secret_that_was_typed_is_never_drawn(workspace: Workspace, erp_server: TestErpServer) -> None:
    client, address = begun(workspace)
    wrong = {"base_url": erp_server.base_url, "api_key": CANARY, "fiscal_year": "soon"}
    pages = [text(client.post(f"{address}/connect", wrong), 422)]
    assert "Fiscal year must be a whole number." in pages[0]
    pages.append(text(client.post(f"{address}/connect", {**wrong, "fiscal_year": "2026"}), 422))
    assert "Nothing was stored" in pages[1]
    pages.append(text(client.get(f"{address}/connect")))
    for page in pages:
        assert CANARY not in page and 'type="password"' in page and 'autocomplete="off"' in page
    assert CANARY not in str(client.cookies)
    with scopes_disabled():
        assert LinkSecret.objects.count() == 0


def test_fields_when_wrong_then_each_is_told_at_its_place() -> None:
    declared = (
        Url("base_url"),
        Secret("key"),
        Integer("year", required=False),
        Boolean("old", default=True),
        Text("site"),
    )
    form = SignInForm(declared, {"base_url": "https://erp.example"}, {"year": " 2026 ", "key": CANARY, "site": ""})

    assert form.values() == ({"year": 2026, "old": False}, {"key": CANARY})
    assert CANARY not in form.as_p()
    fresh = SignInForm(declared, {"base_url": "https://erp.example"})
    assert fresh["base_url"].value() == "https://erp.example" and fresh["old"].value() is True


def row(asked: str = "read_write", **may: bool | None) -> Row:
    return Row("vendor", "Vendors", asked, **{"read": True, "create": None, "update": None, "delete": None, **may})


def test_permissions_are_told_in_words() -> None:
    (line,) = permissions([row(create=True, update=False)])
    assert [cell.text for cell in line.cells] == ["Yes", "Yes", "No", "Not known"]
    (line,) = permissions([row("read", create=True)])
    assert [cell.text for cell in line.cells] == ["Yes", "Not asked", "Not asked", "Not asked"]


@pytest.mark.parametrize(
    ("asked", "may", "held", "options", "preset"),
    [
        ("read_write", {}, None, ["nothing", "read", "read_write"], "read_write"),
        ("read", {"create": True}, None, ["nothing", "read"], "read"),
        ("read_write", {"read": False}, None, ["nothing"], "nothing"),
        ("read_write", {"create": False, "update": False, "delete": False}, None, ["nothing", "read"], "read"),
        ("read_write", {}, {"vendor": "read"}, ["nothing", "read", "read_write"], "read"),
        ("read_write", {}, {}, ["nothing", "read", "read_write"], "nothing"),
        ("read", {}, {"vendor": "read_write"}, ["nothing", "read"], "read"),
    ],
)
def test_shares_are_never_more_than_asked_or_possible(
    asked: str, may: dict[str, Any], held: Any, options: list[str], preset: str
) -> None:
    (share,) = shares([row(asked, **may)], held)

    assert [value for value, _ in share.options] == options and share.preset == preset


def test_more_than_asked_is_refused_when_sent_by_hand(workspace: Workspace, erp_server: TestErpServer) -> None:
    client, address = signed_to_the_erp(workspace, erp_server, entities={"purchase_order": "read"})
    page = text(client.post(f"{address}/share", {"purchase_order": "read_write", "vendor": "read"}), 422)

    assert "This was not asked for" in page
    assert "Raw calls" not in page
    with scopes_disabled():
        assert not Connection.objects.exists()


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


@pytest.mark.parametrize(("given", "shared"), [(True, True), (False, False)])
def test_renewal_when_raw_calls_are_let_through_then_the_customer_is_asked_again(workspace, erp_server, given, shared):
    connection = connect(erp_server, workspace=workspace)
    client, address = begun(workspace, system="", connection=connection)
    client.post(f"{address}/connect", {"base_url": erp_server.base_url, "api_key": API_KEY, "site": "north"})
    page = client.get(f"{address}/share").content.decode()
    assert re.search(r'name="passthrough"[^>]*checked', page), "as it stands now"

    client.post(
        f"{address}/share", {"purchase_order": "read", "vendor": "read", **({"passthrough": "on"} if given else {})}
    )

    with scopes_disabled():
        assert Connection.objects.get().passthrough_shared is shared


# --- failures ---------------------------------------------------------------------------------------------------------


def test_what_only_the_operator_can_mend_is_not_told_to_the_customer(workspace: Workspace, settings: Any) -> None:
    settings.CONNECTORS = [*settings.CONNECTORS, *BEHIND_OAUTH]
    client, address = begun(workspace, system="oauth-erp")
    page = text(client.post(f"{address}/connect", {"base_url": "https://erp.example"}), 422)

    assert "for a reason that you cannot mend" in page and "Tell Nordring" in page
    assert "client" not in page.split("<main")[1].lower() and re.search(r"req_[0-9a-f]{32}", page)


def test_answer_of_a_system_that_nobody_waits_for_is_refused() -> None:
    for query in ("", "?state=x", "?state=x&code=y", "?error=access_denied", f"?state={'x' * 9000}", "?state=%00%ff"):
        page = text(Client().get(f"/link/oauth/callback{query}"), 400)
        assert "does not belong to this browser" in page


@pytest.mark.parametrize("token", ["x", "x" * 300, "%00", "..%2e", "%F0%9F%92%A9", "link.jsx"])
def test_token_that_is_none_is_a_page_of_its_own(token: str) -> None:
    for step in ("", "/connect", "/share"):
        assert "This link does not work" in text(Client().get(f"/link/{token}{step}"), 404)


# --- several tabs -----------------------------------------------------------------------------------------------------


@pytest.fixture
def two_systems(settings: Any) -> None:
    settings.CONNECTORS = ["tests.connectors.TestErp", "integrations.connectors.tryton.Tryton"]


def test_form_that_was_drawn_for_another_system_sends_its_password_nowhere(workspace, erp_server, two_systems):
    client, address = begun(workspace, system="")
    client.post(f"{address}/system", {"system": "tryton"})
    drawn = client.get(f"{address}/connect").content.decode()
    (of,) = re.findall(r'name="drawn-for" value="([^"]*)"', drawn)
    client.post(f"{address}/system", {"system": SLUG})

    answer = client.post(f"{address}/connect", {"drawn-for": of, "base_url": erp_server.base_url, "api_key": API_KEY})

    assert (of, answer["Location"]) == ("tryton", f"{address}/connect") and not erp_server.calls


def test_share_that_was_drawn_for_another_account_connects_nothing(workspace, erp_server):
    client, address = signed_to_the_erp(workspace, erp_server)
    (of,) = re.findall(r'name="drawn-for" value="([^"]+)"', client.get(f"{address}/share").content.decode())
    client.post(f"{address}/connect", {"base_url": erp_server.base_url, "api_key": API_KEY, "site": "south"})

    answer = client.post(f"{address}/share", {"drawn-for": of, "purchase_order": "read", "vendor": "read"})

    assert answer["Location"] == f"{address}/result"
    with scopes_disabled():
        assert not Connection.objects.exists()


# --- where it leads back ----------------------------------------------------------------------------------------------


@pytest.fixture
def returning(workspace: Workspace) -> Workspace:
    """One that registered where its pages lead back."""
    workspace.link_redirect_uris, workspace.link_origins = [RETURN], [ORIGIN]
    workspace.save(update_fields=["link_redirect_uris", "link_origins"])
    return workspace


def test_finish_when_the_answer_was_lost_then_the_same_browser_gets_it_again_until_the_code_is_taken(
    returning, erp_server
):
    client, address = signed_to_the_erp(returning, erp_server, redirect_uri=RETURN, state="s1")
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
        refused("CODE_UNKNOWN", linking.exchange, code, workspace=returning, environment="live", created_by="b")
    linking.exchange(codes[-1], workspace=returning, environment="live", created_by="b")

    assert client.post(f"{address}/share", choice).status_code == 410
    with scopes_disabled():
        assert Connection.objects.count() == 1 and LinkSession.objects.get().status == LinkStatus.EXCHANGED


def test_finish_when_its_code_is_late_then_no_other_is_given(returning, erp_server):
    client, address = signed_to_the_erp(returning, erp_server, redirect_uri=RETURN)
    client.post(f"{address}/share", {"purchase_order": "read", "vendor": "read"})
    with scopes_disabled():
        LinkSession.objects.update(code_expires_at=Now() - timedelta(seconds=1))
    assert client.post(f"{address}/share", {}).status_code == 410 == client.get(address).status_code


@pytest.mark.parametrize("end", ["share", "cancel"])
@pytest.mark.parametrize("registered", [True, False])
def test_end_when_the_owner_took_the_address_away_then_it_is_told_nothing(returning, erp_server, end, registered):
    client, address = signed_to_the_erp(returning, erp_server, redirect_uri=RETURN, origin=ORIGIN)
    if not registered:
        returning.link_redirect_uris, returning.link_origins = [], []
        returning.save(update_fields=["link_redirect_uris", "link_origins"])

    page = client.post(f"{address}/{end}", {"purchase_order": "read", "vendor": "read"})

    content = page.content.decode()
    assert page.status_code == 200 and (f'href="{RETURN}' in content) is (f'data-origin="{ORIGIN}"' in content)
    assert (ORIGIN in content) is registered
