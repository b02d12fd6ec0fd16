"""Storing secrets: encrypted and bound to their own row, or as references. Reading them is `opening`'s alone."""

from __future__ import annotations

from collections.abc import Mapping

from connections.models import Connection, Credential
from core.errors import FieldError, ValidationFailedError
from core.json import pointer
from core.secret_stores.references import Reference
from workspaces.secrets import point, seal


def stored_names(connection: Connection) -> frozenset[str]:
    """Names of the secrets there are."""
    return frozenset(Credential.objects.filter(connection_id=connection.pk).values_list("name", flat=True))


def stored_places(connection: Connection) -> dict[str, str]:
    """Name -> reference of each secret there is; empty for those that are encrypted here. A reference is no secret."""
    return dict(Credential.objects.filter(connection_id=connection.pk).values_list("name", "reference"))


def store_secrets(connection: Connection, secrets: Mapping[str, str | Reference | None]) -> None:
    """Write secrets by name; None deletes one. The caller holds the connection's row lock, in a transaction.

    Errors: ValidationFailedError REFERENCE_NOT_ALLOWED with a pointer, for a reference.
    """
    rows = {row.name: row for row in Credential.objects.filter(connection_id=connection.pk)}
    for name, given in secrets.items():
        row = rows.get(name)
        if given is None:
            if row is not None:
                row.delete()
            continue
        row = row or Credential(workspace_id=connection.workspace_id, connection_id=connection.pk, name=name)
        if isinstance(given, Reference):
            _point(row, given)
        else:
            seal(row, given)
        row.save()


def _point(row: Credential, reference: Reference) -> None:
    try:
        point(row, str(reference))
    except ValidationFailedError as error:
        fault = FieldError(pointer("secrets", row.name), error.code, error.detail)
        raise ValidationFailedError(error.detail, code=error.code, errors=(fault,)) from error
