"""A run as lists and its own page show it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.urls import reverse
from django.utils import timezone

from core import ids
from core.admin_texts import absolute, duration, moment
from syncs.admin.telling import counts_line
from syncs.choices import ACTIVE, RUN_BADGES, RunStatus
from syncs.models import SyncRun

__all__ = ["run_counters", "run_facts", "run_row", "run_rows", "took_text", "trigger_text"]

STATUS_LABELS = dict(RunStatus.choices)


def run_rows(runs: Iterable[SyncRun]) -> list[dict[str, Any]]:
    """Runs as `syncs/run_table.html` shows them."""
    return [run_row(run) for run in runs]


def run_row(run: SyncRun) -> dict[str, Any]:
    return {
        "address": reverse("admin:syncs_syncrun_change", args=[run.pk]),
        "at": run.started_at or run.created_at,
        "label": STATUS_LABELS[run.status],
        "colour": RUN_BADGES[RunStatus(run.status)],
        "mode": run.get_mode_display(),
        "trigger": trigger_text(run),
        "took": took_text(run),
        "counts": counts_line(run),
        "error": run.error or {},
    }


def run_facts(run: SyncRun) -> list[tuple[str, Any]]:
    since = absolute(run.window_since) if run.window_since else "the beginning"
    window = f"{since} to {absolute(run.window_until)}" if run.window_until else "not opened"
    facts: list[tuple[str, Any]] = [
        ("Mode", run.get_mode_display()),
        ("Trigger", trigger_text(run)),
        ("Started", moment(run.started_at, empty="not yet")),
        ("Took", took_text(run) or "—"),
        ("Window (the system's clock)", window),
        ("Mapping", _mappings(run)),
        ("Pages", f"{run.page_no:,}"),
        ("Id", ids.show(SyncRun.PREFIX, run.pk)),
    ]
    if run.phase:
        facts.insert(2, ("Phase", run.get_phase_display()))
    if run.status == RunStatus.WAITING:
        facts.append(("Goes on", moment(run.due_at)))
    if run.review:
        facts.append(("Review", f"{run.get_review_display()} ({run.reviewed_by or 'by itself'})"))
    return facts


def _mappings(run: SyncRun) -> str:
    if run.default_mapping is None:
        return "not pinned yet"
    own = f", override version {run.override_mapping.version}" if run.override_mapping else ""
    return f"default version {run.default_mapping.version}{own}"


def run_counters(run: SyncRun) -> list[tuple[str, int]]:
    names = ("read", "created", "updated", "unchanged", "deleted", "quarantined")
    return [(name.capitalize(), getattr(run, f"{name}_count")) for name in names]


def trigger_text(run: SyncRun) -> str:
    return f"{run.get_trigger_display()} ({run.triggered_by})" if run.triggered_by else run.get_trigger_display()


def took_text(run: SyncRun) -> str:
    if run.started_at is None:
        return ""
    end = run.finished_at or (timezone.now() if run.status in ACTIVE else None)
    return duration(max((end - run.started_at).total_seconds(), 0)) if end else ""
