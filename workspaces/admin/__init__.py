"""Screens of this room: workspaces with their members, tokens, events; and the people of the installation."""

from workspaces.admin.audit import AuditEventAdmin
from workspaces.admin.events import EventAdmin
from workspaces.admin.keys import DataKeyAdmin
from workspaces.admin.prefixes import SecretPrefixAdmin
from workspaces.admin.tenants import UserAdmin, WorkspaceAdmin
from workspaces.admin.tokens import ApiTokenAdmin

__all__ = [
    "ApiTokenAdmin",
    "AuditEventAdmin",
    "DataKeyAdmin",
    "EventAdmin",
    "SecretPrefixAdmin",
    "UserAdmin",
    "WorkspaceAdmin",
]
