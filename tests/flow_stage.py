"""Published flows, and the workers and ticks that bring their runs on, played in this process.

from tests.flow_stage import drain, make_flow, start, steps_of
"""

from __future__ import annotations

import itertools
from typing import Any
from unittest.mock import patch

import orjson
from django.db import connection as database
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from core import ids
from flows.choices import UNENDED, TriggerKind
from flows.engine.run import execute_flow_run
from flows.models import Flow, FlowRun, FlowVersion, StepRun
from flows.services import waking
from flows.services.editing import change_flow, create_flow
from flows.services.editing import publish as publish_flow
from flows.services.starting import start_run
from syncs.models import Operation
from syncs.operations.execute import execute_operation
from tests.tenants import make_workspace
from workspaces.models import Event, Workspace

_numbers = itertools.count(1)
ROUNDS = 50


def make_flow(
    *steps: Any, workspace: Workspace | None = None, environment: str = "live", is_published: bool = True, **facts: Any
) -> Flow:
    """A flow with these steps. Further facts are connections by their names in it, or parts of its definition."""
    bound = {name: row for name, row in facts.items() if isinstance(row, Connection)}
    rest = {name: value for name, value in facts.items() if name not in bound}
    definition = {
        "trigger": {"on": "manual"},
        "connections": {name: {} for name in bound},
        "steps": list(steps),
        **rest,
    }
    owner = workspace or next((row.workspace for row in bound.values()), None) or make_workspace()
    bindings = {name: ids.show(Connection.PREFIX, row.pk) for name, row in bound.items()}
    with scope(workspace=owner.pk):
        name = f"Flow {next(_numbers)}"
        flow = create_flow(owner, environment, name=name, definition=definition, bindings=bindings, by="tests")
    return publish(flow) if is_published else flow


def publish(flow: Flow, **changes: Any) -> Flow:
    """Publish the draft, changed in these parts."""
    with scope(workspace=flow.workspace_id):
        if changes:
            flow = change_flow(flow, definition={**flow.draft, **changes}, by="tests")
        publish_flow(flow, by="tests")
        return Flow.objects.select_related("version").get(pk=flow.pk)


def start(flow: Flow, body: Any = None, **facts: Any) -> FlowRun:
    """Queue a run; `facts` as of `start_run`."""
    values = {"trigger": TriggerKind.MANUAL, "by": "tests", **facts}
    values.setdefault("input", {"kind": "manual", "at": "2026-03-01T08:00:00Z", "body": body})
    with scope(workspace=flow.workspace_id):
        return start_run(flow, **values).run


def work(run: FlowRun) -> FlowRun:
    """One worker's turn, if the run is due."""
    with patch("flows.engine.handlers.writes.WAIT_SECONDS", 0.0):
        execute_flow_run(run.pk)
    number_events()
    return fresh(run)


def drain(run: FlowRun, *, operations: bool = True) -> FlowRun:
    """Workers and ticks, until nothing more can be done now. Time does not pass."""
    for _ in range(ROUNDS):
        before = fresh(run)
        with scopes_disabled():
            due = Operation.objects.filter(status__in=("queued", "unknown", "awaiting_source"))
            for pk in list(due.values_list("pk", flat=True)) if operations else []:
                execute_operation(pk)
        waking.wake_behind_events(seconds=0.1)
        waking.wake_behind_operations()
        after = work(run)
        if after.status not in UNENDED or (after.fence == before.fence and not _is_due(after)):
            return after
    raise AssertionError(f"the run goes on and on: {fresh(run).current_step}")


def run_flow(*steps: Any, body: Any = None, is_dry: bool = False, **facts: Any) -> FlowRun:
    """Made, started and brought as far as it goes now."""
    return drain(start(make_flow(*steps, **facts), body, is_dry=is_dry))


def let_pass(run: FlowRun, seconds: float) -> None:
    """As if so much time had passed since what is stored of the run."""
    gone = f"interval '{seconds} seconds'"
    with database.cursor() as cursor:
        cursor.execute(
            f"UPDATE flows_flowrun SET due_at = due_at - {gone} WHERE id = %s AND due_at < '9000-01-01'", [run.pk]
        )
        cursor.execute(
            f"UPDATE flows_steprun SET started_at = started_at - {gone}, finished_at = finished_at - {gone}"
            " WHERE run_id = %s",
            [run.pk],
        )


def lose_lease(run: FlowRun) -> None:
    """The worker that holds the run died some time ago."""
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE flows_flowrun SET status = 'running', lease_until = clock_timestamp() - interval '1 second',"
            " due_at = clock_timestamp() WHERE id = %s",
            [run.pk],
        )


def number_events() -> None:
    """What a commit does: events of this transaction get their positions."""
    database.check_constraints()


def fresh(row: Any) -> Any:
    with scopes_disabled():
        return type(row).objects.get(pk=row.pk)


def steps_of(run: FlowRun) -> dict[str, StepRun]:
    """By path, in the order they began."""
    with scopes_disabled():
        return {row.path: row for row in StepRun.objects.filter(run_id=run.pk).order_by("id")}


def outputs_of(run: FlowRun) -> dict[str, Any]:
    return {path: row.output for path, row in steps_of(run).items()}


def statuses_of(run: FlowRun) -> dict[str, str]:
    return {path: str(row.status) for path, row in steps_of(run).items()}


def events_of(run: FlowRun) -> list[dict[str, Any]]:
    """What the run told, in order."""
    with scopes_disabled():
        bodies = Event.objects.filter(workspace_id=run.workspace_id).order_by("position").values_list("body", flat=True)
        told = [orjson.loads(body) for body in bodies]
    return [event for event in told if event["origin_run"] == ids.show(FlowRun.PREFIX, run.pk)]


def version_of(run: FlowRun) -> FlowVersion:
    with scopes_disabled():
        return FlowVersion.objects.get(pk=run.version_id)


def _is_due(run: FlowRun) -> bool:
    with database.cursor() as cursor:
        cursor.execute("SELECT due_at <= clock_timestamp() FROM flows_flowrun WHERE id = %s", [run.pk])
        return bool(cursor.fetchone()[0])
