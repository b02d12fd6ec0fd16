"""The screens of this room, seen by its owner, members of other roles, strangers and the operator."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_scopes import scopes_disabled

from core import ids
from tests.tenants import api, emit_now, make_person, make_token, make_workspace, signed_in
from workspaces.choices import EventType
from workspaces.models import ApiToken, AuditEvent, Event, Membership, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]
TOKENS, NEW_TOKEN = "/admin/workspaces/apitoken/", "/admin/workspaces/apitoken/add/"


def change(row: Any) -> str:
    return reverse(f"admin:workspaces_{row._meta.model_name}_change", args=[row.pk])


def text(response: Any, status: int = 200) -> str:
    assert response.status_code == status, response
    content: str = response.content.decode()
    return content


def new_token(workspace: Workspace, **values: Any) -> dict[str, Any]:
    return {
        "workspace": str(workspace.pk),
        "name": "Order service",
        "environment": "live",
        "scopes": ["records:read"],
        "allowed_networks": "",
        **values,
    }


def members(*rows: dict[str, Any], initial: int = 0) -> dict[str, Any]:
    data = {"memberships-TOTAL_FORMS": str(len(rows)), "memberships-INITIAL_FORMS": str(initial)}
    for number, row in enumerate(rows):
        data |= {f"memberships-{number}-{name}": str(value) for name, value in row.items()}
    return data


def test_nobody_enters_without_signing_in() -> None:
    response = Client().get(TOKENS)

    assert response.status_code == 302 and response["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("role", ["owner", "developer"])
def test_token_is_made_and_shown_once(role: str) -> None:
    workspace = make_workspace()
    client = signed_in(make_person(role, workspace))
    assert "records:read" in text(client.get(NEW_TOKEN))

    networks = "127.0.0.0/8\n2001:db8::/32"
    response = client.post(NEW_TOKEN, new_token(workspace, allowed_networks=networks))

    shown = re.search(r"lsh_live_\w+", text(response))
    assert shown and "no-store" in response["Cache-Control"]
    assert api(shown[0]).get("/api/v1/tokens").status_code == 403, "it works, within its scope"
    with scopes_disabled():
        token = ApiToken.objects.get()
    assert token.allowed_networks == ["127.0.0.0/8", "2001:db8::/32"]
    assert token.created_by.startswith("person") and token.scopes == ["records:read"]
    for address in (change(token), TOKENS, "/admin/", f"{change(token)[: -len('change/')]}history/"):
        page = text(client.get(address))
        assert shown[0] not in page, "never again"
        assert shown[0] not in str(client.cookies) and shown[0] not in str(dict(client.session))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scopes": []}, "This field is required"),
        ({"scopes": ["everything"]}, "not one of the available choices"),
        ({"allowed_networks": "10.0.0.1/8"}, "Not a CIDR network"),
        ({"expires_at_0": "2001-01-01", "expires_at_1": "00:00"}, "expired from the start"),
    ],
)
def test_token_when_a_value_is_wrong_says_so_beside_it(values: dict[str, Any], message: str) -> None:
    workspace = make_workspace()
    client = signed_in(make_person("owner", workspace))

    assert message in text(client.post(NEW_TOKEN, new_token(workspace, **values)))
    with scopes_disabled():
        assert not ApiToken.objects.exists()


def test_token_keeps_all_but_its_name() -> None:
    workspace = make_workspace()
    token, clear = make_token(workspace, scopes=["records:read"])
    client = signed_in(make_person("developer", workspace))

    client.post(change(token), new_token(workspace, name="Renamed", scopes=["tokens:write"], environment="test"))

    token.refresh_from_db()
    assert (token.name, token.scopes, token.environment) == ("Renamed", ["records:read"], "live")
    assert api(clear).get("/api/v1/events").status_code == 403


def test_a_person_gives_no_scope_that_the_own_role_has_not() -> None:
    workspace = make_workspace()
    client = signed_in(make_person("developer", workspace))
    form = {
        "workspace": workspace.pk,
        "name": "Reader",
        "environment": "live",
        "scopes": ["records:read", "audit:read"],
    }
    refused = client.post("/admin/workspaces/apitoken/add/", form)
    assert refused.status_code == 200 and "audit:read, so it cannot give that" in text(refused)
    token, _ = make_token(workspace, scopes=["audit:read"])
    rotated = client.post(f"/admin/workspaces/apitoken/{token.pk}/rotate/", {"overlap": "0"}, follow=True)
    assert "more than your role" in text(rotated)
    with scopes_disabled():
        assert ApiToken.objects.count() == 1


def test_token_is_revoked_after_asking() -> None:
    workspace = make_workspace()
    token, clear = make_token(workspace)
    client = signed_in(make_person("developer", workspace))
    address = reverse("admin:workspaces_apitoken_revoke", args=[token.pk])
    page = text(client.get(change(token)))
    assert address in page and ">Active<" in page

    assert "Yes, revoke it" in text(client.get(address))
    assert api(clear).get("/api/v1/tokens").status_code == 200, "looking at the question changes nothing"
    assert "is revoked and refused from now on" in text(client.post(address, follow=True))
    assert api(clear).get("/api/v1/tokens").status_code == 401
    assert "was revoked before" in text(client.post(address, follow=True))


def test_auditor_reads_and_changes_nothing() -> None:
    workspace = make_workspace()
    token, clear = make_token(workspace)
    client = signed_in(make_person("auditor", workspace))

    assert token.name in text(client.get(TOKENS)) and "Renamed" not in text(client.get(change(token)))
    for address, data in [
        (NEW_TOKEN, new_token(workspace)),
        (change(token), {"name": "Renamed"}),
        (change(workspace), {"name": "Renamed", **members()}),
        (reverse("admin:workspaces_apitoken_revoke", args=[token.pk]), {}),
    ]:
        text(client.post(address, data), 403)
    text(client.get(NEW_TOKEN), 403)
    text(client.get(reverse("admin:workspaces_apitoken_revoke", args=[token.pk])), 403)
    assert api(clear).get("/api/v1/tokens").status_code == 200


def test_member_of_another_workspace_finds_nothing() -> None:
    workspace = make_workspace("Hidden")
    token, clear = make_token(workspace, name="hidden token")
    emit_now(workspace)
    with scopes_disabled():
        event = Event.objects.get()
    own = make_workspace("Own")
    client = signed_in(make_person("owner", own))

    for address in (
        TOKENS,
        "/admin/workspaces/event/",
        "/admin/workspaces/workspace/",
        NEW_TOKEN,
        f"{TOKENS}?q=hidden",
    ):
        assert "hidden token" not in (page := text(client.get(address))) and "Hidden" not in page
        assert str(workspace.pk) not in page
    for row in (token, event, workspace):
        text(client.get(change(row)), 404)
        text(client.post(change(row), {"name": "taken"}), 403 if row is event else 404)
        text(client.get(change(row).replace("/change/", "/history/")), 404)
        assert client.post(change(row).replace("/change/", "/delete/"), {"post": "yes"}).status_code in (403, 404)
    text(client.post(reverse("admin:workspaces_apitoken_revoke", args=[token.pk])), 404)
    assert "Select a valid choice" in text(client.post(NEW_TOKEN, new_token(workspace)))
    assert api(clear).get("/api/v1/tokens").status_code == 200


def test_role_counts_in_its_own_workspace_only() -> None:
    mine, audited = make_workspace("Mine"), make_workspace("Audited")
    person = make_person("owner", mine)
    with scopes_disabled():
        Membership.objects.create(workspace=audited, user=person, role="auditor")
    token, clear = make_token(audited)
    client = signed_in(person)

    assert "Audited" in text(client.get(TOKENS))
    text(client.post(reverse("admin:workspaces_apitoken_revoke", args=[token.pk])), 403)
    text(client.post(change(token), {"name": "Renamed"}), 403)
    text(client.post(change(audited), {"name": "Renamed", **members()}), 403)
    assert "Select a valid choice" in text(client.post(NEW_TOKEN, new_token(audited)))
    assert api(clear).get("/api/v1/tokens").status_code == 200
    assert "is made" in text(client.post(NEW_TOKEN, new_token(mine)))


def test_staff_without_membership_sees_nothing() -> None:
    workspace = make_workspace("Hidden")
    client = signed_in(make_person())

    page = text(client.get("/admin/"))
    assert "/admin/workspaces/" not in page and "Hidden" not in page
    for address in (TOKENS, NEW_TOKEN, "/admin/workspaces/event/", change(workspace)):
        assert client.get(address).status_code in (403, 404)


def test_owner_names_the_workspace_and_chooses_its_members() -> None:
    workspace = make_workspace()
    slug = workspace.slug
    owner, colleague = make_person("owner", workspace), make_person(is_staff=False)
    with scopes_disabled():
        own = {"id": Membership.objects.get().pk, "user": owner.username, "role": "owner"}
    client = signed_in(owner)
    assert f'value="{owner.username}"' in text(client.get(change(workspace)))

    rows = members(own, {"user": colleague.username, "role": "auditor"}, initial=1)
    assert client.post(change(workspace), {"name": "Renamed", "slug": "stolen", **rows}).status_code == 302

    workspace.refresh_from_db()
    colleague.refresh_from_db()
    assert (workspace.name, workspace.slug, colleague.is_staff) == ("Renamed", slug, True)
    assert "Renamed" in text(signed_in(colleague).get("/admin/workspaces/workspace/"))
    rows = members(own, {"user": "nobody-of-this-name", "role": "owner"}, initial=1)
    assert "There is no such user" in text(client.post(change(workspace), {"name": "Renamed", **rows}))


def test_list_of_users_is_shown_to_the_operator_alone() -> None:
    workspace = make_workspace()
    stranger = make_person()
    client = signed_in(make_person("owner", workspace))

    assert stranger.username not in text(client.get(change(workspace)))
    text(client.get("/admin/auth/user/"), 403)
    operator = signed_in(make_person(is_superuser=True))
    assert stranger.username in text(operator.get("/admin/auth/user/"))
    assert text(operator.get("/admin/auth/user/add/")) and text(operator.get(f"/admin/auth/user/{stranger.pk}/change/"))


def test_operator_of_the_installation_sees_and_makes_all() -> None:
    workspace = make_workspace("Theirs")
    token, _ = make_token(workspace)
    client = signed_in(make_person(is_superuser=True))

    assert "Theirs" in text(client.get(TOKENS)) and token.name in text(client.get(change(token)))
    response = client.post("/admin/workspaces/workspace/add/", {"name": "New", "slug": "new", **members()})
    assert response.status_code == 302
    with scopes_disabled():
        assert Workspace.objects.filter(slug="new").exists() and get_user_model()._default_manager.count() == 1


def test_events_are_found_by_connection_and_type_and_never_changed() -> None:
    workspace, connection_id = make_workspace(), uuid4()
    emit_now(workspace, connection_id=connection_id, data={"note": "<b>first</b>"})
    emit_now(workspace, type=EventType.OFFLINE, data={"note": "second"})
    with scopes_disabled():
        first, second = Event.objects.order_by("position")
    client, address = signed_in(make_person("owner", workspace)), "/admin/workspaces/event/"

    for term in (str(ids.show("con", connection_id)), str(connection_id), connection_id.hex):
        page = text(client.get(address, {"q": term}))
        assert change(first) in page and change(second) not in page
    assert change(first) not in text(client.get(address, {"q": "nonsense"}))
    assert change(second) in (page := text(client.get(address, {"type__exact": "connection.offline"})))
    assert change(first) not in page
    assert "&lt;b&gt;first&lt;/b&gt;" in text(client.get(change(first)))
    for suffix, data in [("change", {"type": "sync.failed"}), ("delete", {"post": "yes"})]:
        text(client.post(change(first).replace("/change/", f"/{suffix}/"), data), 403)
    text(client.get(f"{address}add/"), 403)
    delete = {"action": "delete_selected", "_selected_action": [str(first.pk)], "post": "yes"}
    client.post(address, delete)
    with scopes_disabled():
        assert Event.objects.count() == 2


def test_token_states_are_told_by_badges() -> None:
    workspace = make_workspace()
    make_token(workspace)
    old, _ = make_token(workspace, expires_at=timezone.now() + timedelta(days=1))
    gone, _ = make_token(workspace)
    with scopes_disabled():
        ApiToken.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(days=1))
        ApiToken.objects.filter(pk=gone.pk).update(revoked_at=timezone.now())

    page = text(signed_in(make_person("auditor", workspace)).get(TOKENS))
    for word, colour in [("Active", "bg-green-100"), ("Expired", "bg-orange-100"), ("Revoked", "bg-red-100")]:
        assert re.search(rf"{colour}[^<]*>\s*(<[^>]*>\s*)*{word}", page), word


@pytest.mark.parametrize("address", [TOKENS, "/admin/workspaces/event/", "/admin/workspaces/workspace/"])
def test_lists_take_the_same_queries_however_long(
    address: str, django_assert_max_num_queries: Any, django_assert_num_queries: Any
) -> None:
    workspace = make_workspace()
    person = make_person("owner", workspace)
    client = signed_in(person)

    def fill(count: int) -> None:
        for number in range(count):
            make_token(workspace, name=f"t{number}")
            emit_now(workspace)
            with scopes_disabled():
                Membership.objects.create(workspace=make_workspace(), user=person, role="operator")

    fill(2)
    text(client.get(address))
    with django_assert_max_num_queries(8) as few:
        text(client.get(address))
    fill(20)
    with django_assert_num_queries(len(few)) as many:
        text(client.get(address))
    if "event" in address:
        assert not any("COUNT(*)" in query["sql"] for query in many.captured_queries)


def test_workspace_page_takes_the_same_queries_however_many_members(django_assert_num_queries: Any) -> None:
    workspace = make_workspace()
    client = signed_in(make_person("owner", workspace))
    text(client.get(change(workspace)))
    with django_assert_num_queries(5):
        text(client.get(change(workspace)))
    for _ in range(10):
        make_person("auditor", workspace)
    with django_assert_num_queries(5):
        text(client.get(change(workspace)))


def test_a_membership_is_not_handed_to_somebody_else() -> None:
    """It would be taken from the first without a word in the audit log, and the other could not enter."""
    workspace = make_workspace()
    owner, first, other = (
        make_person("owner", workspace),
        make_person("auditor", workspace),
        make_person(is_staff=False),
    )
    with scopes_disabled():
        rows = [
            {"id": Membership.objects.get(user=owner).pk, "user": owner.username, "role": "owner"},
            {"id": Membership.objects.get(user=first).pk, "user": other.username, "role": "operator"},
        ]
    sent = {"name": "Acme", **members(*rows, initial=2)}
    assert signed_in(owner).post(change(workspace), sent).status_code == 302
    with scopes_disabled():
        assert dict(Membership.objects.values_list("user_id", "role")) == {owner.pk: "owner", first.pk: "operator"}


def test_renaming_a_token_is_told() -> None:
    workspace = make_workspace()
    token, _ = make_token(workspace, name="Order service")
    assert signed_in(make_person("owner", workspace)).post(change(token), {"name": "Harmless"}).status_code == 302
    with scopes_disabled():
        event = AuditEvent.objects.get(action="token.renamed")
    assert event.object_id == ids.show("tok", token.pk)
    assert event.details == {"name": "Harmless", "before": "Order service"}


def test_the_tokens_of_who_leaves_end_for_good() -> None:
    workspace = make_workspace()
    owner, leaving = make_person("owner", workspace), make_person("developer", workspace)
    own, clear = make_token(workspace, person_id=leaving.pk)
    services = make_token(workspace)[1]
    with scopes_disabled():
        rows = [
            {"id": Membership.objects.get(user=owner).pk, "user": owner.username, "role": "owner"},
            {
                "id": Membership.objects.get(user=leaving).pk,
                "user": leaving.username,
                "role": "developer",
                "DELETE": "on",
            },
        ]
    sent = {"name": "Acme", **members(*rows, initial=2)}
    assert signed_in(owner).post(change(workspace), sent).status_code == 302

    with scopes_disabled():
        Membership.objects.create(workspace=workspace, user=leaving, role="developer")
        (event,) = AuditEvent.objects.filter(action="token.revoked")
    assert api(clear).get("/api/v1/tokens").status_code == 401, "also when they come back"
    assert api(services).get("/api/v1/tokens").status_code == 200
    assert (event.object_id, event.details["reason"]) == (ids.show("tok", own.pk), "its person left")
