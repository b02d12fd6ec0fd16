"""Publishing: a draft becomes a version that runs, and its trigger begins. Pausing and resuming the trigger."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson
from django.db import transaction

from core.errors import ConflictError
from flows.choices import TriggerKind
from flows.definitions.model import Definition, EventTrigger, ScheduleTrigger
from flows.definitions.schedule import next_time
from flows.models import Flow, FlowVersion
from flows.services.binding import kept_bindings, refuse_unbound
from flows.services.drafts import read_draft
from flows.services.following import reset_position
from flows.services.locking import lock_flow, tell_audit
from flows.services.starting import definition_of
from webhooks.services import clock

__all__ = ["digest_of", "pause", "publish", "resume"]


@transaction.atomic
def publish(flow: Flow, *, by: str, of_draft: Any = None) -> FlowVersion:
    """Freeze the draft with its bindings as the version that runs start with from now on. Runs under way keep theirs.

    A draft that is what runs already makes no new version. `of_draft` is the one that the caller judged: nobody slips
    another in. Errors: ValidationFailedError (pointers /definition/..., /bindings/...), ConflictError FLOW_CHANGED.
    """
    locked = lock_flow(flow)
    if of_draft is not None and of_draft != locked.draft:
        raise ConflictError("Somebody changed the draft meanwhile. Look at it, and publish again.", code="FLOW_CHANGED")
    definition = read_draft(locked.draft)
    refuse_unbound(locked, definition)
    bindings = kept_bindings(definition, locked.bindings)
    digest, was = digest_of(locked.draft, bindings), locked.version
    if was is not None and was.digest == digest:
        return was
    version = _freeze(locked, bindings, digest, by)
    _begin_trigger(locked, definition, was)
    locked.version = version
    locked.save(update_fields=["version", "trigger_kind", "next_due_at", "position", "trigger_error", "updated_at"])
    tell_audit("published", locked, version=version.number, by=by)
    return version


@transaction.atomic
def pause(flow: Flow, *, by: str) -> Flow:
    """Let its trigger start nothing until it is resumed; runs under way go on. Pausing twice changes nothing."""
    locked = lock_flow(flow)
    if not locked.is_paused:
        locked.is_paused, locked.next_due_at = True, None
        locked.save(update_fields=["is_paused", "next_due_at", "updated_at"])
        tell_audit("paused", locked, by=by)
    return locked


@transaction.atomic
def resume(flow: Flow, *, by: str) -> Flow:
    """Let its trigger start runs again, from now on: what fell into the pause is not made up for."""
    locked = lock_flow(flow)
    if locked.is_paused:
        locked.is_paused, locked.trigger_error = False, None
        if locked.version is not None:
            _start_trigger(locked, definition_of(locked.version))
        locked.save(update_fields=["is_paused", "trigger_error", "next_due_at", "position", "updated_at"])
        tell_audit("resumed", locked, by=by)
    return locked


def digest_of(definition: Any, bindings: Any) -> str:
    """Equal for equal contents, however their keys are ordered."""
    return sha256(orjson.dumps([definition, bindings], option=orjson.OPT_SORT_KEYS)).hexdigest()


def _freeze(flow: Flow, bindings: dict[str, str], digest: str, by: str) -> FlowVersion:
    last = (
        FlowVersion.objects.published()
        .filter(flow_id=flow.pk)
        .order_by("-number")
        .values_list("number", flat=True)
        .first()
    )
    version = FlowVersion(
        workspace_id=flow.workspace_id,
        flow=flow,
        number=(last or 0) + 1,
        definition=flow.draft,
        bindings=bindings,
        digest=digest,
        created_by=by[:160],
    )
    version.save(force_insert=True)
    version.refresh_from_db(fields=["created_at"])
    return version


def _begin_trigger(flow: Flow, definition: Definition, was: FlowVersion | None) -> None:
    """Set where the trigger of a new version stands. The caller saves.

    What goes on as before keeps its place, so that publishing skips no time and no event.
    """
    before = definition_of(was).trigger if was is not None else None
    trigger, was_kind = definition.trigger, flow.trigger_kind
    flow.trigger_kind, flow.trigger_error = trigger.on, None
    if flow.is_paused:
        flow.next_due_at = None
    elif isinstance(trigger, ScheduleTrigger):
        if before != trigger or flow.next_due_at is None:
            _start_trigger(flow, definition)
    elif not isinstance(trigger, EventTrigger) or was_kind != TriggerKind.EVENT:
        _start_trigger(flow, definition)


def _start_trigger(flow: Flow, definition: Definition) -> None:
    """From now on. The caller saves."""
    trigger = definition.trigger
    flow.next_due_at = None
    if isinstance(trigger, ScheduleTrigger):
        flow.next_due_at = next_time(trigger.cron, trigger.zone, clock.now())
    elif isinstance(trigger, EventTrigger):
        reset_position(flow)
