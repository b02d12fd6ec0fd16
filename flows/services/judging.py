"""Judging events: which runs an event trigger starts. Nothing is written here, and nothing is locked.

A filter is an expression of a person, and a record is read from the copy; both take their time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from core import ids
from core.errors import ConflictError, LineshaftError
from core.json import utc_text
from flows.choices import TriggerKind
from flows.definitions.model import Definition, EventTrigger
from flows.expressions import matches
from flows.models import Flow, FlowVersion
from flows.services.causes import MOST_DEEP, Cause, causes_of
from flows.services.starting import Start, definition_of, key_of
from flows.services.touching import Facts, are_there, bound_ids, facts_of
from syncs.records import Selection, as_texts, id_of, read_records
from webhooks.services import clock
from workspaces.models import Event

__all__ = ["Verdict", "judge"]

CONTEXTS_AT_ONCE = 1_000
TOO_DEEP = "FLOW_TOO_DEEP"


@dataclass(frozen=True)
class Verdict:
    """What comes of some events, up to a position. `error` is that of the last one that could not be judged, and None
    after one that could; `is_told` says whether there was any to judge."""

    starts: Sequence[Start]
    upto: int
    error: dict[str, Any] | None
    is_told: bool


@dataclass(frozen=True)
class _Candidate:
    """An event that may start a run, or one record of it."""

    event: Event
    input: dict[str, Any]
    key: str
    cause: Cause | None


@dataclass(frozen=True)
class _Told:
    """What an event says, beside its row."""

    event: Event
    body: dict[str, Any]

    @property
    def is_of_records(self) -> bool:
        return bool(self.event.type.startswith("record."))

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.body["data"])


@dataclass
class _Judge:
    """One flow's view of some events."""

    flow: Flow
    version: FlowVersion
    definition: Definition
    facts: Mapping[UUID, Facts] = field(default_factory=dict)
    causes: Mapping[str, Cause] = field(default_factory=dict)

    @property
    def trigger(self) -> EventTrigger:
        assert isinstance(self.definition.trigger, EventTrigger)
        return self.definition.trigger

    def is_meant(self, told: _Told) -> bool:
        """Whether the event may start a run, as far as no record has to be read for it."""
        return (
            self._is_of_connection(told)
            and self._is_of_entity(told)
            and self._has_good_reason(told)
            and self._is_of_others(told)
        )

    def cause_of(self, told: _Told) -> Cause | None:
        return self.causes.get(told.body["origin_run"] or "")

    def _is_of_connection(self, told: _Told) -> bool:
        """Those it names; of the systems it can work on; none whose data was deleted."""
        pk, slots = told.event.connection_id, self.definition.connections
        facts = self.facts.get(pk) if pk else None
        if pk and facts is None and not told.data and not told.event.type.startswith("connection."):
            return False  # emptied
        of_trigger = {name: slot for name, slot in slots.items() if slot.of_trigger}
        if of_trigger and (facts is None or facts.is_ended):
            return False
        if any(facts and slot.system not in (None, facts.system) for slot in of_trigger.values()):
            return False
        named = self.trigger.connections
        if not named or not of_trigger.keys().isdisjoint(named):
            return True
        return pk is not None and ids.show("con", pk) in {self.version.bindings.get(name) for name in named}

    def _is_of_entity(self, told: _Told) -> bool:
        entity = told.data.get("entity")
        return not self.trigger.entities or entity is None or entity in self.trigger.entities

    def _has_good_reason(self, told: _Told) -> bool:
        if not told.is_of_records:
            return True
        unwanted = {"initial": not self.trigger.include_initial, "remap": not self.trigger.include_remap}
        return not unwanted.get(told.body["reason"] or "", False)

    def _is_of_others(self, told: _Told) -> bool:
        cause = self.cause_of(told)
        return cause is None or self.trigger.include_own or self.flow.pk not in cause.flow_ids


