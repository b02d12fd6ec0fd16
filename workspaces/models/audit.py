"""Who did what."""

from __future__ import annotations

import pgtrigger
from django.contrib.postgres.functions import TransactionNow
from django.db import models

from core.ids import new_id
from core.scoping import scoped
from workspaces.choices import ActorKind, AuditOutcome
from workspaces.models.tenants import Workspace
from workspaces.querysets import AuditQuerySet


class AuditEvent(models.Model):
    """Something that somebody did or tried. The database refuses to change or delete a row.

    It holds names and ids, never secrets nor values of customers: those may be purged, this may not. `at` is the time of
    the transaction, the same as on the history rows that it wrote.
    """

    PREFIX = "aud"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        Workspace,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        null=True,
        related_name="+",
        help_text="Empty: about the whole installation, such as a sign-in.",
    )
    at = models.DateTimeField(db_default=TransactionNow(), editable=False)
    actor_kind = models.CharField(max_length=10, choices=ActorKind.choices)
    actor = models.CharField(max_length=200, help_text="Who: a person, a token, a command, a duty of the platform.")
    token_id = models.UUIDField(null=True, help_text="The token that was used.")
    action = models.CharField(max_length=60, help_text="What, e.g. connection.disconnected.")
    object_type = models.CharField(max_length=40, blank=True)
    object_id = models.CharField(max_length=80, blank=True, help_text="As the API shows it, e.g. con_...")
    address = models.GenericIPAddressField(null=True, help_text="Where the request came from.")
    request_id = models.CharField(max_length=80, blank=True)
    outcome = models.CharField(max_length=8, choices=AuditOutcome.choices, default=AuditOutcome.DONE)
    details = models.JSONField(default=dict, help_text="What else is worth knowing; no secrets, no customer's values.")

    objects = scoped(AuditQuerySet, workspace="workspace")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["workspace", "id"], name="audit_by_workspace"),
            models.Index(fields=["workspace", "object_id", "id"], name="audit_by_object"),
            models.Index(fields=["at"], name="audit_by_time"),
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="never_emptied",
                level=pgtrigger.Statement,
                when=pgtrigger.Before,
                operation=pgtrigger.Truncate,
                func="RAISE EXCEPTION 'pgtrigger: Cannot truncate the table %', TG_TABLE_NAME;",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action}"
