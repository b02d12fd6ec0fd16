"""What is to be done, and when."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from core.ids import new_id
from core.scoping import scoped
from flows.choices import TriggerKind
from flows.querysets import FlowQuerySet, FlowVersionQuerySet
from workspaces.choices import Environment
from workspaces.models import Workspace


class Flow(models.Model):
    """A workflow: a draft that people edit, and the version that runs.

    Where its trigger stands (`next_due_at`, `position`) is kept here, so that a row lock makes one run of one cause.
    """

    PREFIX = "flow"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="flows")
    environment = models.CharField(max_length=4, choices=Environment.choices, default=Environment.LIVE)
    name = models.CharField(max_length=80, help_text="What people call it; one of a name in each environment.")
    description = models.CharField(max_length=500, blank=True)
    draft = models.JSONField(default=dict, help_text="The definition that is edited; it runs once it is published.")
    bindings = models.JSONField(
        default=dict, blank=True, help_text="Name of a connection in the definition -> id of the connection."
    )
    version = models.ForeignKey(
        "flows.FlowVersion", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    is_paused = models.BooleanField(default=False, help_text="Its trigger starts nothing until it is resumed.")
    trigger_kind = models.CharField(max_length=8, choices=TriggerKind.choices, blank=True, editable=False)
    next_due_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Of a schedule: the next time.")
    position = models.BigIntegerField(
        default=0, editable=False, help_text="Of an event trigger: up to which event of the feed it was looked at."
    )
    hinted_at = models.DateTimeField(null=True, blank=True, editable=False)
    trigger_error = models.JSONField(
        null=True, blank=True, editable=False, help_text="Why the trigger could not be judged last: code, message, at."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=160, blank=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = scoped(FlowQuerySet, workspace="workspace")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["workspace", "environment", "name"], name="one_flow_of_a_name")]
        indexes = [
            models.Index(fields=["next_due_at"], condition=Q(is_paused=False), name="flow_by_due_time"),
            models.Index(
                fields=["workspace", "environment"],
                condition=Q(is_paused=False, trigger_kind="event"),
                name="flow_that_follows",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class FlowVersion(models.Model):
    """A published definition with its bindings. Never changed: a run pins one.

    One without a number was never published: it holds a draft that a dry run tries out.
    """

    PREFIX = "fver"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: a draft, kept for its dry runs.")
    definition = models.JSONField()
    bindings = models.JSONField(default=dict)
    digest = models.CharField(max_length=64, help_text="Of definition and bindings; equal ones make no new version.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=160, blank=True)

    objects = scoped(FlowVersionQuerySet, workspace="workspace")

    class Meta:
        ordering = [models.F("number").desc(nulls_last=True)]
        constraints = [models.UniqueConstraint(fields=["flow", "number"], name="one_flow_version_of_a_number")]

    def __str__(self) -> str:
        return f"version {self.number}" if self.number is not None else "a draft"
