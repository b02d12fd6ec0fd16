"""Named ways to select this room's rows."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class WorkspaceQuerySet(models.QuerySet[Any]):
    """Selections of workspaces."""

    def of_member(self, user: Any) -> WorkspaceQuerySet:
        """Those the person belongs to; all of them for a superuser."""
        return self if user.is_superuser else self.filter(memberships__user=user)


class MembershipQuerySet(models.QuerySet[Any]):
    """Selections of memberships."""


class TokenQuerySet(models.QuerySet[Any]):
    """Selections of tokens."""

    def usable(self) -> TokenQuerySet:
        """Neither revoked nor expired, by the database's clock."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), revoked_at=None)


class EventQuerySet(models.QuerySet[Any]):
    """Selections of events."""

    def after(self, position: int) -> EventQuerySet:
        """Later than a position, in commit order."""
        return self.filter(position__gt=position).order_by("position")


class AuditQuerySet(models.QuerySet[Any]):
    """Selections of audit events."""

    def about(self, object_id: str) -> AuditQuerySet:
        """Those of one object, by the id the API shows."""
        return self.filter(object_id=object_id)
