"""How entities are mapped."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from connections.models.connections import Connection
from connections.querysets import MappingQuerySet
from core.ids import new_id
from core.scoping import scoped
from workspaces.models import Workspace

REASON_CHARACTERS = 300


class Mapping(models.Model):
    """A frozen version of how one entity is mapped: the connector's default, or one connection's override.

    Rows never change once written: a change is a new version, so that a run can pin what it maps with.
    """

    PREFIX = "map"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, null=True, blank=True, related_name="mappings")
    system = models.CharField(max_length=60)
    entity = models.CharField(max_length=40)
    version = models.PositiveIntegerField()
    connector_version = models.CharField(max_length=20, blank=True, help_text="Of a default: which connector wrote it.")
    digest = models.CharField(max_length=64, help_text="Of the rows; equal rows make no new version.")
    is_current = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=160, blank=True)
    reason = models.CharField(
        max_length=REASON_CHARACTERS, blank=True, help_text="Why it was published, as the person put it."
    )
    restores = models.PositiveIntegerField(null=True, blank=True, help_text="The version whose rows it brings back.")

    objects = scoped(MappingQuerySet, workspace="workspace")

    class Meta:
        ordering = ["system", "entity", "-version"]
        constraints = [
            models.UniqueConstraint(
                fields=["system", "entity", "version"], condition=Q(connection=None), name="one_default_mapping_version"
            ),
            models.UniqueConstraint(
                fields=["connection", "entity", "version"],
                condition=~Q(connection=None),
                name="one_override_mapping_version",
            ),
            models.UniqueConstraint(
                fields=["system", "entity"],
                condition=Q(connection=None, is_current=True),
                name="one_current_default_mapping",
            ),
            models.UniqueConstraint(
                fields=["connection", "entity"],
                condition=Q(is_current=True) & ~Q(connection=None),
                name="one_current_override_mapping",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.system} {self.entity} {'override' if self.connection_id else 'default'} v{self.version}"


class MappingField(models.Model):
    """One row of a mapping: which unified field is made from what, and how."""

    mapping = models.ForeignKey(Mapping, on_delete=models.CASCADE, related_name="rows")
    position = models.PositiveIntegerField()
    target = models.CharField(max_length=120, help_text="Unified field, or custom.<name>.")
    definition = models.JSONField(help_text="source, transforms, name_source, items, read_only; or {} to leave it out.")

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["mapping", "target"], name="one_row_per_target")]

    def __str__(self) -> str:
        return self.target
