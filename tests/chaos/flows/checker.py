"""Judges what is there in the end: by the simulator's journal and objects, the log of steps, and the feed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import orjson

from flows.choices import FlowRunStatus, StepStatus
from flows.models import FlowRun, StepRun
from tests.chaos.flows.world import PATHS, WRITES
from workspaces.models import Event


@dataclass
class Findings:
    """Each is a list of sentences; all of them are empty when everything is right."""

    doubled: list[str] = field(default_factory=list)  # a write whose effect stands more than once
    lost: list[str] = field(default_factory=list)  # a write of a run that succeeded without its effect
    unended: list[str] = field(default_factory=list)  # runs that did not succeed
    incomplete: list[str] = field(default_factory=list)  # steps that the log lacks, or tells as something else
    told: list[str] = field(default_factory=list)  # ends and own events told never, or twice

    def all(self) -> list[str]:
        return [f"{part.name}: {text}" for part in fields(self) for text in getattr(self, part.name)]


def check(runs: Mapping[str, FlowRun], journal: Iterable[Mapping[str, Any]]) -> Findings:
    """`runs`: the mark of each run -> the run, in the scope of their workspace."""
    found = Findings()
    _effects(runs, journal, found)
    for mark, run in runs.items():
        if run.status != FlowRunStatus.SUCCEEDED:
            found.unended.append(f"{mark} is {run.status}: {run.error}")
    _log(runs, found)
    _feed(runs, found)
    return found


def _effects(runs: Mapping[str, FlowRun], journal: Iterable[Mapping[str, Any]], found: Findings) -> None:
    """Each write of each run had exactly one effect."""
    had: Counter[tuple[str, str, str]] = Counter()
    for entry in journal:
        if entry["effect"] == "none" or entry["side_effect"]:
            continue
        for text in _texts(entry["body"]):
            had[entry["entity"], entry["effect"], text] += 1
    for mark in runs:
        for table, effect, end in WRITES:
            times = had[table, effect, f"{mark}-{end}"]
            if times > 1:
                found.doubled.append(f"{mark}-{end} was {effect} {times} times")
            elif not times:
                found.lost.append(f"{mark}-{end} was never {effect}")


def _texts(body: Any) -> list[str]:
    return [value for value in body.values() if isinstance(value, str)] if isinstance(body, dict) else []


def _log(runs: Mapping[str, FlowRun], found: Findings) -> None:
    """Every step stands in the log once, ended well, with what went in, what came out and when."""
    rows: dict[Any, list[StepRun]] = defaultdict(list)
    for row in StepRun.objects.filter(run_id__in=[run.pk for run in runs.values()]):
        rows[row.run_id].append(row)
    for mark, run in runs.items():
        paths = sorted(row.path for row in rows[run.pk])
        if paths != sorted(PATHS):
            found.incomplete.append(f"{mark} has {paths}")
        for row in rows[run.pk]:
            if row.status != StepStatus.SUCCEEDED or row.finished_at is None or row.finished_at < row.started_at:
                found.incomplete.append(f"{mark} {row.path} is {row.status}: {row.error}")
            elif row.kind != "item" and row.output is None:
                found.incomplete.append(f"{mark} {row.path} has no output")
            elif row.kind in ("create_record", "update_record") and row.operation_id is None:
                found.incomplete.append(f"{mark} {row.path} names no operation")


def _feed(runs: Mapping[str, FlowRun], found: Findings) -> None:
    """The own event of each run and its end were told once."""
    first: Sequence[FlowRun] = list(runs.values())[:1]
    events = Event.objects.filter(workspace_id=first[0].workspace_id) if first else Event.objects.none()
    own, ends = Counter[str](), Counter[str]()
    for kind, body in events.filter(type__in=("custom.chaos.done", "flow.succeeded", "flow.failed")).values_list(
        "type", "body"
    ):
        told = orjson.loads(body)
        if kind == "custom.chaos.done":
            own[told["data"]["mark"]] += 1
        else:
            ends[told["data"]["run"]] += 1
    for mark, run in runs.items():
        shown = f"frun_{run.pk.hex}"
        if own[mark] != 1 or ends[shown] != 1:
            found.told.append(f"{mark}: {own[mark]} times its own event, {ends[shown]} times its end")
