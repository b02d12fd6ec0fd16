"""Executing a run of a flow: claim, walk as far as it goes now, end or wait. The row decides what happens."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django_scopes import scope, scopes_disabled
from pydantic import ValidationError

from core import ids
from core.errors import LineshaftError, ValidationFailedError
from core.leases import Lease, LeaseLostError, claim
from flows.choices import FlowRunStatus
from flows.definitions.model import Definition
from flows.engine import store
from flows.engine.bound import Bound
from flows.engine.ending import end_run
from flows.engine.errors import (
    Cancelled,
    CancelledError,
    GaveBack,
    OutOfTime,
    StepFailed,
    Stopped,
    StoppedError,
    broke,
    poisoned,
    stored_error,
)
from flows.engine.interpreter import Interpreter
from flows.engine.work import Clock, Work, base_context
from flows.models import FlowRun, FlowVersion
from syncs.operations.outcomes import DATABASE_LOST

log = structlog.get_logger(__name__)
STEP_SECONDS = 15.0
"""What a step takes that makes no call: some expressions of a second at the most, a short look at a write. One that is about
to make a call renews the lease for as long as that may take. So whoever takes over from a killed worker waits no longer."""


def execute_flow_run(run_id: UUID) -> None:
    """Work on a run as far as it goes now. Safe to call any number of times, anywhere, at any moment."""
    with scopes_disabled():
        workspace_id = FlowRun.objects.filter(pk=run_id).values_list("workspace_id", flat=True).first()
    if workspace_id is None:
        return
    shown = ids.show(FlowRun.PREFIX, run_id)
    with scope(workspace=workspace_id), structlog.contextvars.bound_contextvars(flow_run_id=shown):
        lease = claim(FlowRun, run_id, seconds=STEP_SECONDS + settings.SYNC_LEASE_MARGIN_SECONDS)
        if lease is None:
            return
        run = FlowRun.objects.select_related("flow").get(pk=run_id)
        try:
            _work(run, lease)
        except LeaseLostError:
            log.warning("lease_lost", fence=lease.fence)
        except DATABASE_LOST:
            # Nothing can be written now. The lease runs out and a tick tells again; the run goes on at its present step.
            log.exception("database_lost")
            connection.close()


def _work(run: FlowRun, lease: Lease) -> None:
    """Walk; every way it can end is written down here."""
    try:
        if lease.exhausted:
            end_run(lease, run, FlowRunStatus.FAILED, stored_error(poisoned(), run.current_step))
            return
        Interpreter(_take_up(run, lease)).go()
        end_run(lease, run, FlowRunStatus.SUCCEEDED)
    except GaveBack:
        log.info("flow_run_waits")
    except OutOfTime:
        store.requeue(lease)
    except Cancelled:
        error = stored_error(CancelledError("Somebody cancelled the run."), _present_step(run))
        end_run(lease, run, FlowRunStatus.CANCELLED, error)
    except Stopped as stopped:
        _stopped(run, lease, stopped)
    except StepFailed as failed:
        log.info("flow_run_failed", code=failed.error["code"], step=failed.error["step"])
        end_run(lease, run, FlowRunStatus.FAILED, failed.error)
    except LineshaftError as error:
        log.info("flow_run_failed", code=error.code, detail=error.detail)
        _fail(run, lease, error)
    except (LeaseLostError, *DATABASE_LOST):
        raise
    except Exception as error:  # a run ends here: what happened is stored, shown and logged
        log.exception("flow_run_broke")
        if isinstance(error, DatabaseError):
            connection.close()
        _fail(run, lease, broke(error))


def _take_up(run: FlowRun, lease: Lease) -> Work:
    """What the turn works with. Errors: Cancelled; ConflictError CONNECTION_DISCONNECTED, NotFoundError."""
    if run.cancel_requested:
        raise Cancelled
    clock = Clock(store.take_up(run, lease))
    version = _version(run.version_id)
    bound = Bound(run, version.definition, version.bindings)
    return Work(
        run=run,
        definition=version.definition,
        lease=lease,
        bound=bound,
        clock=clock,
        shown=base_context(run, bound, version.number),
    )


class _Version:
    """A version, read once: it never changes."""

    def __init__(self, version_id: UUID) -> None:
        row = FlowVersion.objects.get(pk=version_id)
        self.number: int | None = row.number
        self.bindings: dict[str, Any] = row.bindings
        try:
            self.definition = Definition.model_validate(row.definition)
        except ValidationError as error:
            raise ValidationFailedError(
                "This version cannot be run by this release of Lineshaft. Open the flow, correct what is marked and"
                " publish it.",
                code="DEFINITION_INVALID",
                log_detail=str(error),
            ) from error


@lru_cache(maxsize=256)
def _version(version_id: UUID) -> _Version:
    return _Version(version_id)


def _fail(run: FlowRun, lease: Lease, error: LineshaftError) -> None:
    end_run(lease, run, FlowRunStatus.FAILED, stored_error(error, _present_step(run)))


def _present_step(run: FlowRun) -> str:
    """Its path, as far as that was stored."""
    found: str = FlowRun.objects.values_list("current_step", flat=True).get(pk=run.pk)
    return found


def _stopped(run: FlowRun, lease: Lease, stopped: Stopped) -> None:
    if stopped.outcome == "succeeded":
        end_run(lease, run, FlowRunStatus.SUCCEEDED)
    else:
        _fail(run, lease, StoppedError(stopped.message or "The flow stopped here, as it is defined."))
