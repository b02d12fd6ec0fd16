"""Which mapping holds for an entity of a connection: the connector's default, with the connection's override over it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Any, ClassVar
from uuid import UUID

import orjson
from django.db import IntegrityError, transaction
from django_scopes import scope

from connections.models import Connection, Mapping, MappingField
from connections.models.mappings import REASON_CHARACTERS
from connections.services.mapping_rows import compile_rows, read_definitions
from connections.services.opening import connector_of
from core import ids
from core.errors import ConfigError, ConflictError
from core.json import utc_text
from integrations.entities.spec import EntitySpec, FieldSpec
from integrations.registry import get_connector
from integrations.sdk.connector import Connector
from integrations.sdk.mapping import MappingRow, digest_of
from workspaces import audit

Definitions = dict[str, dict[str, Any]]
"""Target -> the row as stored: its JSON without the target; {} leaves the target out."""


@dataclass(frozen=True)
class EffectiveMapping:
    """What a run maps with. `digest` (32 bytes) differs whenever the unified form could."""

    default: Mapping
    override: Mapping | None
    rows: tuple[MappingRow, ...]
    digest: bytes


def effective_mapping(
    connection: Connection, entity: str, *, default_id: UUID | None = None, override_id: UUID | None = None
) -> EffectiveMapping:
    """The rows in force: override rows replace default rows with the same target, a row {} removes it.

    With `default_id` the pinned versions count (`override_id` None then means that there was no override); without it
    the current ones. Errors: ConfigError for an unknown connector or a pinned version that is not this connection's.
    """
    connector = connector_of(connection)
    if default_id is None:
        default = ensure_default_mapping(connection.system, entity)
        override = current_override(connection, entity)
    else:
        default = _pinned(_read_default(connection.system, entity, pk=default_id), default_id)
        override = _pinned_override(connection, entity, override_id)
    rows = tuple(
        MappingRow.from_json({"target": target, **definition})
        for target, definition in merged(default, override).items()
        if definition
    )
    return EffectiveMapping(
        default, override, rows, digest_of(rows, salt=_salt(connector, entity, connection.time_zone))
    )


def merged(default: Mapping, override: Mapping | None) -> Definitions:
    """Default rows in their order, replaced by the override's; what only the override has comes last."""
    return {**definitions_of(default), **(definitions_of(override) if override else {})}


def definitions_of(mapping: Mapping) -> Definitions:
    """The stored rows of one version, in order."""
    return dict(mapping.rows.values_list("target", "definition"))


def current_override(connection: Connection, entity: str) -> Mapping | None:
    """The override in force; one without rows means that the default holds."""
    with scope(workspace=connection.workspace_id):
        found: Mapping | None = Mapping.objects.current_override(connection.pk, entity).first()
    return found


def ensure_default_mapping(system: str, entity: str) -> Mapping:
    """The default as the installed connector declares it, written as a new version if it is not the current one.

    Safe when two workers do it at once: the constraints let one win, the other reads again.
    Errors: NotSupportedError when the system has no such entity, NotFoundError without such a system.
    """
    connector = get_connector(system)
    definitions = _stored_form(connector.resource(entity).fields)
    digest = _digest(definitions)
    for _ in range(3):
        current = _read_default(system, entity)
        if current and (current.digest, current.connector_version) == (digest, connector.version):
            return current
        try:
            return _write_default(connector, entity, definitions, digest, current)
        except IntegrityError:
            continue  # another worker wrote this version a moment ago
    raise ConfigError(
        f"The default mapping of {system} {entity} keeps changing: workers of different releases run at the same time.",
        code="MAPPING_UNSETTLED",
    )


@dataclass(eq=False)
class MappingChangedError(ConflictError):
    """Somebody published another version since the one that was edited; `extra` says who, when and which."""

    default_code = "MAPPING_CHANGED"
    http_status: ClassVar[int] = 409  # a status of its own, so that the answer shows `extra`


@dataclass(frozen=True)
class Publication:
    """What is said of a new version: why, on which version the edit was based (0: none), which version it brings back."""

    by: str
    reason: str = ""
    base_version: int | None = None
    restores: int | None = None


def set_mapping(
    connection: Connection,
    entity: str,
    rows: list[dict[str, Any]] | None,
    *,
    by: str,
    reason: str = "",
    base_version: int | None = None,
) -> Mapping | None:
    """Make `rows` the connection's override: a new version, if it differs from the current one.

    Shape: as `MappingRow.as_json`; a row with nothing but `target` leaves that field out. None or [] returns to the
    default. Answers the version in force, None when there never was an override.
    Errors: ValidationFailedError with a pointer per row, NotSupportedError for an entity the system lacks,
    MappingChangedError when `base_version` is given and another one is current.
    """
    definitions = check_rows(connection, entity, rows or [])
    return publish(connection, entity, definitions, Publication(by, reason, base_version))


def check_rows(connection: Connection, entity: str, rows: list[dict[str, Any]]) -> Definitions:
    """The rows of an override as they are stored, if they can be used alone and over the default.

    Errors: ValidationFailedError with a pointer per row, NotSupportedError for an entity the system lacks.
    """
    resource = connector_of(connection).resource(entity)
    definitions = read_definitions(rows)
    compile_rows(resource.spec, definitions, connection_id=connection.pk, zone=connection.time_zone)
    _compile_whole(connection, entity, definitions)
    return definitions


