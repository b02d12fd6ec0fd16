"""Tenants, who belongs to them, what their services may do, and what happened."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from core.ids import new_id
from core.scoping import scoped
from workspaces.choices import Environment, EventType, Role
from workspaces.querysets import EventQuerySet, MembershipQuerySet, TokenQuerySet, WorkspaceQuerySet


class Workspace(models.Model):
    """The tenant: a software vendor, or one team of it."""

    PREFIX = "ws"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=120, help_text="Shown to people.")
    slug = models.SlugField(max_length=60, unique=True, help_text="Short name for commands and addresses.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = scoped(WorkspaceQuerySet, workspace="pk")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's role in a workspace."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role.choices, default=Role.OPERATOR)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = scoped(MembershipQuerySet, workspace="workspace")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "user"], name="one_role_per_member")]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace}"


class ApiToken(models.Model):
    """A token of a service. Only a keyed digest of its secret is kept; the token itself is shown once.

    With `connection_id` it sees that connection alone. The connection is named by its id, since this room does not know
    the one above; a token whose connection is gone opens nothing.
    """

    PREFIX = "tok"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="tokens")
    connection_id = models.UUIDField(null=True, blank=True, db_index=True)
    environment = models.CharField(max_length=4, choices=Environment.choices, default=Environment.LIVE)
    name = models.CharField(max_length=120, help_text="What it is for, and where it is kept.")
    key = models.CharField(max_length=16, unique=True, editable=False, help_text="The public part of the token.")
    digest = models.BinaryField(max_length=32, editable=False)
    scopes = ArrayField(models.CharField(max_length=40), default=list, help_text="What it may do.")
    allowed_networks = ArrayField(
        models.CharField(max_length=64), default=list, blank=True, help_text="CIDR networks it may be used from."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=160, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Refused from then on (UTC).")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="To the minute.")

    objects = scoped(TokenQuerySet, workspace="workspace")

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name


class Feed(models.Model):
    """The last position given out in one environment of a workspace. Its row lock makes position order commit order."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="feeds")
    environment = models.CharField(max_length=4, choices=Environment.choices)
    position = models.BigIntegerField(default=0)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "environment"], name="one_feed_per_environment")]

    def __str__(self) -> str:
        return f"{self.workspace_id} at {self.position}"


class Event(models.Model):
    """Something that happened, written in the transaction of its cause.

    The database fills in `position`, also inside `body`, as the transaction's last act before it commits.
    """

    PREFIX = "evt"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="events")
    connection_id = models.UUIDField(null=True)
    environment = models.CharField(max_length=4, choices=Environment.choices)
    type = models.CharField(max_length=60, choices=EventType.choices)
    position = models.BigIntegerField(null=True)
    body = models.TextField(help_text="The frozen JSON that readers get.")
    created_at = models.DateTimeField(db_default=Now())

    objects = scoped(EventQuerySet, workspace="workspace")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "environment", "position"], name="one_event_per_position")
        ]
        indexes = [models.Index(fields=["created_at"], name="event_by_age")]

    def __str__(self) -> str:
        return f"{self.type} {self.position}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Events are written by `workspaces.events.emit` and never changed."""
        raise TypeError("Events are written by workspaces.events.emit.")
