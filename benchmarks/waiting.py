"""`make bench SUITE=waiting`: ten thousand runs of flows wait, and those whose time has come go on.

    .venv/bin/python -m config.services run --ephemeral -- .venv/bin/python -m benchmarks.waiting

One tick and one worker with two children, as in a small installation; 20 runs a second fall due. Meanwhile a run that nobody waits for is started and
timed: waiting holds no worker. The last line of standard output is one JSON object: {"waiting", "due_per_s", "woken", "p50_s", "p95_s",
"max_s", "meanwhile_s"}; lateness is from a run's time to the commit of what follows the wait. The exit code is 1 when one
was later than five seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.processes import BenchmarkError, end_of, running

BAR_SECONDS = 5.0
FLOWS, QUIET_SECONDS, LOOK_SECONDS = 100, 25.0, 0.5
STEPS = [
    {"name": "rest", "do": "wait", "until": {"$": "trigger.body.until"}},
    {"name": "after", "do": "map", "value": {"$": "trigger.body.until"}},
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument(
        "--due", type=int, default=1_500, help="how many of them fall due; the others wait for tomorrow"
    )
    parser.add_argument("--per-second", type=float, default=20.0, help="how many fall due in a second")
    options = parser.parse_args()
    os.environ.update(DJANGO_SETTINGS_MODULE="config.settings", LOG_LEVEL="WARNING")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    try:
        result = _measure(options.runs, options.due, options.per_second)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    return int(result["woken"] < options.due or result["max_s"] > BAR_SECONDS)


def _measure(runs: int, due: int, per_second: float) -> dict[str, Any]:
    from django_scopes import scope

    from flows.services.starting import run_by_hand

    workspace, flows = _flows()
    first = _waiting_run(flows[0])
    with tempfile.TemporaryDirectory(prefix="lineshaft-bench-") as folder, ExitStack() as stack:
        for name, command in (("tick", ["tick"]), ("worker", ["worker", "flows", "--concurrency", "2"])):
            log = Path(folder) / f"{name}.log"
            stack.enter_context(running([sys.executable, "manage.py", *command], log=log))
        _multiply(first, flows, runs, due, per_second)
        print(f"{_waiting()} runs wait")
        with scope(workspace=workspace.pk):
            free = run_by_hand(flows[-1], {"until": "2026-01-01T00:00:00Z"}, by="bench").run
        began = time.monotonic()
        while not _has_ended(free.pk):
            if time.monotonic() - began > 60:
                raise BenchmarkError(
                    f"A run beside those that wait does not end:\n{end_of(Path(folder) / 'worker.log')}"
                )
            time.sleep(0.02)
        meanwhile = time.monotonic() - began
        limit = time.monotonic() + QUIET_SECONDS + due / per_second + 60
        while _waiting() > runs - due and time.monotonic() < limit:
            time.sleep(LOOK_SECONDS)
    return {"waiting": runs, "due_per_s": per_second, **_lateness(free.pk), "meanwhile_s": round(meanwhile, 2)}


def _flows() -> tuple[Any, list[Any]]:
    from django_scopes import scope, scopes_disabled

    from flows.services.editing import create_flow, publish
    from workspaces.models import Workspace

    with scopes_disabled():
        workspace = Workspace.objects.create(name="Waiting", slug="waiting")
    definition = {"trigger": {"on": "manual"}, "queue": {"limit": 100}, "steps": STEPS}
    flows = []
    with scope(workspace=workspace.pk):
        for number in range(FLOWS + 1):
            flow = create_flow(
                workspace, "test", name=f"Flow {number}", description="", definition=definition, bindings={}, by="bench"
            )
            publish(flow, by="bench")
            flow.refresh_from_db()
            flows.append(flow)
    return workspace, flows


def _waiting_run(flow: Any) -> Any:
    """One run that came to its wait as all do."""
    from django.utils import timezone
    from django_scopes import scope

    from flows.engine.run import execute_flow_run
    from flows.services.starting import run_by_hand

    with scope(workspace=flow.workspace_id):
        until = (timezone.now() + timedelta(days=1)).isoformat()
        run = run_by_hand(flow, {"until": until}, by="bench").run
        execute_flow_run(run.pk)
        run.refresh_from_db()
    if run.status != "waiting":
        raise BenchmarkError(f"The run is {run.status}: {run.error}")
    return run


def _multiply(first: Any, flows: list[Any], runs: int, due: int, per_second: float) -> None:
    """Copies of that run, as many as are wanted, each with its own time, in all flows; the first one goes."""
    from django.utils import timezone
    from django_scopes import scopes_disabled

    from core.ids import new_id
    from flows.models import FlowRun, StepRun

    begin = timezone.now() + timedelta(seconds=QUIET_SECONDS)
    with scopes_disabled():
        step: Any = StepRun.objects.get(run=first)
        copies, steps = [], []
        for number in range(runs):
            seconds = number / per_second if number < due else 86_400.0 + number
            until, flow = begin + timedelta(seconds=seconds), flows[number % FLOWS]
            shown = until.isoformat()
            given = {**first.input, "body": {"until": shown}}
            copies.append(_copy(first, id=new_id(), flow=flow, version_id=flow.version_id, due_at=until, input=given))
            steps.append(_copy(step, id=new_id(), run_id=copies[-1].pk, input={**step.input, "until": shown}))
        FlowRun.objects.bulk_create(copies, batch_size=500)
        StepRun.objects.bulk_create(steps, batch_size=500)
        FlowRun.objects.filter(pk=first.pk).delete()


def _copy(row: Any, *, flow: Any = None, **changes: Any) -> Any:
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return type(row)(**{**values, **changes, **({"flow_id": flow.pk} if flow is not None else {})})


def _waiting() -> int:
    from django_scopes import scopes_disabled

    from flows.models import FlowRun

    with scopes_disabled():
        return int(FlowRun.objects.unended().count())


def _has_ended(pk: Any) -> bool:
    from django_scopes import scopes_disabled

    from flows.models import FlowRun

    with scopes_disabled():
        return not FlowRun.objects.unended().filter(pk=pk).exists()


def _lateness(free: Any) -> dict[str, Any]:
    """From each run's time to the commit of the step behind its wait."""
    from datetime import datetime

    from django_scopes import scopes_disabled

    from flows.models import StepRun

    with scopes_disabled():
        rows = StepRun.objects.filter(name="after", status="succeeded").exclude(run_id=free)
        told: Any = rows.values_list("output", "finished_at")
        late = sorted((ended - datetime.fromisoformat(until)).total_seconds() for until, ended in told)
    if not late:
        raise BenchmarkError("Not one run went on.")
    at = {"p50_s": 0.5, "p95_s": 0.95}
    shares = {name: round(late[min(len(late) - 1, int(len(late) * share))], 2) for name, share in at.items()}
    return {"woken": len(late), **shares, "max_s": round(late[-1], 2)}


if __name__ == "__main__":
    sys.exit(main())
