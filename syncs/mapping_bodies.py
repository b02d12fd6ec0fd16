"""Mapping trials, progress and coverage as JSON: what the API answers, and what the editor's screen reads."""

from __future__ import annotations

from typing import Any

from core import ids
from core.redaction import redact
from integrations.entities import ENTITIES
from syncs.models import SyncRun
from syncs.services.field_coverage import EntityCoverage
from syncs.services.mapping_trials import Findings, Tried
from syncs.services.remap_progress import RemapProgress


def findings_body(entity: str, found: Findings) -> dict[str, Any]:
    """The places of a sample."""
    return {
        "entity": entity,
        "sampled": found.seen,
        "quarantined": found.quarantined,
        "complete": found.complete,
        "cut": found.cut,
        "fields": [
            {
                "path": one.field.text,
                "kind": one.field.kind,
                "coverage_percent": one.coverage,
                "examples": one.field.examples,
                "used_by": one.used_by,
                "proposal": one.proposal and vars(one.proposal),
            }
            for one in found.suggestions
        ],
    }


def tried_body(entity: str, tried: Tried) -> dict[str, Any]:
    """One object before and after: only the fields that differ."""
    return {
        "record_id": ids.show(ENTITIES[entity].describes.id_prefix, tried.stored.record_id),
        "remote_id": tried.stored.remote_id[:512],
        "quarantined": tried.stored.is_quarantined,
        "changed": tried.changed,
        "before": _only(tried.before.unified, tried.changed),
        "after": _only(tried.after.unified, tried.changed),
        "error_before": tried.before.error,
        "error": tried.after.error,
        "error_field": tried.after.field,
    }


def progress_body(entity: str, progress: RemapProgress) -> dict[str, Any]:
    """How far the mapping in force is applied."""
    return {
        "entity": entity,
        "state": progress.state,
        "first_sync": progress.first_sync,
        "default_version": progress.default.version,
        "override_version": progress.override.version if progress.override else None,
        "run": _run(progress.run) if progress.run else None,
    }


def coverage_body(found: EntityCoverage) -> dict[str, Any]:
    """How well the fields of one entity are filled."""
    return {
        "entity": found.entity,
        "sampled": found.sampled,
        "complete": found.complete,
        "fields": [{**vars(one), "filled_percent": one.percent} for one in found.fields],
    }


def _only(unified: dict[str, Any] | None, names: list[str]) -> dict[str, Any] | None:
    """The named fields, those of `custom` within it; secrets are cut."""
    if unified is None:
        return None
    kept: dict[str, Any] = {}
    for name in names:
        if name.startswith("custom."):
            key = name.removeprefix("custom.")
            kept.setdefault("custom", {}).update({key: unified["custom"][key]} if key in unified["custom"] else {})
        elif name in unified:
            kept[name] = unified[name]
    found: dict[str, Any] = redact(kept)
    return found


def _run(run: SyncRun) -> dict[str, Any]:
    return {
        "id": ids.show(SyncRun.PREFIX, run.pk),
        "status": run.status,
        "mode": run.mode,
        "read": run.read_count,
        "updated": run.updated_count,
        "unchanged": run.unchanged_count,
        "quarantined": run.quarantined_count,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
    }
