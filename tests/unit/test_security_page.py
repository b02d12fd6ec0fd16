"""The page "Security": each weakness is found, told with a way to mend it, and seen by who may see it alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_scopes import scopes_disabled

from connections.models import Connection
from tests.admin_pages import change, html, words
from tests.tenants import make_person, make_token, make_workspace, signed_in
from workspaces import audit
from workspaces.choices import AuditOutcome
from workspaces.models import ApiToken, Membership, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]
PAGE = "/admin/security/"
LONG_AGO = timedelta(days=120)


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


def sound_token(workspace: Workspace, name: str = "sound", **facts: Any) -> ApiToken:
    """Nothing is weak about it."""
    expires_at = timezone.now() + timedelta(days=30)
    return make_token(
        workspace,
        **{
            "name": name,
            "scopes": ["records:read"],
            "allowed_networks": ["203.0.113.0/24"],
            "expires_at": expires_at,
            **facts,
        },
    )[0]


def connection(workspace: Workspace, name: str, **values: Any) -> Connection:
    facts = {"system": "tryton", "health": "active", "config": {"base_url": "https://erp.example"}, **values}
    with scopes_disabled():
        return Connection.objects.create(workspace=workspace, name=name, **facts)


def page(workspace: Workspace, role: str = "owner") -> str:
    return words(signed_in(make_person(role, workspace)).get(PAGE))


def test_where_nothing_is_weak_it_says_so(workspace: Workspace) -> None:
    sound_token(workspace)
    connection(workspace, "Sound")
    assert "Nothing weak was found" in page(workspace)


def test_each_weakness_is_named_with_what_to_do(workspace: Workspace) -> None:
    with scopes_disabled():
        old = sound_token(workspace, "Old one")
        ApiToken.objects.filter(pk=old.pk).update(created_at=timezone.now() - LONG_AGO, last_used_at=timezone.now())
        unused = sound_token(workspace, "Unused one")
        ApiToken.objects.filter(pk=unused.pk).update(last_used_at=timezone.now() - LONG_AGO)
    sound_token(workspace, "Powerful one", scopes=["records:write"], allowed_networks=[])
    sound_token(workspace, "Endless one", expires_at=None)
    connection(workspace, "Plain one", config={"base_url": "http://erp.example"})
    store_down = {"code": "SECRET_STORE_DOWN", "message": "Vault does not answer."}
    connection(workspace, "Referring one", error=store_down)
    connection(workspace, "Keyless one", error={"code": "KEY_MISSING", "message": "The key k1 is missing."})
    audit.record("token.refused", workspace_id=workspace.pk, about=("token", "tok_1"), outcome=AuditOutcome.REFUSED)

    text = page(workspace)
    for name in ("Old", "Unused", "Powerful", "Endless", "Plain", "Referring", "Keyless"):
        assert f"{name} one" in text, name
    assert "Vault does not answer." in text and "token.refused" in text
    assert text.count("What to do:") == 8


def test_what_is_over_is_not_told(workspace: Workspace) -> None:
    with scopes_disabled():
        gone = sound_token(workspace, "Revoked one", expires_at=None, allowed_networks=[], scopes=["records:write"])
        ApiToken.objects.filter(pk=gone.pk).update(revoked_at=timezone.now(), created_at=timezone.now() - LONG_AGO)
    connection(workspace, "Ended", health="disconnected", config={"base_url": "http://erp.example"})
    connection(workspace, "A test system", environment="test", config={"base_url": "http://127.0.0.1:1"})
    assert "Nothing weak was found" in page(workspace)


def test_it_links_to_where_it_is_mended(workspace: Workspace) -> None:
    weak = sound_token(workspace, "Endless one", expires_at=None)
    assert f'href="{change(weak)}"' in html(signed_in(make_person("owner", workspace)).get(PAGE))


def test_members_see_their_own_workspaces_alone_and_only_some_roles(workspace: Workspace) -> None:
    sound_token(make_workspace("Other"), "Of somebody else", expires_at=None)
    assert "Of somebody else" not in page(workspace)
    assert "Nothing weak" in page(workspace, "auditor")
    for role in ("operator", "developer"):
        assert signed_in(make_person(role, workspace)).get(PAGE).status_code == 403
    assert signed_in(make_person()).get(PAGE).status_code == 403
    operator = signed_in(make_person(is_superuser=True))
    told = words(operator.get(PAGE))
    assert "Of somebody else" in told and "Operators who did not sign in" not in told, "this one signed in just now"


def test_queries_do_not_depend_on_the_rows(workspace: Workspace, django_assert_num_queries: Any) -> None:
    client = signed_in(make_person("owner", workspace))
    for number in range(2):
        sound_token(workspace, f"Endless {number}", expires_at=None)
    with django_assert_num_queries(12):
        client.get(PAGE)
    for number in range(40):
        sound_token(workspace, f"Endless more {number}", expires_at=None)
    with django_assert_num_queries(12):
        text = words(client.get(PAGE))
    assert "The first 20 of 42" in text


def test_it_tells_of_workspaces_alone_whose_audit_log_the_person_may_read(workspace: Workspace) -> None:
    other = make_workspace("Other")
    sound_token(workspace, "Mine", expires_at=None)
    sound_token(other, "Theirs", expires_at=None)
    person = make_person("owner", workspace)
    with scopes_disabled():
        Membership.objects.create(workspace=other, user=person, role="developer")
    text = words(signed_in(person).get(PAGE))
    assert "Mine" in text and "Theirs" not in text


@pytest.mark.parametrize(
    ("scopes", "networks"),
    [
        (["records.purchase_order:write"], []),
        (["systems:write"], []),
        (["records:write"], ["0.0.0.0/0"]),
        (["records:write"], ["203.0.113.0/24", "::/0"]),
    ],
)
def test_powerful_is_what_changes_anything_and_anywhere_is_every_network(
    workspace: Workspace, scopes: list[str], networks: list[str]
) -> None:
    sound_token(workspace, "Powerful one", scopes=scopes, allowed_networks=networks)
    assert "Powerful one" in page(workspace)


def test_an_address_in_capitals_is_not_encrypted_either(workspace: Workspace) -> None:
    connection(workspace, "Plain one", config={"base_url": "HTTP://erp.example"})
    assert "Plain one" in page(workspace)
