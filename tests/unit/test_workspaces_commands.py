"""The commands an operator types."""

from __future__ import annotations

import io
import json
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django_scopes import get_scope, scopes_disabled

from core import ids
from tests.tenants import api, make_person, make_token, make_workspace, signed_in
from workspaces import tokens
from workspaces.choices import USUAL_SCOPES
from workspaces.models import Membership, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]


def run(*arguments: str) -> tuple[str, str]:
    """What a command said on standard output and beside it."""
    output, beside = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=output, stderr=beside)
    return output.getvalue().strip(), beside.getvalue()


def test_create_workspace_with_an_owner_who_may_enter() -> None:
    person = make_person(is_staff=False)

    shown, slug = run("create_workspace", "Acme Plant Software", "--owner", person.username)[0].split()

    assert slug == "acme-plant-software"
    with scopes_disabled():
        assert ids.show("ws", Workspace.objects.get(name="Acme Plant Software").pk) == shown
        assert Membership.objects.get().role == "owner"
    assert signed_in(person).get("/admin/workspaces/workspace/").status_code == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Acme", "--slug", "taken"], "already"),
        (["Acme", "--slug", "no spaces please"], "slug"),
        (["工場"], "--slug"),
        ([" "], "name"),
        (["Acme", "--owner", "nobody"], "no user nobody"),
    ],
)
def test_create_workspace_when_it_cannot_be_says_why(arguments: list[str], message: str) -> None:
    with scopes_disabled():
        Workspace.objects.create(name="First", slug="taken")

    with pytest.raises(CommandError, match=message):
        run("create_workspace", *arguments)


def test_create_token_prints_the_token_alone() -> None:
    workspace = make_workspace()

    output, beside = run("create_token", workspace.slug, "demo", "--scope", "records:read", "--scope", "tokens:write")

    token = tokens.authenticate(output, address=None)
    assert (token.scopes, token.workspace_id) == (["records:read", "tokens:write"], workspace.pk)
    assert "cannot be shown again" in beside and output not in beside
    assert api(output).get("/api/v1/tokens").status_code == 200


def test_create_token_as_json_takes_every_option() -> None:
    workspace, connection = make_workspace(), ids.show("con", uuid4())
    shown = ids.show("ws", workspace.pk)
    options = f"--all-scopes --environment test --expires-days 30 --connection {connection} --network 10.0.0.0/8 --json"

    made = json.loads(run("create_token", str(shown), "demo", *options.split())[0])

    assert made["token"].startswith("lsh_test_") and set(made["scopes"]) == set(USUAL_SCOPES)
    assert (made["connection"], made["environment"], made["workspace"]) == (connection, "test", shown)
    assert made["expires_at"] and made["allowed_networks"] == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "demo", "--all-scopes"], "no workspace nowhere"),
        (["{slug}", "demo"], "required"),
        (["{slug}", "demo", "--scope", "everything"], "invalid choice"),
        (["{slug}", "demo", "--all-scopes", "--connection", "x"], "con_"),
        (["{slug}", "demo", "--all-scopes", "--expires-days", "0"], "expires-days"),
        (["{slug}", "demo", "--all-scopes", "--network", "10.0.0.1/8"], "CIDR"),
    ],
)
def test_create_token_when_an_argument_is_wrong_says_so(arguments: list[str], message: str) -> None:
    workspace = make_workspace()

    with pytest.raises(CommandError, match=message):
        run("create_token", *(argument.format(slug=workspace.slug) for argument in arguments))


@pytest.mark.parametrize("by", ["id", "key"])
def test_revoke_token(by: str) -> None:
    token, clear = make_token(make_workspace())
    name = str(ids.show("tok", token.pk)) if by == "id" else token.key

    assert "is revoked" in run("revoke_token", name)[0]
    assert api(clear).get("/api/v1/tokens").status_code == 401
    assert "was revoked before" in run("revoke_token", name)[0]


def test_revoke_token_when_there_is_none_says_so() -> None:
    with pytest.raises(CommandError, match="no token"):
        run("revoke_token", "tok_nonsense")


def test_commands_leave_no_scope_open() -> None:
    workspace = make_workspace()
    run("create_token", workspace.slug, "demo", "--all-scopes")
    assert get_scope() == {}
