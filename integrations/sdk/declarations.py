"""What a connector declares as data: its settings, limits, resources, fields, rules. Capabilities are computed from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from integrations.entities.base import Entity
from integrations.entities.spec import EntitySpec
from integrations.sdk.mapping import MappingRow

Operation = Literal["read", "create", "update", "delete"]


@dataclass(frozen=True)
class ConfigField:
    """One setting of a connection, as the form and the API ask for it. `secret` values are stored encrypted, write-only."""

    name: str
    label: str = ""
    help: str = ""
    kind: Literal["text", "url", "secret", "choice", "integer", "boolean"] = "text"
    required: bool = True
    default: Any = None
    choices: tuple[tuple[str, str], ...] = ()
    is_host: bool = False  # changing it demands the secrets again: they must not travel to another host

    @property
    def title(self) -> str:
        return self.label or self.name.replace("_", " ").capitalize()

    @property
    def secret(self) -> bool:
        return self.kind == "secret"


def Url(name: str, **options: Any) -> ConfigField:
    """An http(s) address. Changing it demands the secrets again."""
    return ConfigField(name, kind="url", is_host=True, **options)


def Text(name: str, **options: Any) -> ConfigField:
    """A line of text."""
    return ConfigField(name, kind="text", **options)


def Secret(name: str, **options: Any) -> ConfigField:
    """A password or key: encrypted, never shown again."""
    return ConfigField(name, kind="secret", **options)


def Integer(name: str, **options: Any) -> ConfigField:
    """A whole number."""
    return ConfigField(name, kind="integer", **options)


def Boolean(name: str, **options: Any) -> ConfigField:
    """Yes or no."""
    return ConfigField(name, kind="boolean", **options)


def Choice(name: str, choices: Mapping[str, str], **options: Any) -> ConfigField:
    """One of a fixed list: {value: label}."""
    return ConfigField(name, kind="choice", choices=tuple(choices.items()), **options)


@dataclass(frozen=True)
class Limits:
    """What the system allows one account. `reserve_for_operations`: share of calls that syncs leave to writes."""

    per_minute: int | None = None
    concurrency: int = 4
    reserve_for_operations: float = 0.2
    page_size: int = 100


@dataclass(frozen=True)
class Since:
    """How changes are found: the object's change time at `path`, and how the connector asks for newer ones.

    `null`: where the time stands while the change time is null (until the first change). `overlap` is read again each
    time and never stored. `touched_by`: what changes without moving the time (shown in the capabilities).
    """

    path: str
    parameter: str = ""
    null: str | None = None
    overlap: timedelta = timedelta(minutes=10)
    format: str = "%Y-%m-%dT%H:%M:%SZ"
    touched_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Write:
    """One declared write: where it goes and which unified fields may be sent."""

    operation: Literal["create", "update", "delete"]
    kind: str = ""
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A rule of the system told before any call, e.g. Rule("update", unless_status=("CLOSE",))."""

    operation: Operation
    unless_status: tuple[str, ...] = ()
    only_status: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Resource:
    """Where one entity lives in the system, and how to page, find changes and map it.

    `path`: route or model name. `items`: where the array is in an answer ("" = the answer itself). `id`: path of the
    remote id, parts joined by `|`. `detail`: how one object is read again ("" = it cannot be). `window`: documents whose
    initial sync takes only the last days plus every one in `open_values`.
    """

    entity: type[Entity]
    path: str
    fields: tuple[MappingRow, ...]
    id: str = "id"
    items: str = ""
    detail: str = ""
    paging: Any = None
    changes: Since | None = None
    open_values: tuple[str, ...] = ()
    writes: tuple[Write, ...] = ()
    rules: tuple[Rule, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def spec(self) -> EntitySpec:
        return self.entity.spec()


def Field(
    target: str,
    source: str = "",
    *,
    values: Mapping[str, str] | None = None,
    zone: str | None = None,
    minor_units: int | None = None,
    unit: Mapping[str, str] | None = None,
    constant: Any = None,
    default: Any = None,
    name: str | None = None,
    items: tuple[MappingRow, ...] = (),
    transforms: tuple[Mapping[str, Any], ...] = (),
    read_only: bool = False,
) -> MappingRow:
    """Declare how one unified field is made; the keywords are short for the transforms of the same name."""
    chain: list[Mapping[str, Any]] = list(transforms)
    if zone is not None:
        chain.append({"name": "datetime", "zone": zone})
    if minor_units is not None:
        chain.append({"name": "minor_units", "digits": minor_units})
    if values is not None or unit is not None:
        chain.append({"name": "values", "map": dict(values or unit or {})})
    if constant is not None:
        chain.append({"name": "constant", "value": constant})
    if default is not None:
        chain.append({"name": "default", "value": default})
    return MappingRow(target, source, tuple(chain), name_source=name, items=items, read_only=read_only)
