"""Tokens of services."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from core.ids import new_id
from core.scoping import scoped
from workspaces.choices import Environment
from workspaces.models.tenants import Workspace
from workspaces.querysets import TokenQuerySet


class ApiToken(models.Model):
    """A token of a service. Only a keyed digest of its secret is kept; the token itself is shown once.

    With `connection_id` it sees that connection alone. The connection is named by its id, since this room does not know
    the one above; a token whose connection is gone opens nothing.
    """

    PREFIX = "tok"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="tokens")
    connection_id = models.UUIDField(null=True, blank=True, db_index=True)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Whose token it is: it may do no more than this person's role. Empty: a service's.",
    )
    environment = models.CharField(max_length=4, choices=Environment.choices, default=Environment.LIVE)
    name = models.CharField(max_length=120, help_text="What it is for, and where it is kept.")
    key = models.CharField(max_length=16, unique=True, editable=False, help_text="The public part of the token.")
    digest = models.BinaryField(max_length=32, editable=False)
    scopes = ArrayField(models.CharField(max_length=40), default=list, help_text="What it may do.")
    allowed_networks = ArrayField(
        models.CharField(max_length=64), default=list, blank=True, help_text="CIDR networks it may be used from."
    )
    rate_limit_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Requests a minute; empty for the usual."
    )
    kept_at = models.CharField(
        max_length=300, blank=True, editable=False, help_text="The secrets manager it was written to, if it was."
    )
    replaces = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="replaced_by",
        help_text="The token it came in place of.",
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
