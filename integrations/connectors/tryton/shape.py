"""What is asked of a model, fitted to the server: series and installed modules differ in the fields they have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.errors import NotSupportedError
from integrations.connectors.tryton.rows import LEGACY_STAMPS, STAMP
from integrations.protocols.jsonrpc import RpcFaultError
from integrations.protocols.typed_json import typed_datetime

Call = Callable[..., Any]
Domain = list[Any]


@dataclass(frozen=True)
class Shape:
    """Dotted field names to read, and the fields that tell when a row changed (more than one in older series)."""

    fields: tuple[str, ...]
    stamps: tuple[str, ...] = (STAMP,)

    def changed_since(self, moment: datetime) -> list[Domain]:
        """Clauses to be joined by OR: the row, or a child whose change time is read, changed at `moment` or later."""
        prefixes = [name[: -len(self.stamps[0])] for name in self.fields if _last(name) == self.stamps[0]]
        return [[prefix + stamp, ">=", typed_datetime(moment)] for prefix in prefixes for stamp in self.stamps]


def any_of(clauses: list[Domain]) -> Domain:
    """One domain that holds where any of the clauses does."""
    return ["OR", *clauses]


@dataclass
class Schema:
    """The server's own description of its models, asked once each."""

    call: Call
    models: dict[str, dict[str, str | None]] = field(default_factory=dict)

    def fields(self, model: str) -> dict[str, str | None]:
        """Field name -> the model it leads to, if any. NotSupportedError when the server has no such model."""
        if model not in self.models:
            try:
                described = self.call(f"model.{model}.fields_get", None)
            except RpcFaultError as error:  # describing a model it has does not fail
                detail = f"This Tryton has no {model}: its module is not installed."
                raise NotSupportedError(detail, source=error.source) from error
            self.models[model] = {name: spec.get("relation") for name, spec in described.items()}
        return self.models[model]

    def fitted(self, model: str, wanted: Iterable[str]) -> Shape:
        """The wanted fields that this server has. Without `last_modified_at`, write and creation times take its place."""
        wanted = tuple(wanted)
        if STAMP not in self.fields(model):
            wanted = tuple(_legacy(wanted))
            return Shape(tuple(name for name in wanted if self.has(model, name)), LEGACY_STAMPS)
        return Shape(tuple(name for name in wanted if self.has(model, name)))

    def has(self, model: str, dotted: str) -> bool:
        """Whether the server has this field, followed through references."""
        first, _, rest = dotted.partition(".")
        fields = self.fields(model)
        if first not in fields:
            return False
        target = fields[first]
        return not rest or (target is not None and self.has(target, rest))


def _legacy(wanted: tuple[str, ...]) -> Iterable[str]:
    names: dict[str, None] = {}
    for name in wanted:
        swapped = [name[: -len(STAMP)] + stamp for stamp in LEGACY_STAMPS] if _last(name) == STAMP else [name]
        names.update(dict.fromkeys(swapped))
    return names


def _last(dotted: str) -> str:
    return dotted.rpartition(".")[2]
