"""What the editor of mappings shows of stored objects: raw fields, previews, and how far a published one is applied."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from connections.admin.mapping_editor import check_editable, editor_address, read_rows
from connections.models import Connection
from core.admin_texts import plural
from core.errors import LineshaftError, PermissionDeniedError
from core.ids import derived_id, namespace_of
from core.json import dumps
from syncs.mapping_bodies import findings_body, progress_body, tried_body
from syncs.models import SyncRun
from syncs.services.mapping_trials import MOST_PREVIEWED, Findings, raw_findings, try_rows
from syncs.services.remap_progress import RemapProgress, remap_progress

MOST_ROWS_CHARACTERS = 500_000


def mapping_extras(connection: Connection, entity: str) -> dict[str, Any]:
    """For the page: the raw fields, where to ask while one edits, how far the mapping in force is applied."""
    try:
        found, told = raw_findings(connection, entity), ""
    except PermissionDeniedError as error:
        found, told = Findings(0, 0, True, False, []), error.detail
    return {
        "findings": found,
        "findings_told": told or _told(found),
        "raw_fields": findings_body(entity, found)["fields"],
        "preview_address": editor_address(connection, entity, "mapping_preview"),
        "progress_address": editor_address(connection, entity, "mapping_progress"),
        "progress": told_progress(remap_progress(connection, entity)),
    }


def preview_view(admin: Any, request: HttpRequest, connection: Connection, entity: str) -> HttpResponse:
    """`rows` (JSON) and `remote_ids` (comma separated): what stored records become. Stores nothing.

    Shape: {"data": [...]} as the API's trial, or {"errors": [{pointer, code, detail}]} with status 200, since a draft that
    is not right yet is nothing gone wrong.
    """
    check_editable(admin, request, connection, entity)
    sent = request.POST if request.method == "POST" else request.GET
    text = sent.get("rows", "")[:MOST_ROWS_CHARACTERS]
    wanted = [part.strip() for part in sent.get("remote_ids", "").split(",") if part.strip()]
    space = namespace_of(connection.pk, entity)
    ids = [derived_id(space, remote_id) for remote_id in wanted[:MOST_PREVIEWED]]
    try:
        tried = try_rows(connection, entity, read_rows(text), record_ids=ids)
    except LineshaftError as error:
        errors = [vars(one) for one in error.errors] or [{"pointer": "", "code": error.code, "detail": error.detail}]
        return _json({"errors": errors})
    return _json({"data": [tried_body(entity, one) for one in tried]})


def progress_view(admin: Any, request: HttpRequest, connection: Connection, entity: str) -> HttpResponse:
    """How far the mapping in force is applied, in words too."""
    check_editable(admin, request, connection, entity)
    progress = remap_progress(connection, entity)
    return _json({**progress_body(entity, progress), **told_progress(progress)})


def told_progress(progress: RemapProgress) -> dict[str, Any]:
    """`text` for people, `active` while it is worth asking again, `address` of the run."""
    run = progress.run
    return {
        "text": _progress_text(progress, run),
        "active": progress.state in ("due", "running"),
        "failed": progress.state == "failed",
        "address": reverse("admin:syncs_syncrun_change", args=[run.pk]) if run is not None else "",
    }


def _progress_text(progress: RemapProgress, run: SyncRun | None) -> str:
    if progress.first_sync:
        return "Nothing is copied yet: the first sync maps with what is in force."
    if progress.state == "due":
        return "Published. A run that maps what is stored anew starts within seconds."
    if run is None or progress.state == "applied":
        done = f" {plural(run.updated_count, 'record')} changed by it." if run is not None and run.finished_at else ""
        return f"Every stored record is mapped with what is in force.{done}"
    if progress.state == "running":
        return f"Mapping anew: {plural(run.read_count, 'record')} done, {run.updated_count} changed so far."
    why = (run.error or {}).get("message", "It was cancelled.")
    return f"Not applied: {why} Bring back an earlier version, or publish one that is mended."


def _told(found: Findings) -> str:
    """What the sample is."""
    if not found.seen:
        return "Nothing is copied yet, so nothing is known of its objects. Run the sync first."
    size = f"all {found.seen}" if found.complete else f"the {found.seen} newest"
    aside = f", {found.quarantined} of them set aside" if found.quarantined else ""
    return f"Seen in {size} stored objects{aside}."


def _json(body: Any) -> HttpResponse:
    return HttpResponse(dumps(body), content_type="application/json")
