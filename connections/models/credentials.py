"""The secrets of connections."""

from __future__ import annotations

from django.db import models

from connections.models.connections import Connection
from workspaces.models import StoredSecret


class Credential(StoredSecret):
    """One secret of a connection, encrypted and bound to this row, or a reference. Write-only everywhere."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="credentials")
    name = models.CharField(max_length=60)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "name"], name="one_secret_per_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def bound_to(self) -> str:
        return f"credential:{self.workspace_id}:{self.connection_id}:{self.id}:{self.name}"


class Grant(StoredSecret):
    """What the last token exchange or sign-in gave: a JSON object with access_token and, if there is one, refresh_token.

    Shared by all workers. Who renews it holds `lease_until` with `fence` and no lock; `generation` rises with each new one.
    """

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="grant")
    expires_at = models.DateTimeField(null=True, help_text="When the access token ends; empty: unknown.")
    generation = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, help_text="Somebody renews it until then at the latest.")
    fence = models.PositiveIntegerField(default=0, help_text="Which renewal holds the lease.")

    def __str__(self) -> str:
        return f"generation {self.generation}"

    @property
    def bound_to(self) -> str:
        return f"grant:{self.workspace_id}:{self.connection_id}:{self.id}"
