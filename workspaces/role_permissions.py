"""Roles as Django permissions: what a member may see and change on the screens.

`user.has_perm("connections.change_connection", workspace_id)` asks for one workspace, without an object for any of them.
What a role may do by API stands beside it in `workspaces.roles`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.backends import ModelBackend
from django.db.models import Model
from django_scopes import scopes_disabled

from workspaces.choices import Role
from workspaces.models import Membership

ROOMS = frozenset({"workspaces", "connections", "webhooks", "syncs", "flows"})
_OF_OWNERS = frozenset({"workspaces.workspace", "workspaces.membership"})
_OF_AUDITORS = frozenset({"workspaces.auditevent"})
_OF_DEVELOPERS = frozenset({"workspaces.apitoken", "connections.systemsettings", "flows.flow"})
_OF_OPERATORS = frozenset({"connections.capabilityoverride"})


def permits(role: str, permission: str) -> bool:
    """Whether a role gives a permission such as "syncs.change_sync". Owners have all of their workspace's."""
    room, _, rest = permission.partition(".")
    action, _, model = rest.partition("_")
    if room not in ROOMS or not model:
        return False
    what = f"{room}.{model}"
    if role == Role.OWNER:
        return True
    if action == "view":
        return role == Role.AUDITOR or what not in _OF_AUDITORS
    if role == Role.AUDITOR or what in _OF_OWNERS:
        return False
    return what not in (_OF_OPERATORS if role == Role.DEVELOPER else _OF_DEVELOPERS)


def roles_of(user: Any) -> Mapping[UUID, str]:
    """The person's role by workspace, read once a request (the user's object lives no longer)."""
    found: Mapping[UUID, str] | None = getattr(user, "workspace_roles", None)
    if found is None:
        with scopes_disabled():
            found = dict(Membership.objects.filter(user_id=user.pk).values_list("workspace_id", "role"))
        user.workspace_roles = found
    return found


class RoleBackend(ModelBackend):
    """Signs people in by password; answers permissions by membership alone. Django's own groups play no part."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """`obj` is a workspace's id, or a row that has `workspace_id`."""
        if not user_obj.is_active or user_obj.is_anonymous:
            return False
        roles = roles_of(user_obj)
        if obj is None:
            return any(permits(role, perm) for role in roles.values())
        workspace_id = getattr(obj, "workspace_id", None) if isinstance(obj, Model) else obj
        role = roles.get(workspace_id) if workspace_id is not None else None
        return role is not None and permits(role, perm)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Whether anything of a room is open to the person."""
        return bool(user_obj.is_active and app_label in ROOMS and roles_of(user_obj))
