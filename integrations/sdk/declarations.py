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
    """One setting of a connection, as the form and the API ask for it. `secret` values are stored encrypted, write-only.

    `choices_from` names a method of the connector that asks the system, once signed in, what there is to choose from:
    it answers [(value, label)]. The connect page asks for such a setting after the sign-in; elsewhere it is typed.
    """

    name: str
    label: str = ""
    help: str = ""
    kind: Literal["text", "url", "secret", "choice", "integer", "boolean"] = "text"
    required: bool = True
    default: Any = None
    choices: tuple[tuple[str, str], ...] = ()
    is_host: bool = False  # changing it demands the secrets again: they must not travel to another host
    choices_from: str = ""

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


def Choice(name: str, choices: Mapping[str, str] | None = None, **options: Any) -> ConfigField:
    """One of a fixed list: {value: label}. With `choices_from` instead, one of what the system itself offers."""
    if choices is None:
        return ConfigField(name, kind="text", **options)
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
    """One declared write: what it does there, which unified fields may be sent, and how an unknown outcome is resolved.

    Statuses are those of the source (`remote_status`). Several deletes may be declared, each for its statuses (drafts are
    deleted, others cancelled); the first that fits counts.
    `kind` of a delete: `hard` (gone), `soft` (flagged as deleted), `cancel` (by status), `deactivate`.
    `fields`: what may be sent; () is every field the mapping can write. `required`: besides what the entity demands.
    `method`, `path`: where a REST write goes, `{id}` in it; empty for the usual.
    `resolve` of a create: `mark` = the operation's mark was written to `mark` (a source path) and is searched for;
    `none` = a person must decide. With `mark_field`, the mark stands in a unified field that people see (a number, a
    reference): what the caller wrote there is the mark itself, and must be free. Other writes are resolved by reading the
    object again. `settle_seconds`: how long after sending "it is not there" may still be wrong.
    """

    operation: Literal["create", "update", "delete"]
    kind: str = ""
    fields: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    only_status: tuple[str, ...] = ()
    method: str = ""
    path: str = ""
    resolve: Literal["mark", "none"] = "none"
    mark: str = ""
    mark_field: str = ""
    settle_seconds: float = 120.0
    note: str = ""


@dataclass(frozen=True)
class Jobs:
    """How a system tells of writes that it accepted (202) and works on.

    `id`: path of the job's id in that answer. `path`: where the job is asked for, `{id}` in it. `status`, `result` (the id
    of what it made) and `error` (the system's words) are paths in the job's answer; a status that is neither in `done` nor
    in `failed` means that it still runs.
    """

    id: str = "id"
    path: str = "/jobs/{id}"
    status: str = "status"
    done: tuple[str, ...] = ("DONE",)
    failed: tuple[str, ...] = ("FAILED",)
    result: str = "result.id"
    error: str = "error"


@dataclass(frozen=True)
class Parameter:
    """One value an action takes. `kind` and `target` as of unified fields. `source`: the system's name for it, where that
    is another."""

    name: str
    kind: Literal["string", "text", "integer", "boolean", "decimal", "date", "datetime", "enum", "reference"] = "string"
    required: bool = False
    help: str = ""
    values: tuple[str, ...] = ()
    target: str | None = None
    source: str = ""


@dataclass(frozen=True)
class Action:
    """A declared change of state, such as `approve`.

    Statuses are those of the source. `to_status`: where the object stands afterwards; being there already means that it
    was done. `method`, `path`, `body`: where a REST action goes and what it always sends; parameters are added by name.
    Empty `to_status`: it changes something else than the status. `is_marked`: its requests carry the operation's mark, and
    `Connector.was_done` finds out by it whether one of unknown outcome was done.
    """

    name: str
    title: str
    to_status: tuple[str, ...]
    only_status: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    method: str = ""
    path: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    help: str = ""
    is_marked: bool = False


@dataclass(frozen=True)
class Rule:
    """A rule of the system told before any call, e.g. Rule("update", unless_status=("CLOSE",)).

    Statuses are those of the source (`remote_status`). With `fields` the rule is about these alone (`lines.quantity` is
    one inside of the lines).
    """

    operation: Operation
    unless_status: tuple[str, ...] = ()
    only_status: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    reason: str = ""

    def forbids(self, status: str | None) -> bool:
        """Whether the rule forbids its operation to an object in this status; one without a status is not judged."""
        if status is None:
            return False
        return status in self.unless_status or (bool(self.only_status) and status not in self.only_status)


@dataclass(frozen=True)
class Resource:
    """Where one entity lives in the system, and how to page, find changes and map it.

    `path`: route or model name. `items`: where the array is in an answer ("" = the answer itself). `id`: path of the
    remote id, parts joined by `|`. `detail`: how one object is read again ("" = it cannot be). `window`: documents whose
    initial sync takes only the last days plus every one in `open_values`. `deleted_when`: path that holds something once
    an object is flagged as deleted; such a one counts as gone.

    Where a list and a single object differ: `item` is where the object stands in the answer to `detail` ("" = the answer
    itself), `detail_parameters` what is asked for there, `keep` the parts of the object that are kept (`asset.id` of an
    object inside of it), in that order; what is missing is null. With `detail_per_row` a list only tells which objects
    there are, and each is read at `detail`.
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
    actions: tuple[Action, ...] = ()
    rules: tuple[Rule, ...] = ()
    deleted_when: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    item: str = ""
    detail_parameters: Mapping[str, Any] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    detail_per_row: bool = False
    note: str = ""

    @property
    def spec(self) -> EntitySpec:
        return self.entity.spec()

    def write(self, operation: str, status: str | None = None) -> Write | None:
        """The declared write, for an object in the source's `status` (None: whatever it is)."""
        for found in self.writes:
            if found.operation == operation and (
                not found.only_status or status is None or status in found.only_status
            ):
                return found
        return None

    def action(self, name: str) -> Action | None:
        """The declared action of this name."""
        return next((found for found in self.actions if found.name == name), None)


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
    write: str | None = None,
) -> MappingRow:
    """Declare how one unified field is made; the keywords are short for the transforms of the same name.

    `write`: the plain path it is written to, where that is not the path it is read from.
    """
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
    return MappingRow(target, source, tuple(chain), name_source=name, items=items, read_only=read_only, write=write)
