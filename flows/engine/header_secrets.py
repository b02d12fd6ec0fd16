"""Secrets of flows in clear: what an `http_request` step puts into a header. Nothing else opens them."""

from __future__ import annotations

from django_scopes import scope

from core.errors import ConfigError
from flows.models import Flow, FlowSecret
from workspaces.secrets import open_secret


def demand_secret(flow: Flow, name: str) -> FlowSecret:
    """The row of a secret, unopened. Errors: ConfigError FLOW_SECRET_MISSING."""
    with scope(workspace=flow.workspace_id):
        found: FlowSecret | None = FlowSecret.objects.filter(flow=flow, name=name).first()
    if found is None:
        raise ConfigError(f"The flow has no secret {name}: enter it on the flow.", code="FLOW_SECRET_MISSING")
    return found


def header_value(flow: Flow, name: str) -> str:
    """The secret in clear. Never in a transaction: it may be kept by a secrets manager.

    Errors: ConfigError FLOW_SECRET_MISSING, and those of `workspaces.secrets.open_secret`.
    """
    return open_secret(demand_secret(flow, name))
