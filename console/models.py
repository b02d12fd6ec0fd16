"""What the home page counts, hour by hour, so that looking at it costs the same however much there is."""

from __future__ import annotations

from django.db import models

from connections.models import Connection
from core.scoping import scoped
from workspaces.choices import Environment
from workspaces.models import Workspace

COUNTED = (
    "runs", "failed_runs", "held_runs", "records_changed", "operations", "failed_operations", "flow_runs",
    "failed_flow_runs", "given_up",
)  # fmt: skip


class ActivityHour(models.Model):
    """What ended within one hour, as the feed tells it: of one connection, or of none."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    environment = models.CharField(max_length=4, choices=Environment.choices)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, null=True, related_name="+", db_index=False)
    starts_at = models.DateTimeField(help_text="Full hour, UTC.")
    runs = models.IntegerField(default=0, help_text="Sync runs that ended, however they did.")
    failed_runs = models.IntegerField(default=0)
    held_runs = models.IntegerField(default=0, help_text="Those that hold deletions for review.")
    records_changed = models.IntegerField(default=0, help_text="Created, updated or deleted in the copy.")
    operations = models.IntegerField(default=0, help_text="Writes that ended, however they did.")
    failed_operations = models.IntegerField(default=0, help_text="Refused, given up, or to be decided by a person.")
    flow_runs = models.IntegerField(default=0)
    failed_flow_runs = models.IntegerField(default=0)
    given_up = models.IntegerField(default=0, help_text="Webhook messages that were given up.")

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "environment", "connection", "starts_at"],
                nulls_distinct=False,
                name="one_activity_hour",
            )
        ]
        indexes = [
            models.Index(fields=["connection", "starts_at"], name="activity_of_connection"),
            models.Index(fields=["starts_at"], name="activity_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H}:00"


class ActivityCursor(models.Model):
    """Up to which event of a feed the hours are counted."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    environment = models.CharField(max_length=4, choices=Environment.choices)
    position = models.BigIntegerField(default=0)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "environment"], name="one_activity_cursor")]

    def __str__(self) -> str:
        return f"{self.workspace_id} at {self.position}"
