"""Doing the steps of a for-each for one item after the other, over as many turns as it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, Sum, TextField
from django.db.models.functions import Cast, Coalesce, Length

from core.errors import LineshaftError
from core.json import dumps
from flows.choices import StepStatus
from flows.definitions.model import ForEach
from flows.engine import store
from flows.engine.errors import GaveBack, StepFailed, TimedOut, stored_error
from flows.engine.items import Entry, RecordGoneError, item_of
from flows.engine.scopes import FINISHED, ITEM, Scope, load
from flows.engine.sizes import MAX_VALUE_BYTES, fitting
from flows.engine.turn import Step
from flows.engine.work import Work
from flows.models import StepRun

Walk = Callable[[Sequence[Step], Scope], None]
# What an entry of the output takes beside its key, output and error, and what the output takes beside its entries.
_ENTRY_BYTES, _ROOM = 60, 1024
_KEPT_WHEN_CUT = 250


class Each:
    """One turn's walk through the items. The rows of items tell how far it came; only the present one is held."""

    def __init__(self, work: Work, step: ForEach, scope: Scope, row: StepRun, walk: Walk) -> None:
        self.work, self.step, self.scope, self.row, self.walk = work, step, scope, row, walk
        self.last_end: datetime | None = None

    def go(self) -> None:
        """To the last item. Errors: StepFailed of an item, where that is the step's failure; as of `Interpreter.go`."""
        known = self._known()
        for index, entry in enumerate(self.row.state["items"]):
            path = f"{self.row.path}[{entry['key']}]"
            status = known.get(path)
            if status is None:
                self._pause(index)
                self._begin(index, entry, path)
            elif status not in FINISHED:
                self._work_on(self._row(path))
            elif status == StepStatus.FAILED and self.step.on_item_error == "fail":
                raise StepFailed(self._row(path).error or {})
        store.finish(self.work, self.row, self._output())

    def _rows(self) -> Any:
        return StepRun.objects.filter(
            run=self.work.run, scope=self.scope.path, kind=ITEM, path__startswith=f"{self.row.path}["
        )

    def _row(self, path: str) -> StepRun:
        found: StepRun = StepRun.objects.get(run=self.work.run, path=path)
        return found

    def _known(self) -> dict[str, str]:
        rows = self._rows().values_list("path", "status", "finished_at")
        known = {}
        for path, status, finished_at in rows:
            known[path] = status
            self.last_end = max(filter(None, (self.last_end, finished_at)), default=None)
        return known

    def _pause(self, index: int) -> None:
        """Between two batches. Errors: GaveBack."""
        size = self.step.batch_size or 1
        if not self.step.delay_seconds or index == 0 or index % size or self.work.run.is_dry or self.last_end is None:
            return
        until = self.last_end + timedelta(seconds=self.step.delay_seconds)
        if until > self.work.clock.now():
            store.pause(self.work, until, self.row.path)
            raise GaveBack

    def _begin(self, index: int, entry: Entry, path: str) -> None:
        """The item is fixed as it is now, in its row."""
        self.work.check(path)
        row = StepRun(
            workspace_id=self.work.run.workspace_id,
            run=self.work.run,
            path=path,
            scope=self.scope.path,
            name=entry["key"],
            kind=ITEM,
            started_at=self.work.clock.now(),
        )
        try:
            row.input = {"item": item_of(self.work, entry), "index": index, "item_version": entry.get("version")}
            fitting(row.input, f"The item {entry['key']}", code="STEP_INPUT_TOO_LARGE")
        except RecordGoneError as error:
            self._end(row, StepStatus.SKIPPED, error=stored_error(error, path))
        except LineshaftError as error:
            self._fail(row, StepFailed(stored_error(error, path)))
        else:
            store.save(self.work, row, ())
            self._work_on(row)

    def _work_on(self, row: StepRun) -> None:
        inside = load(self.work.run, row.path, around=self.scope, **(row.input or {}))
        try:
            self.walk(self.step.steps, inside)
        except TimedOut as over:
            self._end(row, StepStatus.FAILED, error=over.error)
            raise
        except StepFailed as failed:
            self._fail(row, failed)
        else:
            self._end(row, StepStatus.SUCCEEDED, output=inside.steps.get(self.step.steps[-1].name))

    def _fail(self, row: StepRun, failed: StepFailed) -> None:
        self._end(row, StepStatus.FAILED, error=failed.error)
        if self.step.on_item_error == "fail":
            raise failed

    def _end(self, row: StepRun, status: StepStatus, *, output: Any = None, error: Any = None) -> None:
        row.status, row.output, row.error, row.finished_at = status, output, error, self.work.clock.now()
        store.save(self.work, row, ("status", "output", "error", "finished_at"))
        self.last_end = row.finished_at

    # --- output ---------------------------------------------------------------------------------------------------

    def _output(self) -> dict[str, Any]:
        """{items: [{key, status, output, error}], succeeded, failed, skipped}. What would be too large is left out, and
        said to be: first the outputs, then the items that did well."""
        counts, size = self._counts()
        if size <= MAX_VALUE_BYTES:
            return {"items": self._items("output", "error"), **counts}
        items = self._items("error")
        if len(dumps(items)) <= MAX_VALUE_BYTES - _ROOM:
            return {"items": items, **counts, "outputs_left_out": True}
        bad = [{**item, "error": _short(item["error"])} for item in items if item["status"] != StepStatus.SUCCEEDED]
        return {"items": bad[:_KEPT_WHEN_CUT], **counts, "outputs_left_out": True, "items_left_out": True}

    def _counts(self) -> tuple[dict[str, int], int]:
        """How many items ended how, and about how many bytes their outputs and errors take."""
        sizes = [Coalesce(Length(Cast(name, TextField())), 0) for name in ("output", "error", "name")]
        found = self._rows().aggregate(
            size=Coalesce(Sum(sizes[0] + sizes[1] + sizes[2]), 0),
            **{str(status): Count("pk", filter=Q(status=status)) for status in FINISHED},
        )
        counts = {str(status): found[str(status)] for status in FINISHED}
        return counts, found["size"] + _ENTRY_BYTES * sum(counts.values()) + _ROOM

    def _items(self, *names: str) -> list[dict[str, Any]]:
        rows = self._rows().order_by("id").values("name", "status", *names)
        return [{"key": row.pop("name"), **row} for row in rows]


def _short(error: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if error is None else {"code": error["code"], "step": error["step"]}
