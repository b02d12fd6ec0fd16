"""What administrators forbid."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from connections.choices import OverriddenOperation
from connections.models.connections import Connection
from core.ids import new_id
from core.scoping import scoped
from workspaces.models import Workspace


class CapabilityOverride(models.Model):
    """What an administrator forbade for one connection, though the system and its account allow it."""

    PREFIX = "cov"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, related_name="capability_overrides", db_index=False
    )
    entity = models.CharField(max_length=40)
    operation = models.CharField(max_length=8, choices=OverriddenOperation.choices)
    field = models.CharField(
        max_length=120, blank=True, help_text="That field alone (lines.quantity), or that action; empty: the whole."
    )
    reason = models.CharField(max_length=300, blank=True, help_text="Shown to whoever asks why.")
    created_by = models.CharField(max_length=160, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        ordering = ["entity", "operation", "field"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "entity", "operation", "field"], name="one_capability_override"
            )
        ]

    def __str__(self) -> str:
        return f"no {self.operation} of {self.entity}{f' {self.field}' if self.field else ''}"
