"""The Link pages as a server sees them: headers, cookies, forged requests, who may see what, and texts of failures."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django_scopes import scopes_disabled

from connections.choices import LinkStatus
from connections.models import Connection, LinkSecret, LinkSession, SystemLogo
from connections.services.linking import Row, create_link_session
from console.link.branding import brand_of, initials_of, theme_of
from console.link.colours import READABLE, as_text, contrast, text_on
from console.link.forms import SignInForm
from console.link.sharing import permissions, shares
from console.link.urls import urlpatterns
from core.errors import ValidationFailedError
from core.images import image_type
from integrations.sdk.declarations import Boolean, Integer, Secret, Text, Url
from tests.connectors import API_KEY, TestErpServer, erp_connector, erp_server  # noqa: F401
from tests.oauth.connector import CONNECTORS as BEHIND_OAUTH
from tests.tenants import make_person, make_workspace, signed_in
from workspaces.branding_form import fault_of_origin, fault_of_redirect
from workspaces.models import AuditEvent, Workspace

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20
CANARY = "canary-of-the-customer"


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


# --- who may go on ------------------------------------------------------------------------------------------------------

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


# --- what is drawn ------------------------------------------------------------------------------------------------------


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


# --- failures -----------------------------------------------------------------------------------------------------------


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


# --- faces --------------------------------------------------------------------------------------------------------------


def test_face_of_a_workspace_is_on_its_pages_also_on_the_last(workspace: Workspace, erp_server: TestErpServer) -> None:
    workspace.display_name, workspace.colour, workspace.logo, workspace.logo_type = (
        "Nordring AG",
        "#fde047",
        PNG,
        "image/png",
    )
    workspace.support_address, workspace.privacy_url = "help@nordring.example", "https://nordring.example/privacy"
    workspace.save()
    client, address = signed_to_the_erp(workspace, erp_server)
    done = text(client.post(f"{address}/share", {"purchase_order": "read", "vendor": "read"}))
    used = text(client.get(address), 410)

    for page in (done, used):
        assert "Nordring AG" in page and "mailto:help@nordring.example" in page and "/privacy" in page
        assert f'src="{address}/logo"' in page and f'href="{address}/theme.css"' in page
    assert "--brand:#fde047;--on-brand:#000000" in text(client.get(f"{address}/theme.css"))
    logo = client.get(f"{address}/logo")
    assert (logo.content, logo["Content-Type"]) == (PNG, "image/png") and "private" in logo["Cache-Control"]
    assert client.get("/link/unknown/theme.css").status_code == 404 == client.get("/link/unknown/logo").status_code


def test_face_that_is_not_set_is_plain() -> None:
    plain = Workspace(name="Acme Tools", support_address="javascript:alert(1)", privacy_url="http://x", colour="red;}")

    brand = brand_of(plain)
    assert (brand.name, brand.initials, brand.support_link, brand.privacy_url) == ("Acme Tools", "AT", "", "")
    assert theme_of(plain).startswith(":root{--brand:#0f766e;") and initials_of("") == "?"


def test_colours_stay_readable() -> None:
    for colour in ("#000000", "#ffffff", "#ffff00", "#1d4ed8", "#808080", "#ff0000", "#00ff00"):
        assert contrast(text_on(colour), colour) >= READABLE, colour
        for page in ("#ffffff", "#161b22"):
            assert contrast(as_text(colour, page), page) >= READABLE, (colour, page)
    assert as_text("#1d4ed8", "#ffffff") == "#1d4ed8" and round(contrast("#000000", "#ffffff")) == 21


# --- the owner's and the operator's screens -----------------------------------------------------------------------------


def branding(workspace: Workspace, **values: Any) -> dict[str, Any]:
    plain = {"name": workspace.name, "memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    return {**plain, **values}


def change(workspace: Workspace) -> str:
    return reverse("admin:workspaces_workspace_change", args=[workspace.pk])


def test_owner_sets_the_face_and_the_addresses(workspace: Workspace) -> None:
    client = signed_in(make_person("owner", workspace))
    values = {
        "display_name": "Nordring AG",
        "colour": "#1D4ED8",
        "support_address": "https://nordring.example/help",
        "privacy_url": "https://nordring.example/privacy",
        "logo_upload": SimpleUploadedFile("logo.svg", PNG, "image/svg+xml"),
        "link_redirect_uris": "https://app.example/linked?x=1\nhttp://localhost:8080/linked\n\nhttps://app.example/linked?x=1",
        "link_origins": "https://app.example\nhttp://127.0.0.1:8080",
    }
    response = client.post(change(workspace), branding(workspace, **values))
    assert response.status_code == 302, re.findall(r'class="[^"]*error[^"]*".{0,300}', response.content.decode())

    workspace.refresh_from_db()
    assert (workspace.colour, bytes(workspace.logo or b""), workspace.logo_type) == ("#1d4ed8", PNG, "image/png")
    assert workspace.link_redirect_uris == ["https://app.example/linked?x=1", "http://localhost:8080/linked"]
    assert workspace.link_origins == ["https://app.example", "http://127.0.0.1:8080"]
    assert "data:image/png;base64," in text(client.get(change(workspace)))
    client.post(change(workspace), branding(workspace, display_name="Nordring AG", remove_logo="on"))
    workspace.refresh_from_db()
    assert (workspace.logo, workspace.logo_type) == (None, "")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("colour", "red", "six digits"),
        ("support_address", "call me", "valid email address"),
        ("support_address", "https://", "https address"),
        ("privacy_url", "http://nordring.example/privacy", "https address"),
        ("privacy_url", "javascript:alert(1)", "valid URL"),
        ("logo_upload", SimpleUploadedFile("logo.png", b"<svg onload=alert(1)>", "image/png"), "PNG, JPEG or WebP"),
        ("logo_upload", SimpleUploadedFile("logo.png", PNG + b"\x00" * 200_000, "image/png"), "at most 200 kB"),
        ("link_redirect_uris", "https://app.example/ok\nhttp://app.example/plain", "must begin with https://"),
        ("link_origins", "https://app.example/", "without a slash"),
    ],
    ids=str,
)
def test_face_or_address_that_does_not_fit_is_refused(field: str, value: Any, told: str, workspace: Workspace) -> None:
    client = signed_in(make_person("owner", workspace))
    page = text(client.post(change(workspace), branding(workspace, **{field: value})))

    assert told in page
    workspace.refresh_from_db()
    assert workspace.logo is None and workspace.colour == "" and workspace.link_origins == []


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("https://app.example/linked", True),
        ("https://app.example", True),
        ("http://[::1]:3000/linked", True),
        ("https://app.example/linked#done", False),
        ("https://app.example/linked#", False),
        ("https://user@app.example/", False),
        ("https://app.example/a b", False),
        ("https://app.example\\@evil.example", False),
        ("//app.example/linked", False),
        ("javascript:alert(1)", False),
        ("https://app.example:99999/", False),
        ("https://bücher.example/", False),
        ("https://app.example/" + "x" * 500, False),
    ],
)
def test_redirect_address_is_judged(address: str, fits: bool) -> None:
    assert (fault_of_redirect(address) == "") is fits


@pytest.mark.parametrize(
    ("origin", "fits"),
    [
        ("https://app.example", True),
        ("https://app.example:8443", True),
        ("http://localhost:3000", True),
        ("https://app.example:443", False),
        ("https://App.example", False),
        ("https://app.example/path", False),
        ("https://app.example?x=1", False),
        ("http://app.example", False),
        ("null", False),
        ("*", False),
    ],
)
def test_origin_is_judged_as_browsers_write_it(origin: str, fits: bool) -> None:
    assert (fault_of_origin(origin) == "") is fits


def test_auditor_sees_the_face_and_no_field(workspace: Workspace) -> None:
    workspace.logo, workspace.logo_type = PNG, "image/png"
    workspace.save()
    page = text(signed_in(make_person("auditor", workspace)).get(change(workspace)))

    assert "data:image/png;base64," in page and "logo_upload" not in page and 'type="file"' not in page


def test_logo_of_a_system_is_uploaded_by_the_operator_and_shown(workspace: Workspace) -> None:
    operator = signed_in(make_person(is_superuser=True))
    add = reverse("admin:connections_systemlogo_add")
    wrong = {"system": "test-erp", "picture": SimpleUploadedFile("a.png", b"GIF89a", "image/png")}
    assert "PNG, JPEG or WebP" in text(operator.post(add, wrong))
    right = {
        "system": "test-erp",
        "picture": SimpleUploadedFile("a.webp", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/png"),
    }
    assert operator.post(add, right).status_code == 302

    assert SystemLogo.objects.get().image_type == "image/webp"
    client, address = begun(workspace, system="")
    assert "/link/systems/test-erp/logo" in text(client.get(f"{address}/system"))
    assert Client().get("/link/systems/test-erp/logo")["Content-Type"] == "image/webp"
    assert Client().get("/link/systems/tryton/logo").status_code == 404
    with scopes_disabled():
        assert AuditEvent.objects.filter(action="system_logo.added", object_id="test-erp").exists()
    for role in ("owner", "auditor"):
        assert signed_in(make_person(role, workspace)).get(add).status_code == 403


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(PNG, "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (b"RIFF0000WEBP", "image/webp")],
)
def test_picture_is_known_by_its_first_bytes(content: bytes, media_type: str) -> None:
    assert image_type(content) == media_type
    with pytest.raises(ValidationFailedError):
        image_type(b" " + content)
