"""Keys of workspaces, what is encrypted with them, and where references may lead."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from core.ids import new_id
from core.scoping import scoped
from workspaces.models.tenants import Workspace


class DataKey(models.Model):
    """A key that encrypts the secrets of one workspace, itself encrypted ("wrapped") with a key of the ring.

    New secrets take the current one; the others open what they made until `rotate_keys` has replaced it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="data_keys")
    wrapped = models.BinaryField(editable=False, help_text="The key, encrypted with a key of the ring.")
    is_current = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    wrapped_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["workspace"], condition=Q(is_current=True), name="one_current_data_key")
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def bound_to(self) -> str:
        """What the wrapped key is bound to: it opens in no other row."""
        return f"data-key:{self.workspace_id}:{self.id}"


class StoredSecret(models.Model):
    """A secret of a workspace: encrypted here, or a reference to a secrets manager. Never both, never in clear.

    Rooms keep their secrets in subclasses, so that rotating keys finds them all.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    ciphertext = models.BinaryField(null=True, editable=False)
    reference = models.CharField(
        max_length=500, blank=True, help_text="Where a secrets manager keeps it, e.g. vault:kv/acme/erp#password."
    )
    updated_at = models.DateTimeField(auto_now=True)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        abstract = True

    @property
    def bound_to(self) -> str:
        """What the ciphertext is bound to: it opens in no other row."""
        raise NotImplementedError


class SecretPrefix(models.Model):
    """Where secrets referred to by a workspace may stand. Only the operator of the installation sets them."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="secret_prefixes")
    prefix = models.CharField(
        max_length=300, help_text="E.g. vault:kv/acme/, aws-sm:prod/acme/ or env:LINESHAFT_REF_ACME_."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=160, blank=True, editable=False)

    objects = scoped(models.QuerySet, workspace="workspace")

    class Meta:
        ordering = ["prefix"]
        constraints = [models.UniqueConstraint(fields=["workspace", "prefix"], name="one_secret_prefix")]

    def __str__(self) -> str:
        return self.prefix
