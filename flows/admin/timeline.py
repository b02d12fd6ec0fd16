"""A run as a timeline: which step was when, how it came out, and the details of one when somebody opens it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Count, IntegerField, QuerySet, Value
from django.db.models.expressions import Func
from django.db.models.fields import TextField
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Substr
from django.urls import reverse
from django.utils import timezone

from core.admin_texts import duration, pretty
from flows.choices import STEP_BADGES, UNENDED, StepStatus
from flows.definitions.model import Definition
from flows.definitions.walking import walk
from flows.models import FlowRun, StepRun

__all__ = ["detail_of", "items_of", "rows_of", "timeline"]

ITEM, FOR_EACH = "item", "for_each"
FIRST_ITEMS, PER_PAGE, MOST_STEPS = 50, 100, 500
_HEAVY = ("input", "output", "state", "call")


def timeline(run: FlowRun) -> list[dict[str, Any]]:
    """The steps at the top, in the order they began, and after them those that are still to come."""
    steps = list(_light(StepRun.objects.filter(run=run, scope="").exclude(kind=ITEM))[:MOST_STEPS])
    rows = rows_of(run, steps, _counts(run, ""))
    if run.status in UNENDED:
        begun = {step.name for step in steps}
        rows += [_to_come(step) for step in run.version.definition["steps"] if step["name"] not in begun]
    return rows


def rows_of(run: FlowRun, steps: Sequence[StepRun], counts: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """Steps as `flows/timeline.html` shows them. `counts`: of the items by status, for each for-each."""
    definition = Definition.model_validate(run.version.definition)
    titles = {found.step.name: found.step.title for found in walk(definition)}
    start, end = _span(run, steps)
    return [_row(run, step, titles, start, end, counts.get(step.path, {})) for step in steps]


def detail_of(run: FlowRun, step: StepRun) -> dict[str, Any]:
    """All that one step did; of a for-each its first items, of an item its steps."""
    inner: list[dict[str, Any]] = []
    more = ""
    if step.kind == FOR_EACH:
        items = _items(run, step)
        first = list(items[:FIRST_ITEMS])
        seen = {item.pk for item in first}
        failed = [item for item in items.filter(status=StepStatus.FAILED)[:FIRST_ITEMS] if item.pk not in seen]
        inner = rows_of(run, [*first, *failed], {})
        more = _items_address(run, step.path)
    elif step.kind == ITEM:
        steps = list(_light(StepRun.objects.filter(run=run, scope=step.path).exclude(kind=ITEM))[:MOST_STEPS])
        inner = rows_of(run, steps, _counts(run, step.path))
    return {
        "run": run,
        "step": step,
        "row": rows_of(run, [step], {})[0],
        "parts": _parts(step),
        "attempts": [_attempt(attempt) for attempt in step.attempts],
        "error": step.error,
        "operation_address": _operation(step.operation_id),
        "inner": inner,
        "items_address": more,
        "parent_address": step_address(run, step.scope) if step.scope else "",
    }


def items_of(run: FlowRun, step: StepRun, query: Mapping[str, str]) -> dict[str, Any]:
    """One page of a for-each's items, all or those of one status."""
    counts = _counts(run, step.scope).get(step.path, {})
    status = query.get("status", "")
    items = _items(run, step)
    total = sum(counts.values())
    if status in StepStatus.values:
        items, total = items.filter(status=status), counts.get(status, 0)
    found = _Counted(items, total).get_page(query.get("page", "1"))
    address = _items_address(run, step.path)
    return {
        "run": run,
        "step": step,
        "rows": rows_of(run, list(found.object_list), {}),
        "counts": _count_links(run, step.path, counts),
        "status": status,
        "address": address,
        "total": total,
        "found": found,
        "previous_address": _page(address, status, found.number - 1) if found.has_previous() else "",
        "next_address": _page(address, status, found.number + 1) if found.has_next() else "",
    }


def step_address(run: FlowRun, path: str) -> str:
    return f"{reverse('admin:flows_flowrun_step', args=[run.pk])}?{urlencode({'path': path})}"


class _Counted(Paginator):  # type: ignore[type-arg]  # Django cannot subscript it
    """The number of rows is known from the counts by status."""

    def __init__(self, rows: Any, total: int) -> None:
        super().__init__(rows, PER_PAGE)
        self.count = total


