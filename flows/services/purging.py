"""What goes with a deleted connection: all that may hold data of it (`syncs.services.purging`)."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.db.models import Q, QuerySet

from connections.models import Connection
from core import ids
from flows.models import Flow, FlowHookMessage, FlowRun, StepRun

__all__ = ["STEPS"]


def _messages(connection_id: UUID) -> QuerySet[FlowHookMessage]:
    """Those that started a run of it, and those to flows that are bound to it, whatever became of them."""
    shown = ids.show(Connection.PREFIX, connection_id)
    rows = Flow.objects.values_list("pk", "bindings", "version__bindings")
    bound = [pk for pk, *bindings in rows if any(shown in (names or {}).values() for names in bindings)]
    found: QuerySet[FlowHookMessage] = FlowHookMessage.objects.filter(
        Q(run__connection_ids__contains=[connection_id]) | Q(flow_id__in=bound)
    )
    return found


STEPS: dict[str, Callable[[UUID], QuerySet[StepRun] | QuerySet[FlowRun] | QuerySet[FlowHookMessage]]] = {
    # what is counted -> the rows of a connection, in its workspace's scope; runs last, by which the others are found
    "flow_messages": _messages,
    "flow_steps": lambda pk: StepRun.objects.filter(run__connection_ids__contains=[pk]),
    "flow_runs": lambda pk: FlowRun.objects.filter(connection_ids__contains=[pk]),
}
