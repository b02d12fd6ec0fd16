"""Screens of this room: workspaces with their members, tokens, events; and the people of the installation."""

from workspaces.admin.events import EventAdmin
from workspaces.admin.tenants import UserAdmin, WorkspaceAdmin
from workspaces.admin.tokens import ApiTokenAdmin

__all__ = ["ApiTokenAdmin", "EventAdmin", "UserAdmin", "WorkspaceAdmin"]
