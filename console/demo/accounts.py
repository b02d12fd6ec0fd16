"""Who the demo is: a user, a workspace and a token. Made or renewed, so that it can run any number of times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django_scopes import scope, scopes_disabled

from workspaces.choices import USUAL_SCOPES, Environment, Role
from workspaces.models import ApiToken, Membership, Workspace
from workspaces.services import create_workspace
from workspaces.tokens import create_token, revoke_token

# Known to everybody: the demo refuses to run in production, and development listens on loopback only.
USER_NAME, PASSWORD = "demo", "lineshaft-demo"
SLUG, BY = "demo", "manage.py demo"


@dataclass(frozen=True)
class Accounts:
    """What a visitor signs in with."""

    user: str
    password: str
    token: str


@transaction.atomic
def prepare_accounts() -> Accounts:
    """Make the user (a superuser), the workspace and a new token. Tokens of earlier demos are revoked."""
    user = _user()
    workspace = _workspace(user)
    with scope(workspace=workspace.pk):
        for old in ApiToken.objects.filter(created_by=BY, revoked_at=None):
            revoke_token(token=old, revoked_by=BY)
        _, clear = create_token(
            workspace=workspace, name="Demo", scopes=USUAL_SCOPES, environment=Environment.TEST, created_by=BY
        )
    return Accounts(USER_NAME, PASSWORD, clear)


def _user() -> Any:
    users = get_user_model().objects
    user = users.filter(username=USER_NAME).first()
    if user is None:
        return users.create_superuser(USER_NAME, password=PASSWORD)
    if not (user.check_password(PASSWORD) and user.is_active and user.is_staff and user.is_superuser):
        user.set_password(PASSWORD)
        user.is_active = user.is_staff = user.is_superuser = True
        user.save()
    return user


def _workspace(user: Any) -> Workspace:
    with scopes_disabled():
        workspace: Workspace | None = Workspace.objects.filter(slug=SLUG).first()
        if workspace is None:
            return create_workspace(name="Demo", slug=SLUG, owner=user)
        Membership.objects.get_or_create(workspace=workspace, user=user, defaults={"role": Role.OWNER})
    return workspace
