"""Starting runs: the one way in for every trigger.

Under the flow's row lock a key is looked up and the run inserted, so that one cause makes one run, whoever comes twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import transaction
from django_scopes import scope

from core.errors import ConflictError
from core.json import dumps, utc_text
from flows.choices import TriggerKind
from flows.definitions.model import Definition
from flows.engine.admission import NOT_ADMITTED, admit
from flows.engine.hinting import run_soon
from flows.expressions import render
from flows.models import Flow, FlowRun, FlowVersion
from flows.services.locking import lock_flow
from flows.services.touching import bound_ids, event_connection_id, refuse_ended, touched_ids
from webhooks.services import clock
from workspaces.models import Feed

__all__ = [
    "Start", "Started", "definition_of", "insert_runs", "key_of", "present_position", "published", "run_by_hand", "start_run",
    "stored_key",
]  # fmt: skip

MOST_KEY_CHARACTERS = 200


@dataclass(frozen=True)
class Started:
    """A run, and whether it was made now: with a key that was there before it is the earlier one."""

    run: FlowRun
    is_new: bool


@dataclass(frozen=True)
class Start:
    """A run that is to be. `key` as stored. `data_of`: further connections whose data its input may hold."""

    trigger: TriggerKind
    input: dict[str, Any]
    by: str
    position: int
    key: str | None = None
    depth: int = 0
    origin_flow_ids: Sequence[UUID] = ()
    data_of: Iterable[UUID] = field(default=())


@transaction.atomic
def start_run(
    flow: Flow,
    *,
    trigger: TriggerKind,
    input: dict[str, Any],
    by: str,
    key: str | None = None,
    depth: int = 0,
    origin_flow_ids: Sequence[UUID] = (),
    position: int | None = None,
    is_dry: bool = False,
    version: FlowVersion | None = None,
    rerun_of: FlowRun | None = None,
) -> Started:
    """Queue a run of the published version, or of another one. With a key that a run of the flow has, that one is it.

    A pause does not matter here: triggers look at it themselves. Errors: ConflictError FLOW_NOT_PUBLISHED,
    CONNECTION_DISCONNECTED, FLOW_DELETED.
    """
    with scope(workspace=flow.workspace_id):
        locked = lock_flow(flow)
        version = published(locked) if version is None else version
        key = None if is_dry or key is None else stored_key(key)
        if known := _known(locked, [key]):
            return Started(FlowRun.objects.get(flow_id=locked.pk, key__in=known), is_new=False)
        definition = definition_of(version)
        if not is_dry:
            refuse_ended(touched_ids(version, definition, input))
        start = Start(
            trigger=trigger,
            input=input,
            by=by,
            position=present_position(locked) if position is None else position,
            key=key,
            depth=depth,
            origin_flow_ids=origin_flow_ids,
            data_of=rerun_of.connection_ids if rerun_of else (),
        )
        run = _built(locked, version, definition, start, clock.now(), is_dry=is_dry)
        run.rerun_of = rerun_of
        run.save(force_insert=True)
        if is_dry:
            run_soon(run.pk)
        else:
            admit(locked.pk)
        run.refresh_from_db()
        return Started(run, is_new=True)


def insert_runs(flow: Flow, version: FlowVersion, starts: Sequence[Start]) -> int:
    """Queue many runs of a locked flow, without those whose key a run has. Answers how many. In the flow's scope."""
    known = _known(flow, [start.key for start in starts])
    at, definition, runs = clock.now(), definition_of(version), []
    for start in starts:
        if start.key not in known:
            runs.append(_built(flow, version, definition, start, at))
            known |= {start.key} - {None}
    if runs:
        FlowRun.objects.bulk_create(runs, batch_size=200)
        admit(flow.pk)
    return len(runs)


def run_by_hand(
    flow: Flow, body: dict[str, Any], *, by: str, kind: TriggerKind = TriggerKind.MANUAL, key: str | None = None
) -> Started:
    """Start a run with a body that somebody sent. `key` is the caller's own; a key that the definition makes wins.

    A call of the API is a trigger, and a paused flow has none; a person at the button may run it all the same.
    Errors: as of `start_run`; ConflictError FLOW_PAUSED; ExpressionError of the definition's key.
    """
    with scope(workspace=flow.workspace_id):
        now = Flow.objects.select_related("version").filter(pk=flow.pk).first() or flow
        if kind == TriggerKind.API and now.is_paused:
            raise ConflictError("This flow is paused: resume it before it is called.", code="FLOW_PAUSED")
        input = {"kind": kind.value, "at": utc_text(clock.now()), "body": body}
        version = published(now)
        made = key_of(definition_of(version), input)
        own = None if key is None else f"{kind.value}:{key}"
        return start_run(now, trigger=kind, input=input, by=by, key=made or own, version=version)


def published(flow: Flow) -> FlowVersion:
    """The version that runs. Errors: ConflictError FLOW_NOT_PUBLISHED."""
    if flow.version is None:
        raise ConflictError("This flow was never published. Publish it first.", code="FLOW_NOT_PUBLISHED")
    return flow.version


def definition_of(version: FlowVersion) -> Definition:
    """The parsed definition: it was checked as a whole when it was published."""
    return Definition.model_validate(version.definition)


def key_of(definition: Definition, input: Mapping[str, Any]) -> str | None:
    """What the definition tells causes by; None when it does not, or nothing comes of it. Errors: ExpressionError."""
    if definition.key is None:
        return None
    value = render({"$": definition.key}, {"trigger": input})
    text = value if isinstance(value, str) else "" if value is None else dumps(value)
    return stored_key(text) if text else None


def stored_key(text: str) -> str:
    """The key as it is stored: a long one by its digest."""
    if len(text) <= MOST_KEY_CHARACTERS:
        return text
    return f"sha256:{sha256(text.encode('utf-8', 'replace')).hexdigest()}"


def present_position(flow: Flow) -> int:
    """The end of the flow's feed."""
    feeds = Feed.objects.filter(workspace_id=flow.workspace_id, environment=flow.environment)
    return feeds.values_list("position", flat=True).first() or 0


def _known(flow: Flow, keys: Iterable[str | None]) -> set[str | None]:
    """Those that a run of this flow has."""
    wanted = [key for key in keys if key is not None]
    return (
        set(FlowRun.objects.filter(flow_id=flow.pk, key__in=wanted).values_list("key", flat=True)) if wanted else set()
    )


def _built(
    flow: Flow, version: FlowVersion, definition: Definition, start: Start, at: datetime, *, is_dry: bool = False
) -> FlowRun:
    of_event = event_connection_id(start.input)
    holds = bound_ids(version) | set(start.data_of) | ({of_event} if of_event else set())
    return FlowRun(
        workspace_id=flow.workspace_id,
        environment=flow.environment,
        flow=flow,
        version=version,
        trigger=start.trigger,
        triggered_by=start.by[:160],
        input=start.input,
        key=start.key,
        is_dry=is_dry,
        connection_ids=sorted(holds),
        origin_flow_ids=list(start.origin_flow_ids),
        depth=start.depth,
        admitted_at=at if is_dry else None,
        due_at=at if is_dry else NOT_ADMITTED,
        overdue_at=None if is_dry else at + timedelta(seconds=definition.overdue_after_seconds),
        position=start.position,
    )
