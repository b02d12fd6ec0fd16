"""Workspaces and who belongs to them."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from core.ids import new_id
from core.scoping import scoped
from workspaces.choices import Role
from workspaces.querysets import MembershipQuerySet, WorkspaceQuerySet


class Workspace(models.Model):
    """The tenant: a software vendor, or one team of it."""

    PREFIX = "ws"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=120, help_text="Shown to people.")
    slug = models.SlugField(max_length=60, unique=True, help_text="Short name for commands and addresses.")
    display_name = models.CharField(
        max_length=120, blank=True, help_text="What customers see on the connect page; empty: the name."
    )
    logo = models.BinaryField(null=True, blank=True, help_text="PNG, JPEG or WebP of at most 200 kB.")
    logo_type = models.CharField(max_length=20, blank=True, editable=False, help_text="Its media type.")
    colour = models.CharField(max_length=7, blank=True, help_text="Colour of buttons there, e.g. #1d4ed8.")
    support_address = models.CharField(
        max_length=200, blank=True, help_text="Where customers get help: an e-mail address or an https page."
    )
    privacy_url = models.URLField(max_length=300, blank=True, help_text="Your privacy notice, linked there.")
    link_redirect_uris = ArrayField(
        models.CharField(max_length=500),
        default=list,
        blank=True,
        help_text="Addresses of yours that the connect page may return to, each exactly as sent.",
    )
    link_origins = ArrayField(
        models.CharField(max_length=200),
        default=list,
        blank=True,
        help_text="Origins of your pages that may open the connect page as a popup, e.g. https://app.example.com.",
    )
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
    tells_by_mail = models.BooleanField(
        default=False, db_default=False, help_text="Gets an e-mail when an issue is opened or resolved."
    )
    mailed_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Issues opened or resolved up to then were told by mail."
    )
    next_mail_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="No mail before then.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = scoped(MembershipQuerySet, workspace="workspace")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "user"], name="one_role_per_member")]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace}"
