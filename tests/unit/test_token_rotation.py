"""Tokens rotated: both work during the overlap, one after it, and nobody gets more by it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection as database
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from core import ids
from core.errors import ConflictError, ValidationFailedError
from tests.tenants import api, make_person, make_token, make_workspace, signed_in
from workspaces import tokens
from workspaces.choices import Scope
from workspaces.models import ApiToken, AuditEvent, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]
TOKENS, JSON = "/api/v1/tokens", "application/json"
HOUR, DAY, WEEK = 3600, 86_400, 604_800


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


def rotate(token: ApiToken, overlap_seconds: int = HOUR, **facts: Any) -> tuple[ApiToken, str]:
    with scope(workspace=token.workspace_id):
        return tokens.rotate_token(token=token, overlap_seconds=overlap_seconds, by="test", **facts)


def status_of(clear: str) -> int:
    return api(clear).get(TOKENS).status_code


def post(clear: str, token: ApiToken, body: Any = None) -> Any:
    address = f"{TOKENS}/{ids.show('tok', token.pk)}/rotate"
    return api(clear).post(address, {"overlap_seconds": HOUR} if body is None else body, content_type=JSON)


def let_pass(token: ApiToken, seconds: float) -> None:
    """As if it had been rotated that much earlier."""
    with scopes_disabled():
        row = ApiToken.objects.get(pk=token.pk)
        ApiToken.objects.filter(pk=row.pk).update(expires_at=row.expires_at - timedelta(seconds=seconds))


def code_of(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize("overlap", [HOUR, DAY, WEEK])
def test_rotate_when_overlapping_then_both_work_and_afterwards_one(workspace: Workspace, overlap: int) -> None:
    old, clear = make_token(workspace)

    new, new_clear = rotate(old, overlap)

    assert (status_of(clear), status_of(new_clear)) == (200, 200)
    assert old.expires_at is not None and old.revoked_at is None
    assert abs((old.expires_at - timezone.now()).total_seconds() - overlap) < 10
    let_pass(old, overlap - 20)
    assert (status_of(clear), status_of(new_clear)) == (200, 200)
    let_pass(old, 30)
    assert (status_of(clear), status_of(new_clear)) == (401, 200)
    assert new.replaces_id == old.pk and new.expires_at is None


def test_rotate_without_an_overlap_ends_the_old_one_now(workspace: Workspace) -> None:
    old, clear = make_token(workspace)

    _, new_clear = rotate(old, 0)

    assert old.revoked_at is not None
    assert (status_of(clear), status_of(new_clear)) == (401, 200)


def test_rotate_copies_what_the_old_one_might_do(workspace: Workspace) -> None:
    person = make_person("owner", workspace)
    old, _ = make_token(
        workspace,
        name="Order service",
        scopes=["records:read", "passthrough:read"],
        environment="test",
        connection_id=uuid4(),
        allowed_networks=["10.0.0.0/8"],
        person_id=person.pk,
    )
    with scopes_disabled():
        ApiToken.objects.filter(pk=old.pk).update(rate_limit_per_minute=7)

    new, clear = rotate(old)

    same = ("name", "scopes", "environment", "connection_id", "allowed_networks", "person_id", "workspace_id")
    assert [getattr(new, name) for name in same] == [getattr(old, name) for name in same]
    assert new.rate_limit_per_minute == 7 and new.key != old.key and clear.startswith(f"lsh_test_{new.key}_")


def test_rotate_never_lengthens_the_life_of_the_old_one(workspace: Workspace) -> None:
    soon = timezone.now() + timedelta(minutes=5)
    old, _ = make_token(workspace, expires_at=soon)

    new, _ = rotate(old, WEEK)

    assert old.expires_at == soon
    assert new.expires_at is not None and abs((new.expires_at - soon).total_seconds()) < 10, "it lives as long"


def test_rotate_with_an_expiry_gives_it_to_the_new_one(workspace: Workspace) -> None:
    wanted = timezone.now() + timedelta(days=90)

    assert rotate(make_token(workspace)[0], expires_at=wanted)[0].expires_at == wanted


@pytest.mark.parametrize("facts", [{"overlap_seconds": 60}, {"expires_at": timezone.now() - timedelta(days=1)}])
def test_rotate_when_a_value_is_wrong_changes_nothing(workspace: Workspace, facts: dict[str, Any]) -> None:
    old, _ = make_token(workspace)

    with pytest.raises(ValidationFailedError):
        rotate(old, **facts)
    with scopes_disabled():
        assert ApiToken.objects.get().expires_at is None


def test_rotate_twice_is_a_conflict_which_names_the_new_one(workspace: Workspace) -> None:
    old, _ = make_token(workspace)
    new, _ = rotate(old)

    for _ in range(2):
        with pytest.raises(ConflictError, match=str(ids.show("tok", new.pk))) as caught:
            rotate(old)
        assert caught.value.code == "TOKEN_ALREADY_ROTATED"
    rotate(new)


@pytest.mark.parametrize("end", ["revoked_at", "expires_at"])
def test_rotate_of_an_ended_token_is_a_conflict(workspace: Workspace, end: str) -> None:
    old, _ = make_token(workspace)
    with scopes_disabled():
        ApiToken.objects.filter(pk=old.pk).update(**{end: timezone.now()})

    with pytest.raises(ConflictError) as caught:
        rotate(old)
    assert caught.value.code == "TOKEN_NOT_ACTIVE"


def test_rotate_is_an_audit_event_without_the_token(workspace: Workspace) -> None:
    old, clear = make_token(workspace)
    made = post(clear, old).json()

    with scopes_disabled():
        event = AuditEvent.objects.get(action="token.rotated")
    assert (event.object_id, event.details["new"]) == (ids.show("tok", old.pk), made["id"])
    assert (event.actor_kind, event.token_id, event.details["overlap_seconds"]) == ("token", old.pk, HOUR)
    assert made["token"][-38:] not in str(event.details)


# --- at the same time -------------------------------------------------------------------------------------------------


def in_a_thread(work: Any) -> Any:
    try:
        return work()
    finally:
        database.close()


@pytest.mark.django_db(transaction=True)
def test_rotate_by_many_at_once_makes_one(workspace: Workspace) -> None:
    old, _ = make_token(workspace)

    def attempt(_: int) -> str:
        try:
            in_a_thread(lambda: rotate(old))
        except ConflictError as error:
            return error.code
        return "made"

    with ThreadPoolExecutor(4) as pool:
        told = sorted(pool.map(attempt, range(4)))

    assert told == ["TOKEN_ALREADY_ROTATED"] * 3 + ["made"]
    with scopes_disabled():
        assert ApiToken.objects.filter(replaces_id=old.pk).count() == 1


@pytest.mark.django_db(transaction=True)
def test_revocation_by_another_process_is_effective_within_a_second(workspace: Workspace) -> None:
    token, clear = make_token(workspace)
    assert status_of(clear) == 200

    def revoke() -> None:
        with scope(workspace=workspace.pk):
            tokens.revoke_token(token=ApiToken.objects.get(pk=token.pk))

    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(in_a_thread, revoke).result()
    assert status_of(clear) == 401
    assert time.monotonic() - started < 1


@pytest.mark.django_db(transaction=True)
def test_rotate_while_the_connection_is_ended_leaves_no_token(workspace: Workspace) -> None:
    """Whoever comes first, the other waits for the end of its transaction: here the disconnection, not yet committed."""
    connection_id = uuid4()
    old, clear = make_token(workspace, connection_id=connection_id)
    with ThreadPoolExecutor(1) as pool:
        with scope(workspace=workspace.pk), transaction.atomic():
            assert tokens.revoke_connection_tokens(connection_id=connection_id) == 1
            rotation = pool.submit(in_a_thread, lambda: rotate(old))
            assert not rotation.done()
        with pytest.raises(ConflictError) as caught:
            rotation.result(timeout=10)

    assert caught.value.code == "TOKEN_NOT_ACTIVE" and status_of(clear) == 401
    with scopes_disabled():
        assert ApiToken.objects.count() == 1


# --- by API -----------------------------------------------------------------------------------------------------------


def test_post_rotate_shows_the_new_token_once_and_tells_of_the_old_one(workspace: Workspace) -> None:
    old, clear = make_token(workspace)

    response = post(clear, old)

    made = response.json()
    assert response.status_code == 201 and response["Cache-Control"] == "no-store", made
    assert response["Location"] == f"{TOKENS}/{made['id']}"
    assert made["token"].startswith(made["prefix"]) and made["replaces"] == ids.show("tok", old.pk)
    assert made["replaced"]["id"] == made["replaces"] and made["replaced"]["expires_at"] is not None
    shown = api(made["token"]).get(response["Location"]).json()
    left_out = ("token", "replaced", "last_used_at")
    assert {**shown, "last_used_at": None} == {
        **{name: value for name, value in made.items() if name not in left_out},
        "last_used_at": None,
    }
    assert code_of(post(clear, old)) == (409, "TOKEN_ALREADY_ROTATED")


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 422, "/overlap_seconds"),
        ({"overlap_seconds": 60}, 422, "/overlap_seconds"),
        ({"overlap_seconds": HOUR, "scopes": ["records:read"]}, 400, "/scopes"),
        ({"overlap_seconds": HOUR, "expires_at": "2001-01-01T00:00:00Z"}, 422, "/expires_at"),
    ],
)
def test_post_rotate_when_the_body_is_wrong_says_where(
    workspace: Workspace, body: Any, status: int, pointer: str
) -> None:
    old, clear = make_token(workspace)

    response = post(clear, old, body)

    assert response.status_code == status
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


def test_post_rotate_never_gives_more_than_the_caller_has(workspace: Workspace) -> None:
    own = {"scopes": ["tokens:write", "records:read"], "allowed_networks": ["127.0.0.0/8"]}
    me, clear = make_token(workspace, **own)
    narrow, _ = make_token(workspace, scopes=["records.vendor:read"], allowed_networks=["127.0.0.1/32"])
    for facts, code in [
        ({**own, "scopes": ["records:write"]}, "MISSING_SCOPE"),
        ({**own, "scopes": ["passthrough:read"]}, "MISSING_SCOPE"),
        ({**own, "allowed_networks": []}, "NETWORK_NOT_ALLOWED"),
        ({**own, "allowed_networks": ["10.0.0.0/8"]}, "NETWORK_NOT_ALLOWED"),
        ({**own, "person_id": make_person("auditor", workspace).pk}, "TOKEN_OF_A_PERSON"),
    ]:
        other, _ = make_token(workspace, **facts)
        assert code_of(post(clear, other)) == (403, code)
        with scopes_disabled():
            assert ApiToken.objects.get(pk=other.pk).expires_at is None
    assert post(clear, narrow).status_code == 201
    assert post(clear, me).status_code == 201, "always itself"


def test_post_rotate_of_a_token_that_is_not_visible_is_404(workspace: Workspace) -> None:
    _, clear = make_token(workspace, connection_id=uuid4())
    others = [make_token(make_workspace())[0], make_token(workspace)[0], make_token(workspace, environment="test")[0]]

    assert [post(clear, other).status_code for other in others] == [404] * 3
    reader, reading = make_token(workspace, scopes=[name for name in Scope.values if name != "tokens:write"])
    assert post(reading, reader).json()["required_scope"] == "tokens:write"


# --- in the admin -----------------------------------------------------------------------------------------------------


def page(response: Any, status: int = 200) -> str:
    assert response.status_code == status
    return response.content.decode()


def test_admin_rotates_after_asking_and_shows_the_new_token_once(workspace: Workspace) -> None:
    old, clear = make_token(workspace, name="Order service")
    browser = signed_in(make_person("owner", workspace))
    address = reverse("admin:workspaces_apitoken_rotate", args=[old.pk])
    assert "Rotate" in page(browser.get(reverse("admin:workspaces_apitoken_change", args=[old.pk])))
    asked = page(browser.get(address))
    assert "Order service" in asked and "24 hours" in asked and old.key in asked

    response = browser.post(address, {"overlap": HOUR})

    with scopes_disabled():
        new = ApiToken.objects.get(replaces_id=old.pk)
    told = page(response)
    assert "no-store" in response["Cache-Control"] and "works until" in told
    new_clear = told[(start := told.index(f"lsh_live_{new.key}_")) : start + 60]
    assert (status_of(clear), status_of(new_clear)) == (200, 200)
    changed = page(browser.get(reverse("admin:workspaces_apitoken_change", args=[old.pk])))
    assert f"replaced by lsh_live_{new.key}_" in changed and new_clear not in changed
    assert "rotated already" in page(browser.post(address, {"overlap": HOUR}, follow=True))


@pytest.mark.parametrize("overlap", ["", "60", "x"])
def test_admin_when_the_overlap_is_none_of_the_choices_asks_again(workspace: Workspace, overlap: str) -> None:
    old, _ = make_token(workspace)
    browser = signed_in(make_person("owner", workspace))

    told = page(browser.post(reverse("admin:workspaces_apitoken_rotate", args=[old.pk]), {"overlap": overlap}))

    assert "Rotate this token?" in told
    with scopes_disabled():
        assert ApiToken.objects.count() == 1


def test_admin_rotates_no_token_of_another_person_nor_for_who_may_only_look(workspace: Workspace) -> None:
    owner = make_person("owner", workspace)
    theirs, _ = make_token(workspace, person_id=owner.pk)
    address = reverse("admin:workspaces_apitoken_rotate", args=[theirs.pk])

    refused = page(signed_in(make_person("developer", workspace)).post(address, {"overlap": HOUR}, follow=True))
    assert "belongs to a person" in refused
    page(signed_in(make_person("auditor", workspace)).post(address, {"overlap": HOUR}), 403)
    page(signed_in(make_person("owner", make_workspace())).post(address, {"overlap": HOUR}), 404)
    with scopes_disabled():
        assert ApiToken.objects.count() == 1
    assert "is made" in page(signed_in(owner).post(address, {"overlap": HOUR}))
