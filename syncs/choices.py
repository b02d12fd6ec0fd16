"""Words of this room, with label and badge colour side by side."""

from __future__ import annotations

from django.db import models


class Mode(models.TextChoices):
    """What a run does."""

    INITIAL = "initial", "Initial"
    INCREMENTAL = "incremental", "Incremental"
    FULL = "full", "Full"
    REMAP = "remap", "Re-map"


# A stronger wish replaces a weaker one that still waits.
MODE_STRENGTH = {"": 0, Mode.INCREMENTAL: 1, Mode.REMAP: 2, Mode.FULL: 3, Mode.INITIAL: 4}


class RunStatus(models.TextChoices):
    """Where a run stands."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    WAITING = "waiting", "Waiting"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    NEEDS_REVIEW = "needs_review", "Needs review"


ACTIVE = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING)
RUN_BADGES = {
    RunStatus.QUEUED: "info",
    RunStatus.RUNNING: "info",
    RunStatus.WAITING: "warning",
    RunStatus.COMPLETED: "success",
    RunStatus.FAILED: "danger",
    RunStatus.CANCELLED: "",
    RunStatus.NEEDS_REVIEW: "warning",
}


class Phase(models.TextChoices):
    """What a run is busy with."""

    FETCHING = "fetching", "Fetching"
    SWEEPING = "sweeping", "Looking for deletions"
    CONFIRMING = "confirming", "Confirming deletions"
    FINISHING = "finishing", "Finishing"


class Trigger(models.TextChoices):
    """Who wanted a run."""

    SCHEDULE = "schedule", "Schedule"
    API = "api", "API"
    ADMIN = "admin", "Admin"
    COMMAND = "command", "Command"


class Review(models.TextChoices):
    """What an operator decided about held deletions."""

    RELEASED = "released", "Released: the records live"
    DELETED = "deleted", "Deleted: the records are gone"
    SUPERSEDED = "superseded", "Superseded by a later full run"


class SyncState(models.TextChoices):
    """What sync-status says; the first that applies, in this order."""

    PAUSED = "paused", "Paused"
    NEEDS_REAUTH = "needs_reauth", "Needs re-authorisation"
    IN_PROGRESS = "in_progress", "In progress"
    FAILED = "failed", "Failed"
    NEEDS_REVIEW = "needs_review", "Needs review"
    NEVER_SYNCED = "never_synced", "Never synced"
    COMPLETED = "completed", "Completed"


STATE_BADGES = {
    SyncState.PAUSED: "",
    SyncState.NEEDS_REAUTH: "danger",
    SyncState.IN_PROGRESS: "info",
    SyncState.FAILED: "danger",
    SyncState.NEEDS_REVIEW: "warning",
    SyncState.NEVER_SYNCED: "",
    SyncState.COMPLETED: "success",
}


class OperationKind(models.TextChoices):
    """What an operation does."""

    CREATE = "create", "Create"
    UPDATE = "update", "Update"
    DELETE = "delete", "Delete"
    ACTION = "action", "Action"


class OperationStatus(models.TextChoices):
    """Where an operation stands. `unknown`: a request was sent and its outcome is being looked up."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    AWAITING_SOURCE = "awaiting_source", "Awaiting the source"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    UNKNOWN = "unknown", "Unknown"
    NEEDS_REVIEW = "needs_review", "Needs review"


UNFINISHED = (
    OperationStatus.QUEUED,
    OperationStatus.RUNNING,
    OperationStatus.AWAITING_SOURCE,
    OperationStatus.UNKNOWN,
)
OPERATION_BADGES = {
    OperationStatus.QUEUED: "info",
    OperationStatus.RUNNING: "info",
    OperationStatus.AWAITING_SOURCE: "info",
    OperationStatus.SUCCEEDED: "success",
    OperationStatus.FAILED: "danger",
    OperationStatus.UNKNOWN: "warning",
    OperationStatus.NEEDS_REVIEW: "warning",
}


class Stage(models.TextChoices):
    """What may have happened upstream."""

    PLANNED = "planned", "Nothing was sent"
    SENDING = "sending", "A request was about to be sent"
    ACCEPTED = "accepted", "Accepted as a job"
    APPLIED = "applied", "Done, to be read back"
    ENDED = "ended", "Ended"


class IssueKind(models.TextChoices):
    """What a rule found."""

    NEEDS_REAUTH = "needs_reauth", "The customer must sign in again"
    OFFLINE = "offline", "The system does not answer for long"
    CALLS_FAILING = "calls_failing", "Half of the calls fail"
    NEEDS_REVIEW = "needs_review", "Something waits for a decision"
    SYNC_OVERDUE = "sync_overdue", "A sync is overdue"
    SECRET_UNREADABLE = "secret_unreadable", "A secret does not open"
    ENDPOINT_DISABLED = "endpoint_disabled", "A webhook endpoint is disabled"
    DELIVERY_EXHAUSTED = "delivery_exhausted", "Webhook deliveries were given up"
    FLOW_FAILING = "flow_failing", "Runs of a flow fail"
    FLOW_OVERDUE = "flow_overdue", "Runs of a flow are overdue"
    FLOW_NEEDS_DECISION = "flow_needs_decision", "A run of a flow waits for a decision"
    FLOW_TRIGGER_BROKEN = "flow_trigger_broken", "The trigger of a flow cannot be judged"
