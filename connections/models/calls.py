"""Calls to systems, kept for a while."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from connections.models.connections import Connection
from connections.querysets import CallQuerySet
from core.ids import new_id
from core.scoping import scoped
from workspaces.models import Workspace


class UpstreamCall(models.Model):
    """One call to a connection's system, kept for who looks for the reason of something. Kept 14 days.

    It belongs to a run that failed, to an operation, or to nothing: then somebody made it by passthrough. Runs and
    operations live in a room above and are named by their ids alone.
    """

    PREFIX = "call"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="upstream_calls", db_index=False)
    run_id = models.UUIDField(null=True, blank=True, help_text="The sync run it was made for.")
    operation_id = models.UUIDField(null=True, blank=True, help_text="The operation it was made for.")
    triggered_by = models.CharField(max_length=160, blank=True, help_text="Who asked for it, of a passthrough call.")
    position = models.PositiveIntegerField(help_text="Which call of its owner it was, from 1; gaps were not kept.")
    method = models.CharField(max_length=20)
    url = models.TextField(help_text="The address called, secrets cut.")
    status = models.PositiveIntegerField(null=True, blank=True, help_text="HTTP status; empty when no answer came.")
    error_code = models.CharField(max_length=60, blank=True, help_text="Why no answer came.")
    started_at = models.DateTimeField(help_text="By the clock of the machine that called.")
    elapsed_ms = models.FloatField(help_text="Until the whole answer was there, milliseconds.")
    request_bytes = models.BigIntegerField(help_text="Sent, headers included, before TLS.")
    response_bytes = models.BigIntegerField(help_text="Received, headers included, before TLS.")
    request_body = models.TextField(blank=True, help_text="At most 4,096 characters, secrets cut.")
    response_body = models.TextField(blank=True, help_text="At most 4,096 characters, secrets cut.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = scoped(CallQuerySet, workspace="workspace")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["run_id"], name="call_by_run", condition=Q(run_id__isnull=False)),
            models.Index(fields=["operation_id"], name="call_by_operation", condition=Q(operation_id__isnull=False)),
            models.Index(fields=["workspace", "id"], name="call_by_workspace"),
            models.Index(fields=["connection", "id"], name="call_by_connection"),
            models.Index(fields=["created_at"], name="call_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.status or self.error_code}"
