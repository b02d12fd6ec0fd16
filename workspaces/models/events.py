"""The event feed."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Now

from core.ids import new_id
from core.scoping import scoped
from workspaces.choices import Environment, EventType
from workspaces.models.tenants import Workspace
from workspaces.querysets import EventQuerySet


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
