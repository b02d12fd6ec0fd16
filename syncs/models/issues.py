"""What needs somebody's attention."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from connections.models import Connection
from core.errors import WhoMustAct
from core.ids import new_id
from core.scoping import scoped
from syncs.choices import IssueKind
from workspaces.choices import Environment
from workspaces.models import Workspace


class Issue(models.Model):
    """Something that a rule found wrong. Opened once, resolved when the rule does not find it any more, never changed else.

    `subject` says of what: an entity, an endpoint's id, or nothing. The same trouble later is another row.
    """

    PREFIX = "iss"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    environment = models.CharField(max_length=4, choices=Environment.choices)
    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, null=True, related_name="issues", db_index=False
    )
    kind = models.CharField(max_length=30, choices=IssueKind.choices)
    subject = models.CharField(max_length=80, blank=True)
    title = models.CharField(max_length=200)
    detail = models.CharField(max_length=1000, blank=True)
    action = models.CharField(max_length=300, blank=True, help_text="What to do.")
    who_must_act = models.CharField(max_length=10, choices=[(who.value, who.value) for who in WhoMustAct])
    opened_at = models.DateTimeField(db_default=Now())
    resolved_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True, help_text="Somebody knows of it: no more mail.")
    acknowledged_by = models.CharField(max_length=160, blank=True)
    opening_mailed_at = models.DateTimeField(null=True, blank=True, editable=False)
    resolving_mailed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "environment", "connection", "kind", "subject"],
                condition=Q(resolved_at=None),
                nulls_distinct=False,
                name="one_open_issue",
            )
        ]
        indexes = [
            models.Index(fields=["workspace", "id"], name="issue_by_workspace"),
            models.Index(fields=["connection", "id"], name="issue_by_connection"),
        ]

    def __str__(self) -> str:
        return self.title
