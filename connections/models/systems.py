"""What a workspace decides about a system."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from core.ids import new_id
from core.scoping import scoped
from workspaces.choices import Environment
from workspaces.models import StoredSecret, Workspace


class SystemSettings(models.Model):
    """How a workspace uses one system in one environment. Without a row everything is as declared."""

    PREFIX = "sys"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="system_settings")
    system = models.CharField(max_length=60, help_text="Its slug in the catalogue.")
    environment = models.CharField(max_length=4, choices=Environment.choices, default=Environment.LIVE)
    enabled = models.BooleanField(default=True, help_text="Whether customers may connect it.")
    oauth_client_id = models.CharField(
        max_length=300, blank=True, help_text="Of the app you registered with the system's maker."
    )
    oauth_hosts = ArrayField(
        models.CharField(max_length=255),
        default=list,
        blank=True,
        help_text="Where customers type the address of the sign-in: the hosts our client secret may be sent to.",
    )
    schedules = models.JSONField(
        default=dict,
        blank=True,
        help_text="For new connections: {entity: {interval_seconds, full_interval_seconds, enabled}}.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        ordering = ["system", "environment"]
        verbose_name = "system settings"
        verbose_name_plural = "system settings"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "system", "environment"], name="one_settings_per_system")
        ]

    def __str__(self) -> str:
        return f"{self.system} ({self.environment})"


class SystemSecret(StoredSecret):
    """A secret of a workspace's settings of a system, such as the OAuth client's."""

    settings = models.ForeignKey(SystemSettings, on_delete=models.CASCADE, related_name="secrets")
    name = models.CharField(max_length=60)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["settings", "name"], name="one_system_secret_per_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def bound_to(self) -> str:
        return f"system-secret:{self.workspace_id}:{self.settings_id}:{self.id}:{self.name}"


class SystemLogo(models.Model):
    """A picture of a system that the operator of the installation uploaded. We ship none."""

    system = models.CharField(max_length=60, primary_key=True, help_text="Its slug in the catalogue.")
    image = models.BinaryField(help_text="PNG, JPEG or WebP of at most 200 kB.")
    image_type = models.CharField(max_length=20, editable=False, help_text="Its media type.")
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.system
