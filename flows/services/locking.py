"""The lock under which a flow changes, and the word to the audit log."""

from __future__ import annotations

from typing import Any

from core import ids
from core.errors import ConflictError
from flows.models import Flow
from workspaces import audit

__all__ = ["lock_flow", "tell_audit"]


def lock_flow(flow: Flow) -> Flow:
    """The row as it stands, locked until the transaction ends. Errors: ConflictError when somebody deleted it meanwhile.

    Whoever holds it waits for no run's row: runs that end lock theirs first, and the flow's then.
    """
    found: Flow | None = Flow.objects.select_for_update(no_key=True).filter(pk=flow.pk).first()
    if found is None:
        raise ConflictError("Somebody deleted this flow meanwhile.", code="FLOW_DELETED")
    return found


def tell_audit(done: str, flow: Flow, **details: Any) -> None:
    """Note what was done to a flow, e.g. `published`: names and numbers, never what stands in a definition."""
    about = ("flow", str(ids.show(Flow.PREFIX, flow.pk)))
    audit.record(f"flow.{done}", workspace_id=flow.workspace_id, about=about, details=details)
