"""Writes as the engine does them, one operation at a time, on objects that a stage hands out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson

from connections.services.cards import Card
from core.errors import LineshaftError, NotFoundError
from integrations.sdk.connector import Connector
from integrations.sdk.mapping import compile_mapping
from integrations.sdk.unmapping import compile_unmapping
from integrations.sdk.writes import Change, Sent, WriteCall
from syncs.operations.comparing import not_applied
from tests.contract.kit import CONNECTION_ID


class Stage(ABC):
    """Objects to write on, and values to write. What it hands out may be changed and deleted."""

    @abstractmethod
    def statuses(self, entity: str) -> Sequence[str]:
        """Every status of the source (`remote_status`) that an object can be brought to."""

    @abstractmethod
    def make(self, entity: str, status: str) -> str:
        """The remote id of an object in this status, another one each time. One with lines where the entity has some."""

    @abstractmethod
    def creation(self, entity: str) -> dict[str, Any]:
        """Values of a create, as the API takes them; references are remote ids. Others each time where they must be."""

    @abstractmethod
    def wish(self, entity: str, field: str, before: Mapping[str, Any]) -> Any:
        """A good value for an update, other than what stands in `before` (the unified object). A line's field is named
        `lines.quantity` (`before` is the line then); `lines` asks for a new line."""

    def prepare(self, entity: str, action: str, remote_id: str) -> None:  # noqa: B027  most systems need nothing
        """What must be there before an action can be done, beside the object's status."""

    def parameters(self, entity: str, action: str) -> dict[str, Any]:
        """Parameters of an action."""
        return {}


@dataclass(frozen=True)
class Outcome:
    """What became of one operation. `before`, `after`: the unified object, None where there is none; of a refused one it is
    taken to be as it was. `decoded`: what `after` was made of."""

    remote_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None = None
    decoded: Any = None
    error: LineshaftError | None = None
    missed: Sequence[Mapping[str, Any]] = ()

    @property
    def taken(self) -> bool:
        """The system did all that was wished."""
        return self.error is None and not self.missed


Seen = tuple[Any, dict[str, Any]]


class Writer:
    """Does with one operation what the engine does, and keeps nothing: read, plan, send, read back. Judges nothing."""

    def __init__(self, connector: Connector, entity: str) -> None:
        self.connector = connector
        self.card = Card(type(connector), entity)
        self.resource, self.spec = self.card.resource, self.card.spec
        self.unmapping = compile_unmapping(self.spec, self.card.rows, encode=connector.encode)
        self._compiled = compile_mapping(self.spec, self.card.rows, connection_id=CONNECTION_ID)

    def read(self, remote_id: str) -> Seen:
        """The object, decoded and unified."""
        decoded = self.connector.decode(self.connector.fetch_one(self.resource, remote_id))
        return decoded, self._compiled.map(decoded)

    def plan(self, change: Change) -> list[WriteCall]:
        return self.connector.plan(self.resource, change, self.unmapping)

    def send(self, call: WriteCall) -> Sent:
        """As it comes back from the store."""
        stored = WriteCall.from_json(orjson.loads(orjson.dumps(call.as_json())))
        return self.connector.send_call(self.resource, stored)

    def create(self, values: Mapping[str, Any]) -> Outcome:
        return self._finish(Change("create", values, mark=new_mark()), None)

    def update(self, remote_id: str, values: Mapping[str, Any], seen: Seen | None = None) -> Outcome:
        """`seen`: the object as `read` gave it; else it is read."""
        decoded, unified = seen or self.read(remote_id)
        return self._finish(Change("update", values, remote_id, decoded), unified)

    def delete(self, remote_id: str) -> Outcome:
        decoded, unified = self.read(remote_id)
        return self._finish(Change("delete", {}, remote_id, decoded), unified)

    def act(self, remote_id: str, action: str, parameters: Mapping[str, Any], seen: Seen | None = None) -> Outcome:
        decoded, unified = seen or self.read(remote_id)
        return self._finish(Change("action", parameters, remote_id, decoded, mark=new_mark(), action=action), unified)

    def _finish(self, change: Change, before: Mapping[str, Any] | None) -> Outcome:
        remote_id = change.remote_id or ""
        try:
            for call in self.plan(change):
                remote_id = self.send(call).remote_id or remote_id
        except LineshaftError as error:
            return Outcome(remote_id, before, before, change.before, error)
        try:
            decoded, after = self.read(remote_id)
        except NotFoundError:
            return Outcome(remote_id, before)
        wished = change.values if change.operation in ("create", "update") else {}
        missed = not_applied(self.spec.by_name, wished, after, before)
        return Outcome(remote_id, before, after, decoded, None, missed)


def new_mark() -> str:
    """A mark as the engine makes them."""
    return f"lsh-{uuid4().hex[-20:]}"
