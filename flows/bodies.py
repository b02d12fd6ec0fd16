"""How rows of this room are shown, in the API and by the commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connections.models import Connection
from core.ids import show
from flows.choices import FlowRunStatus, WaitsFor
from flows.models import Flow, FlowHookMessage, FlowRun, FlowSecret, FlowVersion, StepRun
from flows.services.publishing import digest_of
from syncs.models import Operation

Body = dict[str, Any]

DRAFT, ACTIVE, PAUSED = "draft", "active", "paused"
FLOW_STATES = (DRAFT, ACTIVE, PAUSED)
_RUN_ERROR = ("code", "category", "message", "who_must_act", "retryable", "action", "step")


def flow_body(flow: Flow) -> Body:
    """A flow as lists show it; its version comes with it, its draft is not read."""
    version = flow.version
    return {
        "id": show(Flow.PREFIX, flow.pk),
        "environment": flow.environment,
        "name": flow.name,
        "description": flow.description,
        "status": state_of(flow),
        "trigger": flow.trigger_kind or None,
        "version": None if version is None else {"number": version.number, **_made(version)},
        "next_due_at": flow.next_due_at,
        "trigger_error": flow.trigger_error,
        **_made(flow),
        "updated_at": flow.updated_at,
    }


def flow_detail(flow: Flow) -> Body:
    """With the draft and its bindings, and whether they differ from what runs."""
    is_same = flow.version is not None and digest_of(flow.draft, flow.bindings) == flow.version.digest
    return {**flow_body(flow), "definition": flow.draft, "bindings": flow.bindings, "has_changes": not is_same}


def state_of(flow: Flow) -> str:
    """`draft` until it is published, whether paused or not."""
    if flow.version_id is None:
        return DRAFT
    return PAUSED if flow.is_paused else ACTIVE


def version_body(version: FlowVersion) -> Body:
    """A version as lists show it."""
    return {"flow": show(Flow.PREFIX, version.flow_id), "number": version.number, **_made(version)}


def version_detail(version: FlowVersion) -> Body:
    return {**version_body(version), "definition": version.definition, "bindings": version.bindings}


def secret_body(secret: FlowSecret) -> Body:
    """A secret without the secret."""
    return {"name": secret.name, "created_at": secret.created_at, "updated_at": secret.updated_at}


def run_body(run: FlowRun) -> Body:
    """A run as lists show it; its version comes with it."""
    sleeps = run.status == FlowRunStatus.WAITING and run.waits_for in (WaitsFor.TIME, WaitsFor.EVENT)
    plain = ("environment", "status", "trigger", "triggered_by", "key", "is_dry", "depth")
    times = ("created_at", "started_at", "finished_at")
    return {
        "id": show(FlowRun.PREFIX, run.pk),
        "flow": show(Flow.PREFIX, run.flow_id),
        "version": run.version.number,
        **{name: getattr(run, name) for name in plain},
        "rerun_of": show(FlowRun.PREFIX, run.rerun_of_id),
        "connections": [show(Connection.PREFIX, pk) for pk in run.connection_ids],
        **{name: getattr(run, name) for name in times},
        "waits_for": run.waits_for or None,
        "wakes_at": run.due_at if sleeps else None,
        "current_step": run.current_step or None,
        "error": _error(run.error, _RUN_ERROR),
    }


def run_detail(run: FlowRun) -> Body:
    """With what its expressions see as `trigger`."""
    return {**run_body(run), "input": run.input}


def step_body(step: StepRun) -> Body:
    """What a step did, as the API shows it."""
    plain = ("path", "scope", "name", "kind", "status", "retry", "input", "output", "error", "attempts", "call")
    return {
        "id": show(StepRun.PREFIX, step.pk),
        "run": show(FlowRun.PREFIX, step.run_id),
        **{name: getattr(step, name) for name in plain},
        "operation": show(Operation.PREFIX, step.operation_id),
        "started_at": step.started_at,
        "finished_at": step.finished_at,
    }


def message_body(message: FlowHookMessage) -> Body:
    """A message by its row with `start` and `size`, see `flows.api.hooks`."""
    row: Any = message
    return {
        "id": show(FlowHookMessage.PREFIX, message.pk),
        "flow": show(Flow.PREFIX, message.flow_id),
        "status": message.status,
        "run": show(FlowRun.PREFIX, message.run_id),
        "error": message.error or None,
        "headers": message.headers,
        "body": bytes(row.start).decode("utf-8", "replace"),
        "body_bytes": row.size,
        "received_at": message.received_at,
    }


def _made(row: Flow | FlowVersion) -> Body:
    return {"created_at": row.created_at, "created_by": row.created_by}


def _error(error: Mapping[str, Any] | None, names: tuple[str, ...]) -> Body | None:
    return None if error is None else {name: error.get(name) for name in names}
