"""A run as lists and its own page show it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.urls import reverse
from django.utils import timezone

from core import ids
from core.admin_texts import duration, moment
from flows.choices import RUN_BADGES, UNENDED, FlowRunStatus, WaitsFor
from flows.models import FlowRun

__all__ = ["run_facts", "run_row", "run_rows", "standing", "took_text", "trigger_text", "version_text"]


def run_rows(runs: Iterable[FlowRun]) -> list[dict[str, Any]]:
    """Runs as `flows/run_table.html` shows them; their versions come with them."""
    return [run_row(run) for run in runs]


def run_row(run: FlowRun) -> dict[str, Any]:
    return {
        "address": reverse("admin:flows_flowrun_change", args=[run.pk]),
        "at": run.started_at or run.created_at,
        "label": FlowRunStatus(run.status).label,
        "colour": RUN_BADGES[FlowRunStatus(run.status)],
        "is_dry": run.is_dry,
        "trigger": trigger_text(run),
        "version": version_text(run),
        "took": took_text(run),
        "step": run.current_step if run.status != FlowRunStatus.SUCCEEDED else "",
        "error": run.error or {},
    }


def run_facts(run: FlowRun) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [
        ("Trigger", trigger_text(run)),
        ("Version", version_text(run)),
        ("Asked for", moment(run.created_at)),
        ("Started", moment(run.started_at, empty="not yet")),
        ("Took", took_text(run) or "—"),
        ("Environment", run.get_environment_display()),
        ("Id", ids.show(FlowRun.PREFIX, run.pk)),
    ]
    if run.current_step and run.status != FlowRunStatus.SUCCEEDED:
        facts.insert(0, ("Step", run.current_step))
    if run.depth:
        facts.append(("Depth", f"{run.depth} runs of flows led to it"))
    if run.key is not None:
        facts.append(("Key", run.key))
    return facts


def standing(run: FlowRun) -> str:
    """What an unended run is doing, or waits for, in one sentence."""
    if run.status not in UNENDED:
        return ""
    if run.cancel_requested:
        return "It was asked to stop and does so before its next step."
    if run.status == FlowRunStatus.QUEUED and run.admitted_at is None:
        return "It waits until runs before it have ended: its flow runs only so many at once."
    if run.status == FlowRunStatus.WAITING:
        return _waiting(run)
    return "A worker takes it up within a second or two." if run.status == FlowRunStatus.QUEUED else ""


def trigger_text(run: FlowRun) -> str:
    told = str(run.get_trigger_display())
    return f"{told} ({run.triggered_by})" if run.triggered_by else told


def version_text(run: FlowRun) -> str:
    number = run.version.number
    return "the draft" if number is None else f"v{number}"


def took_text(run: FlowRun) -> str:
    if run.started_at is None:
        return ""
    end = run.finished_at or (timezone.now() if run.status in UNENDED else None)
    return duration(max((end - run.started_at).total_seconds(), 0)) if end else ""


def _waiting(run: FlowRun) -> str:
    if run.waits_for == WaitsFor.PERSON:
        return "Nobody can tell whether the request of this step was done. Look where it was sent, then say what became of it."
    if run.waits_for == WaitsFor.OPERATION:
        return "It waits until the system has done its write; the step leads to the operation."
    if run.waits_for == WaitsFor.EVENT:
        return f"It waits for an event: {', '.join(run.wait_types)}."
    return "It waits for its time. No worker is held."
