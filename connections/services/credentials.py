"""Storing secrets: encrypted, each bound to its own row. Reading them is `opening`'s alone."""

from __future__ import annotations

from collections.abc import Mapping

from connections.models import Connection, Credential
from workspaces.secrets import seal


def stored_names(connection: Connection) -> frozenset[str]:
    """Names of the secrets there are."""
    return frozenset(Credential.objects.filter(connection_id=connection.pk).values_list("name", flat=True))


def store_secrets(connection: Connection, secrets: Mapping[str, str | None]) -> None:
    """Write secrets by name; None deletes one. The caller holds the connection's row lock, in a transaction."""
    rows = {row.name: row for row in Credential.objects.filter(connection_id=connection.pk)}
    for name, clear in secrets.items():
        row = rows.get(name)
        if clear is None:
            if row is not None:
                row.delete()
            continue
        row = row or Credential(workspace_id=connection.workspace_id, connection_id=connection.pk, name=name)
        seal(row, clear)
        row.save()
