"""Flows of a place: one that ran, with all that hangs on it, and one that rests."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connections.models import Connection
from core import ids
from core.ids import new_id
from flows.models import Flow, FlowHookAddress, FlowHookMessage, FlowRun, FlowSecret, FlowVersion, StepRun, WaitCursor
from flows.services.publishing import digest_of
from workspaces.secrets import seal

FAILED, WAITING, LOST = "failed", "waiting", "lost"
STEP = "note"
SECRET = "api_key"
LATE = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass
class Flowing:
    """Rows of flows of one place. `runs` by what they are for."""

    flow: Flow
    resting: Flow
    runs: dict[str, FlowRun] = field(default_factory=dict)
    steps: list[StepRun] = field(default_factory=list)
    messages: list[FlowHookMessage] = field(default_factory=list)

    @property
    def rows(self) -> list[Any]:
        return [self.flow, self.resting, *self.runs.values(), *self.steps, *self.messages]


def definition_of(word: str) -> dict[str, Any]:
    """Nothing is read or written: any token that may publish may publish it."""
    return {
        "format": 1,
        "title": f"{word} flow",
        "connections": {"plant": {"title": word}},
        "trigger": {"on": "api"},
        "steps": [{"name": STEP, "do": "map", "value": {"note": word}}],
    }


def give_flows(word: str, connection: Connection) -> Flowing:
    """Two flows, two versions, three runs, two steps, two messages, a secret and an address."""
    made = Flowing(_flow(word, connection), _flow(f"{word} resting", connection))
    versions = [_version(made.flow, number, word) for number in (1, 2)]
    made.flow.version, made.flow.trigger_kind = versions[-1], "api"
    made.flow.save(update_fields=["version", "trigger_kind"])
    lost = {"status": "waiting", "waits_for": "person", "current_step": STEP, "admitted_at": LATE}
    made.runs = {
        WAITING: _run(word, connection, versions[0], status="waiting", waits_for="time", admitted_at=LATE),
        LOST: _run(word, connection, versions[0], **lost),
        FAILED: _run(word, connection, versions[1], status="failed", current_step="last", **_ended(word)),
    }
    _step(made.runs[LOST], STEP, word, status="waiting", kind="http_request", has_begun=True)
    facts = {"status": "succeeded", "finished_at": LATE, "scope": "each[1]"}
    made.steps = [_step(made.runs[FAILED], f"{facts['scope']}.{name}", word, **facts) for name in (STEP, "then")]
    _step(made.runs[FAILED], "last", word, status="failed", error=_ended(word)["error"])
    made.messages = [_message(made, word) for _ in range(2)]
    _secrets(made.flow, word)
    cursor = {"workspace": connection.workspace, "environment": connection.environment}
    if not WaitCursor.objects.filter(**cursor).exists():
        WaitCursor.objects.create(**cursor)
    return made


def _flow(name: str, connection: Connection) -> Flow:
    flow = Flow(
        workspace=connection.workspace,
        environment=connection.environment,
        name=f"{name} flow",
        description=f"{name} description",
        draft=definition_of(name),
        bindings={"plant": ids.show(Connection.PREFIX, connection.pk)},
        created_by=f"{name} developer",
    )
    flow.save(force_insert=True)
    return flow


def _version(flow: Flow, number: int, word: str) -> FlowVersion:
    facts = {"definition": flow.draft, "bindings": flow.bindings}
    digest = digest_of(*facts.values()) if number == 2 else "0" * 64
    version = FlowVersion(workspace_id=flow.workspace_id, flow=flow, number=number, digest=digest, **facts)
    version.created_by = f"{word} developer"
    version.save(force_insert=True)
    return version


def _ended(word: str) -> dict[str, Any]:
    error = {"code": "STEP_FAILED", "category": "validation", "who_must_act": "developer", "retryable": False}
    error |= {"message": f"{word} failed", "action": "Mend it.", "step": "last"}
    return {"error": error, "finished_at": LATE - timedelta(days=1), "admitted_at": LATE - timedelta(days=2)}


def _run(word: str, connection: Connection, version: FlowVersion, **facts: Any) -> FlowRun:
    run = FlowRun(
        workspace=connection.workspace,
        environment=connection.environment,
        flow_id=version.flow_id,
        version=version,
        trigger="api",
        triggered_by=f"{word} service",
        input={"kind": "api", "at": "2026-03-01T08:00:00Z", "body": {"word": word}},
        key=f"{word}-{new_id().hex}",
        connection_ids=[connection.pk],
        due_at=LATE,
        **facts,
    )
    run.save(force_insert=True)
    return run


def _step(run: FlowRun, path: str, word: str, **facts: Any) -> StepRun:
    values = {"kind": "map", "input": {"note": word}, "output": {"note": word}, **facts}
    step = StepRun(workspace_id=run.workspace_id, run=run, path=path, name=path.rpartition(".")[2], **values)
    step.save(force_insert=True)
    return step


def _message(made: Flowing, word: str) -> FlowHookMessage:
    message = FlowHookMessage(
        workspace_id=made.flow.workspace_id,
        flow=made.flow,
        headers={"user-agent": word},
        body=f'{{"word": "{word}"}}'.encode(),
        status="started",
        run=made.runs[FAILED],
    )
    message.save(force_insert=True)
    return message


def _secrets(flow: Flow, word: str) -> None:
    for row in (
        FlowSecret(workspace_id=flow.workspace_id, flow=flow, name=SECRET),
        FlowHookAddress(workspace_id=flow.workspace_id, flow=flow, digest=new_id().bytes + new_id().bytes),
    ):
        seal(row, f"{word} flow secret")
        row.save(force_insert=True)
