"""Screens of this room."""

from flows.admin.flows import FlowAdmin
from flows.admin.messages import FlowHookMessageAdmin
from flows.admin.runs import FlowRunAdmin

__all__ = ["FlowAdmin", "FlowHookMessageAdmin", "FlowRunAdmin"]
