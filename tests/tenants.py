"""Small factories of workspaces, people, tokens and events."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django_scopes import scope, scopes_disabled

from tests.clients import browser_of, fresh_client
from workspaces import events
from workspaces.choices import EventType, Scope
from workspaces.models import ApiToken, Membership, Workspace
from workspaces.tokens import create_token

_numbers = itertools.count(1)


def make_workspace(name: str = "Acme") -> Workspace:
    """A workspace with a slug of its own."""
    with scopes_disabled():
        return Workspace.objects.create(name=name, slug=f"{name.lower()}-{next(_numbers)}")


def make_person(role: str | None = None, workspace: Any = None, **facts: Any) -> Any:
    """A staff user, a member when a role is given."""
    user = get_user_model()._default_manager.create_user(f"person{next(_numbers)}", **{"is_staff": True, **facts})
    if role is not None:
        with scopes_disabled():
            Membership.objects.create(workspace=workspace, user=user, role=role)
    return user


def make_token(workspace: Workspace, *, scopes: Any = tuple(Scope.values), **facts: Any) -> tuple[ApiToken, str]:
    """A live token with all scopes unless told."""
    with scope(workspace=workspace.pk):
        values = {"name": "service", "environment": "live", **facts}
        return create_token(workspace=workspace, scopes=scopes, **values)


def api(clear: str | None) -> Client:
    """A client that sends this token."""
    headers = {"Authorization": f"Bearer {clear}"} if clear else {}
    return fresh_client(headers=headers)


def signed_in(user: Any) -> Client:
    """A browser in which the person is signed in."""
    return browser_of(user, raise_request_exception=True)


def emit_now(
    workspace: Workspace, *, environment: str = "live", connection_id: UUID | None = None, **facts: Any
) -> UUID:
    """An event, numbered at once as at its commit."""
    type = facts.pop("type", EventType.SYNC_COMPLETED)
    event_id = events.emit(
        type,
        workspace_id=workspace.pk,
        environment=environment,
        connection_id=connection_id,
        data=facts.pop("data", {}),
        **facts,
    )
    connection.check_constraints()
    return event_id
