"""Whose page Link is: name, logo and colours of a workspace, and the screen where its owner sets them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_scopes import scopes_disabled

from connections.models import SystemLogo
from console.link.branding import brand_of, initials_of, theme_of
from console.link.colours import READABLE, as_text, contrast, text_on
from core.errors import ValidationFailedError
from core.images import image_type
from tests.connectors import TestErpServer, erp_connector, erp_server  # noqa: F401
from tests.link_browsing import begun, invite, signed_to_the_erp, text, workspace  # noqa: F401
from tests.tenants import make_person, signed_in
from workspaces.branding_form import fault_of_origin, fault_of_redirect
from workspaces.models import AuditEvent, Workspace

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20


# --- faces ------------------------------------------------------------------------------------------------------------


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


def test_page_does_not_read_the_logo(workspace):
    workspace.logo, workspace.logo_type = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20, "image/png"
    workspace.save()
    _, address = invite(workspace)
    client = Client()
    with CaptureQueriesContext(database) as queries:
        page = client.get(address)
    assert f"{address}/logo" in page.content.decode()
    assert not [each for each in queries.captured_queries if '"logo"' in each["sql"]]
    assert client.get(f"{address}/logo").content == bytes(workspace.logo)


# --- the owner's and the operator's screens ---------------------------------------------------------------------------


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


@pytest.mark.parametrize("character", ["😀", "𝐞"])
def test_address_when_browsers_would_read_it_differently_then_it_is_not_registered(character):
    assert fault_of_redirect(f"https://{character}.example/x") and fault_of_redirect(f"https://a.example/{character}")
    assert fault_of_origin(f"https://{character}.example")
