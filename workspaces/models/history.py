"""What workspaces and memberships were, as the database copied it. Without the logo's bytes."""

from __future__ import annotations

from django.db import models

from core.history import history_of
from core.scoping import scoped
from workspaces.models.tenants import Membership, Workspace

WORKSPACE_SETTINGS = (
    "name", "slug", "display_name", "logo_type", "colour", "support_address", "privacy_url", "link_redirect_uris",
    "link_origins",
)  # fmt: skip
MEMBERSHIP_SETTINGS = ("workspace", "user", "role")


class WorkspaceHistory(history_of(Workspace, WORKSPACE_SETTINGS)):  # type: ignore[misc]
    """A workspace as it was."""

    objects = scoped(models.QuerySet, workspace="pgh_obj")


class MembershipHistory(history_of(Membership, MEMBERSHIP_SETTINGS)):  # type: ignore[misc]
    """A membership as it was."""

    objects = scoped(models.QuerySet, workspace="workspace")
