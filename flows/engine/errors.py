"""How a run leaves its walk, and how failures are kept on rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from connections.services import error_json
from core.errors import BugError, BusinessRuleError, Category, ConflictError, LineshaftError, TransientError, WhoMustAct

Stored = dict[str, Any]
DISCONNECTED, CANCELLED, TIMED_OUT, NO_PROGRESS = (
    "CONNECTION_DISCONNECTED",
    "CANCELLED",
    "STEP_TIMED_OUT",
    "NO_PROGRESS",
)
_CORRECT = "Correct the flow and publish it, then run it again on the latest version."
_ACTIONS = {
    DISCONNECTED: "Reconnect the connection, or bind another one and publish, then run it again.",
    CANCELLED: "Nothing: somebody cancelled the run. Run it again to have it done.",
    TIMED_OUT: "Look why it took so long; give the step more time, or retry the run.",
    NO_PROGRESS: "Look at the workers' memory and logs, then retry the run.",
    "FLOW_STOPPED": "Do what the message says; the flow itself ended the run.",
    "OUTCOME_LOST": "Look there whether it was done, then decide on the run's page.",
    "FLOW_NOT_BOUND": "Choose the connection on the flow and publish, then run it again on the latest version.",
}
_BY_CATEGORY = {
    Category.VALIDATION: _CORRECT,
    Category.NOT_FOUND: "Look whether it was deleted, or correct the flow; then retry the run.",
    Category.CONFLICT: "Retry the run: it reads anew what it had not read yet.",
    Category.TRANSIENT: "Retry the run when the system answers again.",
    Category.RATE_LIMITED: "Retry the run when the system allows it.",
}


class LeaveRun(Exception):
    """Base of what ends this turn from within a step."""


class GaveBack(LeaveRun):
    """The run waits, as its row says."""


class OutOfTime(LeaveRun):
    """The turn's work budget is used up: others have their turn."""


class Cancelled(LeaveRun):
    """Somebody wishes the run to end."""


class Stopped(LeaveRun):
    """A `stop` step was reached."""

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(message)
        self.outcome, self.message = outcome, message


class StepFailed(LeaveRun):
    """A step failed for good, and nothing in its own definition catches that. `error` names the step."""

    def __init__(self, error: Stored) -> None:
        super().__init__(error["message"])
        self.error = error


class TimedOut(StepFailed):
    """The time of `owner`, the path of the step itself or of one around it, is over."""

    def __init__(self, owner: str, error: Stored) -> None:
        super().__init__(error)
        self.owner = owner


def stored_error(error: LineshaftError, path: str) -> Stored:
    """What rows keep and `error` in expressions shows: as of connections, with `step`, its path, and wrong values."""
    kept = error_json(error)
    action = _ACTIONS.get(error.code) or _BY_CATEGORY.get(error.category) or kept["action"]
    wrong = {"errors": [asdict(found) for found in error.errors]} if error.errors else {}
    return {**kept, "action": action, "step": path, **wrong}


def told_error(error: Mapping[str, Any] | None) -> Stored | None:
    """The part of a stored error that events tell."""
    names = ("code", "category", "message", "who_must_act", "retryable", "action", "step")
    return None if error is None else {name: error.get(name) for name in names}


def disconnected(name: str) -> ConflictError:
    return ConflictError(f"The connection {name} was disconnected: the run ends.", code=DISCONNECTED)


def poisoned() -> BugError:
    return BugError(
        "The run was taken up five times and got nowhere: its worker was killed or stopped each time. It will not be"
        " tried again by itself; look at the workers' memory and logs, then retry it.",
        code=NO_PROGRESS,
    )


def broke(error: Exception) -> BugError:
    return BugError(f"Lineshaft itself failed ({type(error).__name__}). The log has the details under this run's id.")


class StepTimedOutError(TransientError):
    """Not tried again by itself: the time covers all attempts."""

    default_code = TIMED_OUT
    retryable = False
    who_must_act = WhoMustAct.DEVELOPER


class StoppedError(BusinessRuleError):
    """A `stop` step ended the run as failed: its message says why."""

    default_code = "FLOW_STOPPED"
    who_must_act = WhoMustAct.OPERATOR


class CancelledError(ConflictError):
    """The run was cancelled while the step was under way."""

    default_code = CANCELLED
    who_must_act = WhoMustAct.NOBODY