def publish(connection: Connection, entity: str, definitions: Definitions, told: Publication) -> Mapping | None:
    """Make checked rows the override in force. Errors: MappingChangedError."""
    digest = _digest(definitions)
    with scope(workspace=connection.workspace_id), transaction.atomic():
        # One writer at a time; the versions of one override then need no second try.
        Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        current = Mapping.objects.current_override(connection.pk, entity).first()
        if told.base_version not in (None, current.version if current else 0):
            raise _changed(current)
        if (current.digest if current else _digest({})) == digest:
            return current  # type: ignore[no-any-return]
        version = _retire(current) + 1
        before = definitions_of(current) if current else {}
        _record(connection, entity, version, audit.changed_names(before, definitions), told)
        return _write(
            Mapping(
                workspace_id=connection.workspace_id,
                connection=connection,
                system=connection.system,
                entity=entity,
                version=version,
                digest=digest,
                created_by=told.by[:160],
                reason=told.reason[:REASON_CHARACTERS],
                restores=told.restores,
            ),
            definitions,
        )


def _changed(current: Mapping | None) -> MappingChangedError:
    """There is always a current one then: a version is never taken away."""
    if current is None:
        return MappingChangedError("There is no override yet: send base_version 0.", extra={"current_version": 0})
    who = current.created_by or "somebody"
    return MappingChangedError(
        f"{who} published version {current.version} meanwhile. Look at it, then publish your changes on top of it.",
        extra={
            "current_version": current.version,
            "published_by": current.created_by,
            "published_at": utc_text(current.created_at),
        },
    )


def _record(connection: Connection, entity: str, version: int, targets: list[str], told: Publication) -> None:
    said: dict[str, Any] = {"reason": told.reason} if told.reason else {}
    if told.restores is not None:
        said["restores"] = told.restores
    audit.record(
        "mapping.changed",
        workspace_id=connection.workspace_id,
        about=("connection", ids.show(Connection.PREFIX, connection.pk) or ""),
        details={"entity": entity, "version": version, "changed": targets, **said},
    )


def _compile_whole(connection: Connection, entity: str, definitions: Definitions) -> None:
    """What each row alone does not show, the whole must: it is what the next run compiles."""
    resource = connector_of(connection).resource(entity)
    whole = {**_stored_form(resource.fields), **definitions}
    compile_rows(resource.spec, whole, connection_id=connection.pk, zone=connection.time_zone)


# --- versions ---------------------------------------------------------------------------------------------------------


def _read_default(system: str, entity: str, *, pk: UUID | None = None) -> Mapping | None:
    """A default mapping, the current one or the one named. Defaults belong to no workspace, so no scope holds here."""
    every = Mapping.objects.with_scopes_disabled()
    if pk is not None:
        found: Mapping | None = every.filter(connection=None, system=system, entity=entity, pk=pk).first()
        return found
    current: Mapping | None = every.current_default(system, entity).first()
    return current


@transaction.atomic
def _write_default(
    connector: type[Connector], entity: str, definitions: Definitions, digest: str, current: Mapping | None
) -> Mapping:
    version = _retire(current) + 1
    return _write(
        Mapping(
            system=connector.slug,
            entity=entity,
            version=version,
            connector_version=connector.version,
            digest=digest,
            created_by="connector",
        ),
        definitions,
    )


def _retire(current: Mapping | None) -> int:
    """The version that stops being the current one, 0 when there was none."""
    if current is None:
        return 0
    current.is_current = False
    current.save(update_fields=["is_current"])
    return current.version


def _write(mapping: Mapping, definitions: Definitions) -> Mapping:
    mapping.save(force_insert=True)
    MappingField.objects.bulk_create(
        MappingField(mapping=mapping, position=position, target=target, definition=definition)
        for position, (target, definition) in enumerate(definitions.items())
    )
    return mapping


def _pinned(mapping: Mapping | None, pk: UUID) -> Mapping:
    if mapping is None:
        raise ConfigError(f"The pinned mapping {pk} does not belong to this connection.", code="MAPPING_UNKNOWN")
    return mapping


def _pinned_override(connection: Connection, entity: str, pk: UUID | None) -> Mapping | None:
    if pk is None:
        return None
    with scope(workspace=connection.workspace_id):
        return _pinned(Mapping.objects.filter(connection_id=connection.pk, entity=entity, pk=pk).first(), pk)


# --- digests ----------------------------------------------------------------------------------------------------------


def _stored_form(rows: Iterable[MappingRow]) -> Definitions:
    stored = {}
    for row in rows:
        definition = row.as_json()
        stored[definition.pop("target")] = definition
    return stored


def _digest(definitions: Definitions) -> str:
    body = orjson.dumps(list(definitions.items()), option=orjson.OPT_SORT_KEYS)
    return blake2b(body, digest_size=32).hexdigest()


def _salt(connector: type[Connector], entity: str, zone: str) -> str:
    return f"{connector.slug} {connector.version} {zone} {_shape_of(connector.resource(entity).spec)}"


@cache
def _shape_of(spec: EntitySpec) -> str:
    """A digest of what decides the unified form: not the descriptions, which may be reworded freely."""
    return blake2b(orjson.dumps([_shape_of_field(field) for field in spec.fields]), digest_size=16).hexdigest()


def _shape_of_field(field: FieldSpec) -> list[Any]:
    return [field.name, field.kind, field.values, field.target, field.filterable, *map(_shape_of_field, field.item)]
