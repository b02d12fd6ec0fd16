"""What starts flows, and the runs that came of it: published flows of one plain step, by their trigger.

from tests.flow_triggers import change, fresh, make_flow, runs_of
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django_scopes import scopes_disabled

from connections.models import Connection
from core import ids
from flows.models import Flow, FlowRun
from tests import flow_stage
from tests.flow_stage import fresh

__all__ = ["STEPS", "change", "fresh", "make_flow", "republish", "runs_of", "show", "shown", "told_of"]

STEPS = [{"name": "note", "do": "map", "value": {"$": "trigger.kind"}}]
BY_HAND = {"on": "manual"}


def make_flow(trigger: Any = None, *, environment: str = "test", **facts: Any) -> Flow:
    """A published flow. `facts` are connections by their names in it, a workspace, or parts of its definition."""
    return flow_stage.make_flow(*STEPS, trigger=trigger or BY_HAND, environment=environment, **facts)


def republish(flow: Flow, **changes: Any) -> Flow:
    """The same flow with another definition, published."""
    return flow_stage.publish(flow, **changes)


def change(row: Any, **values: Any) -> None:
    with scopes_disabled():
        type(row).objects.filter(pk=row.pk).update(**values)


def runs_of(flow: Flow) -> list[FlowRun]:
    """In the order they were made."""
    with scopes_disabled():
        return list(FlowRun.objects.filter(flow_id=flow.pk).order_by("pk"))


def told_of(told: list[Any]) -> Callable[..., bool]:
    """In place of `core.hints.publish`: notes what workers would be told."""

    def publish(task: str, row_id: UUID, *, queue: str) -> bool:
        told.append((task, row_id, queue))
        return True

    return publish


def show(connection: Connection) -> str:
    return str(ids.show(Connection.PREFIX, connection.pk))


def shown(flow: Flow) -> str:
    return str(ids.show(Flow.PREFIX, flow.pk))
