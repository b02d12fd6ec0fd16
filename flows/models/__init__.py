from flows.models.definitions import Flow, FlowVersion
from flows.models.hooks import FlowHookAddress, FlowHookMessage, FlowSecret
from flows.models.runs import FlowRun, StepRun, WaitCursor

__all__ = [
    "Flow",
    "FlowHookAddress",
    "FlowHookMessage",
    "FlowRun",
    "FlowSecret",
    "FlowVersion",
    "StepRun",
    "WaitCursor",
]