def _row(
    run: FlowRun,
    step: StepRun,
    titles: Mapping[str, str],
    start: datetime,
    end: datetime,
    counts: Mapping[str, int],
) -> dict[str, Any]:
    status = StepStatus(step.status)
    until = step.finished_at or end
    whole = max((end - start).total_seconds(), 0.001)
    took = max((until - step.started_at).total_seconds(), 0.0)
    left = min(max((step.started_at - start).total_seconds() / whole, 0.0), 1.0)
    return {
        "id": step.pk.hex,
        "path": step.path,
        "name": step.name,
        "title": titles.get(step.name, "") if step.kind != ITEM else "",
        "kind": step.kind,
        "label": status.label,
        "colour": STEP_BADGES[status],
        "is_done": step.finished_at is not None,
        "place": f"{step.status}-{step.retry}-{len(step.attempts)}",
        "attempts": len(step.attempts) + 1,
        "took": duration(took) if step.finished_at or run.status in UNENDED else "",
        "after": duration(max((step.started_at - start).total_seconds(), 0)),
        "left": f"{left * 100:.2f}",
        "width": f"{min(max(took / whole, 0.004), 1 - left if left < 1 else 0.004) * 100:.2f}",
        "counts": _count_links(run, step.path, counts),
        "chosen": getattr(step, "chosen", None),
        "error": step.error or {},
        "operation": _operation(step.operation_id),
        "address": step_address(run, step.path),
    }


def _to_come(step: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": "", "name": step["name"], "title": step.get("title", ""), "kind": step["do"], "is_to_come": True}


def _span(run: FlowRun, steps: Iterable[StepRun]) -> tuple[datetime, datetime]:
    """When the run began and ended, or now; stretched where a clock or a retry says otherwise."""
    begun = [step.started_at for step in steps]
    start = min([run.started_at or run.created_at, *begun])
    ended = run.finished_at or (timezone.now() if run.status in UNENDED else start)
    return start, max([ended, *begun])


def _parts(step: StepRun) -> list[tuple[str, str]]:
    """What is known of a step, as JSON under a title."""
    parts = [("Input", step.input), ("Output", step.output), ("Call", step.call)]
    return [(title, pretty(value)) for title, value in parts if value is not None]


def _attempt(attempt: Mapping[str, Any]) -> dict[str, Any]:
    error = attempt.get("error") or {}
    return {
        "at": attempt.get("started_at", ""),
        "message": error.get("message", ""),
        "code": error.get("code", ""),
        "operation": attempt.get("operation") or "",
    }


def _light(rows: QuerySet[StepRun]) -> QuerySet[Any]:
    """In their order, without what may be large; with `chosen`, how many items a for-each has."""
    chosen = Func(KeyTransform("items", "state"), function="jsonb_array_length", output_field=IntegerField())
    return rows.order_by("id").defer(*_HEAVY).annotate(chosen=chosen)


def _items(run: FlowRun, step: StepRun) -> QuerySet[Any]:
    """Item rows of a for-each, in their order."""
    rows = StepRun.objects.filter(run=run, scope=step.scope, kind=ITEM, path__startswith=f"{step.path}[")
    return _light(rows)


def _counts(run: FlowRun, scope: str) -> dict[str, dict[str, int]]:
    """How many items of each status each for-each of a scope has, by the for-each's path."""
    skipped = len(scope) + 1 if scope else 0
    name = Func(
        Substr("path", skipped + 1), Value("["), Value(1), function="split_part", output_field=TextField()
    )  # a step's name has no bracket, an item's key may
    rows = StepRun.objects.filter(run=run, scope=scope, kind=ITEM).order_by().annotate(of=name)
    found: dict[str, dict[str, int]] = {}
    for each, status, count in rows.values_list("of", "status").annotate(count=Count("pk")):
        found.setdefault(f"{scope}.{each}" if scope else each, {})[status] = count
    return found


def _count_links(run: FlowRun, path: str, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    address = _items_address(run, path)
    return [
        {
            "text": f"{counts[status]:,} {status.label.lower()}",
            "colour": STEP_BADGES[status],
            "status": status.value,
            "address": f"{address}&status={status.value}",
        }
        for status in StepStatus
        if counts.get(status)
    ]


def _items_address(run: FlowRun, path: str) -> str:
    return f"{reverse('admin:flows_flowrun_items', args=[run.pk])}?{urlencode({'path': path})}"


def _page(address: str, status: str, number: int) -> str:
    return f"{address}&status={status}&page={number}"


def _operation(operation_id: Any) -> str:
    return reverse("admin:syncs_operation_change", args=[operation_id]) if operation_id else ""
