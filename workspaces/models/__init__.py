"""Tenants, who belongs to them, what their services may do, their secrets, and what happened."""

from workspaces.models.audit import AuditEvent
from workspaces.models.events import Event, Feed
from workspaces.models.history import MembershipHistory, WorkspaceHistory
from workspaces.models.secrets import DataKey, SecretPrefix, StoredSecret
from workspaces.models.tenants import Membership, Workspace
from workspaces.models.tokens import ApiToken

__all__ = [
    "ApiToken",
    "AuditEvent",
    "DataKey",
    "Event",
    "Feed",
    "Membership",
    "MembershipHistory",
    "SecretPrefix",
    "StoredSecret",
    "Workspace",
    "WorkspaceHistory",
]