def judge(flow: Flow, version: FlowVersion, events: Sequence[Event], upto: int) -> Verdict:
    """What these events of the flow's feed start; after them nothing of interest comes before `upto`.

    Where they name very many records, only the first of them are judged. In the workspace's scope.
    """
    judging = _Judge(flow, version, definition_of(version))
    told = [_Told(event, orjson.loads(event.body)) for event in events]
    if not told or not are_there(bound_ids(version)):
        return Verdict((), upto, None, is_told=False)
    judging.facts = facts_of(event.connection_id for event in events if event.connection_id)
    judging.causes = causes_of(one.body["origin_run"] for one in told)
    candidates: list[_Candidate] = []
    for one in told:
        if len(candidates) >= CONTEXTS_AT_ONCE:
            upto = _position(one.event) - 1
            break
        if judging.is_meant(one):
            candidates += _candidates(judging, one)
    return _verdict(judging, candidates, upto)


def _position(event: Event) -> int:
    assert event.position is not None
    return event.position


def _candidates(judging: _Judge, told: _Told) -> Iterator[_Candidate]:
    event, cause = told.event, judging.cause_of(told)
    input = {"kind": TriggerKind.EVENT.value, "at": told.body["timestamp"], "event": told.body, "record": None}
    if not told.is_of_records or "ids" not in told.data:
        yield _Candidate(event, input, f"event:{told.body['id']}", cause)
        return
    records = _records(judging.flow, told)
    for shown in told.data["ids"]:
        record = records.get(shown)
        # Of one that is gone no version can be told; each event about it counts.
        mark = told.body["id"] if record is None else record["version"]
        body = {**told.body, "data": {**told.data, "ids": [shown]}}
        yield _Candidate(event, {**input, "event": body, "record": record}, f"record:{shown}:{mark}", cause)


def _records(flow: Flow, told: _Told) -> dict[str, dict[str, Any]]:
    """Shown id -> the record as the API answers it now. One that is deleted is there for events that tell so."""
    event, shown_ids = told.event, told.data["ids"]
    if event.connection_id is None:
        return {}
    wanted = Selection(
        ids=[UUID(shown.rpartition("_")[2]) for shown in shown_ids],
        include_deleted=event.type == "record.deleted",
        if_shared=True,
    )
    rows = read_records(
        wanted,
        workspace_id=flow.workspace_id,
        connection_id=event.connection_id,
        entity=told.data["entity"],
        limit=len(shown_ids),
    )
    return {id_of(row): orjson.loads(text) for row, text in zip(rows, as_texts(rows), strict=True)}


def _verdict(judging: _Judge, candidates: Sequence[_Candidate], upto: int) -> Verdict:
    answers: Sequence[bool | LineshaftError] = [True] * len(candidates)
    if judging.trigger.filter is not None and candidates:
        answers = matches(judging.trigger.filter, [{"trigger": one.input} for one in candidates])
    starts: list[Start] = []
    errors: dict[UUID, LineshaftError | None] = {}  # by event, in order
    for one, answer in zip(candidates, answers, strict=True):
        start = _start(judging, one) if answer is True else None
        trouble = next((found for found in (answer, start) if isinstance(found, LineshaftError)), None)
        errors[one.event.pk] = errors.get(one.event.pk) or trouble
        if isinstance(start, Start):
            starts.append(start)
    last, error = next(reversed(errors.items()), (None, None))
    return Verdict(starts, upto, _error(last, error), is_told=bool(candidates))


def _start(judging: _Judge, one: _Candidate) -> Start | LineshaftError:
    """The run that a matching candidate makes, or why it makes none."""
    depth = 0 if one.cause is None else one.cause.depth + 1
    if depth > MOST_DEEP:
        return ConflictError(
            f"Flows started each other {MOST_DEEP} times in a row; what one does starts the next. Narrow the filter of one.",
            code=TOO_DEEP,
        )
    try:
        key = key_of(judging.definition, one.input) or one.key
    except LineshaftError as error:
        return error
    return Start(
        trigger=TriggerKind.EVENT,
        input=one.input,
        by=f"event {one.input['event']['id']}",
        position=_position(one.event),
        key=key,
        depth=depth,
        origin_flow_ids=list(dict.fromkeys(one.cause.flow_ids)) if one.cause else (),
        data_of=one.cause.connection_ids if one.cause else (),
    )


def _error(event_id: UUID | None, error: LineshaftError | None) -> dict[str, Any] | None:
    """As it is kept on the flow."""
    if error is None or event_id is None:
        return None
    shown = ids.show(Event.PREFIX, event_id)
    return {"code": error.code, "message": error.detail[:500], "event": shown, "at": utc_text(clock.now())}
