"""What an operation sends and changes: the diff, the upstream requests, and what the system did not take up."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import orjson
from django.urls import reverse

from connections.models import UpstreamCall
from core.admin_texts import number, pretty
from integrations.sdk.writes import exact
from syncs.choices import OperationKind, OperationStatus, Stage
from syncs.models import Operation, Record
from syncs.operations.copying import record_id_of
from syncs.services.settling import REVIEWABLE

__all__ = ["candidate_rows", "copied_of", "links_of", "missed_rows", "story_of"]


def story_of(operation: Operation) -> dict[str, Any]:
    """What `syncs/operation_story.html` shows: the wish, the diff, the requests, the object before."""
    return {
        "wish": pretty(operation.request),
        "resolved_wish": pretty(operation.values) if operation.values != operation.request else "",
        "wish_title": "Its parameters" if operation.kind == OperationKind.ACTION else "What was wished",
        "has_wish": bool(operation.request) or operation.kind in (OperationKind.CREATE, OperationKind.UPDATE),
        "shows_diff": operation.kind in (OperationKind.CREATE, OperationKind.UPDATE),
        "is_create": operation.kind == OperationKind.CREATE,
        "diff": diff_rows(operation),
        "calls": call_rows(operation),
        "before": pretty(operation.before) if operation.before else "",
    }


def copied_of(operation: Operation) -> frozenset[UUID]:
    """Which of its own record and those of its look-alikes are in the copy."""
    pks = {_record_id(operation, candidate) for candidate in operation.candidates}
    if operation.record_id is not None:
        pks.add(operation.record_id)
    return frozenset(Record.objects.filter(pk__in=pks).values_list("pk", flat=True))


def candidate_rows(operation: Operation, copied: Collection[UUID], press_address: str) -> list[dict[str, str]]:
    """Look-alikes a person may choose from, each with its record and the question that leads to choosing it."""
    if operation.status not in REVIEWABLE:
        return []
    return [
        {
            "remote_id": candidate["remote_id"],
            "name": candidate.get("name") or "",
            "why": candidate.get("why") or "",
            "record": reverse("admin:syncs_record_change", args=[pk]) if pk in copied else "",
            "choose": f"{press_address}?{urlencode({'remote_id': candidate['remote_id']})}",
        }
        for candidate in operation.candidates
        for pk in (_record_id(operation, candidate),)
    ]


def links_of(operation: Operation, copied: Collection[UUID]) -> list[dict[str, str]]:
    """To related rows."""
    places: list[tuple[str, str, dict[str, Any]]] = []
    calls = UpstreamCall.objects.filter(operation_id=operation.pk).count()
    if calls:
        places.append((f"Upstream calls ({number(calls)})", "connections_upstreamcall", {"operation": operation.pk}))
    here = {"connection": operation.connection_id}
    if operation.record_id:
        places.append(("All operations on this record", "syncs_operation", {"record": operation.record_id}))
    if operation.batch_id:
        places.append(("The bulk call it came with", "syncs_operation", {"batch": operation.batch_id, **here}))
    links = [
        {"label": label, "address": f"{reverse(f'admin:{name}_changelist')}?{urlencode(query)}"}
        for label, name, query in places
    ]
    if operation.record_id in copied:
        address = reverse("admin:syncs_record_change", args=[operation.record_id])
        links.insert(0, {"label": "Its record", "address": address})
    return links


def _record_id(operation: Operation, candidate: Mapping[str, Any]) -> UUID:
    return record_id_of(operation.connection_id, operation.entity, candidate["remote_id"])


def diff_rows(operation: Operation) -> list[dict[str, str]]:
    """What it changes, field by field."""
    return [
        {"pointer": row["pointer"], "before": _value(row.get("before")), "after": _value(row.get("after"))}
        for row in operation.diff
    ]


def missed_rows(operation: Operation) -> list[dict[str, str]]:
    """What the system left as it was."""
    return [
        {"pointer": row["pointer"], "wished": _value(row.get("wished")), "found": _value(row.get("found"))}
        for row in operation.not_applied
    ]


def _value(value: Any) -> str:
    if value is None or value == "":
        return "—"
    return value if isinstance(value, str) else pretty(value)


def call_rows(operation: Operation) -> list[dict[str, Any]]:
    """The upstream requests as they are fixed, each with what became of it."""
    return [_call_row(operation, place, call) for place, call in enumerate(operation.calls)]


def _call_row(operation: Operation, place: int, call: Mapping[str, Any]) -> dict[str, Any]:
    label, colour = _became(operation, place)
    return {
        "method": call["method"],
        "url": _filled(operation, call["url"]),
        "purpose": call.get("purpose", ""),
        "headers": sorted(call.get("headers", {}).items()),
        "body": _body(call.get("body")),
        "repeatable": call.get("repeatable", True),
        "label": label,
        "colour": colour,
    }


def _became(operation: Operation, place: int) -> tuple[str, str]:
    if place < operation.call_no:
        return "Done", "success"
    if place > operation.call_no:
        return "Not sent", ""
    if operation.stage == Stage.SENDING:
        at_work = operation.status == OperationStatus.RUNNING
        return ("Under way", "info") if at_work else ("Sent, outcome not known", "warning")
    if operation.stage == Stage.ACCEPTED:
        return "Accepted as a job", "info"
    if operation.stage == Stage.ENDED and operation.status == OperationStatus.FAILED and operation.attempts:
        return "Not done", "danger"
    return "Not sent", ""


def _filled(operation: Operation, url: str) -> str:
    """The address as it is sent: later requests name the object that the first one made."""
    if "{id}" not in url or not operation.remote_id:
        return url
    return url.replace("{id}", "|".join(quote(part, safe="") for part in operation.remote_id.split("|")))


def _body(text: str | None) -> str:
    """Indented, with every digit of its numbers."""
    if text is None:
        return ""
    try:
        value = json.loads(text, parse_float=Decimal)
        return orjson.dumps(value, default=exact, option=orjson.OPT_INDENT_2).decode()
    except (ValueError, TypeError, RecursionError):  # TypeError: orjson's, of what it cannot write
        return text
