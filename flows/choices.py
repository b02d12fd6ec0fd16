"""Words of this room, with label and badge colour side by side."""

from __future__ import annotations

from django.db import models


class FlowRunStatus(models.TextChoices):
    """Where a run stands."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    WAITING = "waiting", "Waiting"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


RUN_BADGES = {
    FlowRunStatus.QUEUED: "info",
    FlowRunStatus.RUNNING: "info",
    FlowRunStatus.WAITING: "warning",
    FlowRunStatus.SUCCEEDED: "success",
    FlowRunStatus.FAILED: "danger",
    FlowRunStatus.CANCELLED: "secondary",
}
UNENDED = (FlowRunStatus.QUEUED, FlowRunStatus.RUNNING, FlowRunStatus.WAITING)
ENDED = (FlowRunStatus.SUCCEEDED, FlowRunStatus.FAILED, FlowRunStatus.CANCELLED)


class StepStatus(models.TextChoices):
    """Where a step of a run stands. `running` and the run not: it goes on when the run does."""

    RUNNING = "running", "Running"
    WAITING = "waiting", "Waiting"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    SKIPPED = "skipped", "Skipped"


STEP_BADGES = {
    StepStatus.RUNNING: "info",
    StepStatus.WAITING: "warning",
    StepStatus.SUCCEEDED: "success",
    StepStatus.FAILED: "danger",
    StepStatus.SKIPPED: "secondary",
}


class TriggerKind(models.TextChoices):
    """What starts runs."""

    SCHEDULE = "schedule", "Schedule"
    EVENT = "event", "Event"
    HOOK = "hook", "Inbound hook"
    API = "api", "API call"
    MANUAL = "manual", "By hand"


class WaitsFor(models.TextChoices):
    """What a waiting run waits for."""

    TIME = "time", "A time"
    EVENT = "event", "An event"
    OPERATION = "operation", "A write"
    PERSON = "person", "A person's decision"


class HookMessageStatus(models.TextChoices):
    """What became of a message to a flow."""

    STARTED = "started", "Started a run"
    KNOWN = "known", "Came before"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


MESSAGE_BADGES = {
    HookMessageStatus.STARTED: "success",
    HookMessageStatus.KNOWN: "secondary",
    HookMessageStatus.REFUSED: "danger",
    HookMessageStatus.FAILED: "danger",
}
