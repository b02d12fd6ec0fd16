"""Which run of a flow led to an event: what keeps flows from starting each other without end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from core import ids
from flows.models import FlowRun, StepRun
from syncs.models import Operation

__all__ = ["MOST_DEEP", "Cause", "causes_of"]

MOST_DEEP = 5
"""So many runs may have led to a run, each by what it did."""


@dataclass(frozen=True)
class Cause:
    """The run behind an event."""

    flow_ids: tuple[UUID, ...]  # its flow, and those whose runs led to it
    depth: int
    connection_ids: tuple[UUID, ...]  # of which it holds data


def causes_of(origins: Iterable[str | None]) -> Mapping[str, Cause]:
    """By what an event names as its origin: a run of a flow, or an operation that one made. In the workspace's scope.

    Whatever else events come from is not in the answer, nor are runs that were forgotten.
    """
    shown = {one for one in origins if one}
    runs = {one: pk for one in shown if (pk := ids.read(FlowRun.PREFIX, one))}
    operations = {one: pk for one in shown if (pk := ids.read(Operation.PREFIX, one))}
    if operations:
        made = StepRun.objects.filter(operation_id__in=operations.values()).values_list("operation_id", "run_id")
        by_operation = dict(made)
        runs |= {one: by_operation[pk] for one, pk in operations.items() if pk in by_operation}
    found = FlowRun.objects.filter(pk__in=set(runs.values())).in_bulk() if runs else {}
    return {one: _cause(found[pk]) for one, pk in runs.items() if pk in found}


def _cause(run: FlowRun) -> Cause:
    return Cause((*run.origin_flow_ids, run.flow_id), run.depth, tuple(run.connection_ids))
