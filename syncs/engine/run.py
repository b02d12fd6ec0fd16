"""Executing a run: claim, walk, sweep, finish. Called by the Celery task; the row decides what happens."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError, connection, transaction
from django_scopes import scope, scopes_disabled

from connections.choices import ConnectionStatus
from connections.models import Connection
from connections.services import (
    CallLog,
    effective_mapping,
    error_json,
    let_probe_through,
    open_connector,
    record_trouble,
)
from core import ids
from core.errors import (
    AuthError,
    BugError,
    LineshaftError,
    NotFoundError,
    RateLimitedError,
    TransientError,
    ValidationFailedError,
)
from core.leases import Lease, LeaseLostError, claim
from integrations.registry import get_connector
from integrations.sdk.connector import Connector
from integrations.sdk.mapping import compile_mapping
from syncs.choices import Mode, RunStatus
from syncs.engine import outcomes
from syncs.engine.errors import Cancelled, OutOfTime, Wait
from syncs.engine.outcomes import Ending
from syncs.engine.prepare import Preparer
from syncs.engine.rereading import read_again
from syncs.engine.sweep import Sweep
from syncs.engine.walk import Walk
from syncs.engine.window import open_window
from syncs.models import SyncRun
from workspaces import audit

log = structlog.get_logger(__name__)
BUSY_SECONDS = (1.0, 3.0)
RATE_LIMIT_SECONDS = 60.0
MANY, MANY_SHARE = 20, 0.5
KEPT_CALLS = 20
# What a session ends with; one that stood still inside a transaction gets an InternalError.
LOST = (OperationalError, InterfaceError, InternalError)


def execute_run(run_id: UUID) -> None:
    """Work on a run as far as it goes now. Safe to call any number of times, anywhere, at any moment."""
    with scopes_disabled():
        run = SyncRun.objects.select_related("sync", "connection").filter(pk=run_id).first()
    if run is None:
        return
    shown = ids.show(SyncRun.PREFIX, run_id)
    with scope(workspace=run.workspace_id), structlog.contextvars.bound_contextvars(run_id=shown):
        lease = _claim(run)
        if lease is None:
            return
        # Read again: another worker may have moved the run on between the first look and the claim.
        run = SyncRun.objects.select_related("sync", "connection").get(pk=run_id)
        try:
            _work(run, lease)
        except LeaseLostError:
            log.warning("lease_lost", fence=lease.fence)
        except LOST:
            # The session went away, or was ended because it stood still: nothing can be written now. The lease runs out and a tick tells again.
            log.exception("database_lost")
            connection.close()


def _claim(run: SyncRun) -> Lease | None:
    """Take the run, if its connection has a place left among those that may run at once."""
    seconds, concurrency = _limits(run)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", [f"runs:{run.connection_id}"])
            cursor.execute(
                "SELECT count(*) FROM syncs_syncrun WHERE connection_id = %s AND status = 'running'"
                " AND lease_until > clock_timestamp() AND id <> %s",
                [run.connection_id, run.pk],
            )
            (others,) = cursor.fetchone()
        lease = claim(SyncRun, run.pk, seconds=seconds + settings.SYNC_LEASE_MARGIN_SECONDS)
        if lease is None:
            return None
        if others >= concurrency:
            outcomes.wait(lease, random.uniform(*BUSY_SECONDS))
            return None
    return lease


def _limits(run: SyncRun) -> tuple[float, int]:
    """Seconds one call may take, and how many runs of the connection may work at once."""
    try:
        connector = get_connector(run.connection.system)
    except NotFoundError:  # not installed (any more): the run is claimed all the same, and told so
        connector = Connector
    return connector.call_seconds, connector.limits.concurrency


def _work(run: SyncRun, lease: Lease) -> None:
    """Do the work; every way it can end is written down here."""
    if lease.exhausted:
        outcomes.finish(lease, outcomes.failed(_poisoned()))
        return
    opened_at, calls = outcomes.now(), CallLog(run.connection, last=KEPT_CALLS)
    try:
        if not _may_start(run, lease):
            return
        with _connector(run, calls) as connector:
            ending = _execute(run, lease, connector)
        _finish(lease, ending, calls)
    except Wait as wait:
        log.info("run_waits", seconds=round(wait.seconds, 1), reason=wait.reason)
        outcomes.wait(lease, wait.seconds)
    except OutOfTime:
        outcomes.requeue(lease)
    except Cancelled:
        outcomes.finish(lease, _cancelled(run))
    except RateLimitedError as error:
        outcomes.wait(lease, error.retry_after or RATE_LIMIT_SECONDS, error=error_json(error))
    except TransientError as error:
        _after_trouble(run, lease, error, calls)
    except LineshaftError as error:
        if isinstance(error, AuthError):
            record_trouble(run.connection_id, run.workspace_id, error, opened_at=opened_at)
        log.info("run_failed", code=error.code, detail=error.detail)
        _finish(lease, outcomes.failed(error), calls)
    except (LeaseLostError, *LOST):
        raise
    except Exception as error:  # a run ends here: what happened is stored, shown and logged
        log.exception("run_broke")
        bug = BugError(
            f"Lineshaft itself failed ({type(error).__name__}). The log has the details under this run's id."
        )
        if isinstance(error, DatabaseError):
            connection.close()
        _finish(lease, outcomes.failed(bug), calls)


def _cancelled(run: SyncRun) -> Ending:
    """Why it was stopped, where that was not somebody's wish to stop this very run."""
    health = Connection.objects.filter(pk=run.connection_id).values_list("health", flat=True).first()
    return outcomes.disconnected() if health == ConnectionStatus.DISCONNECTED else Ending(RunStatus.CANCELLED)


def _finish(lease: Lease, ending: Ending, calls: CallLog) -> None:
    """End the run; one that failed keeps its last calls, in the same transaction."""
    with transaction.atomic():
        outcomes.finish(lease, ending)
        if ending.status == RunStatus.FAILED:
            calls.save(run_id=lease.pk)


def _poisoned() -> BugError:
    return BugError(
        "The run was taken up five times and got nowhere: its worker was killed or stopped each time. It will not be"
        " tried again by itself; look at the workers' memory and logs, then start the sync anew.",
        code="NO_PROGRESS",
    )


def _may_start(run: SyncRun, lease: Lease) -> bool:
    """Re-check the connection at every claim; what forbids the run ends or delays it."""
    run.connection.refresh_from_db()
    held = run.connection
    is_shared = run.sync.enabled and held.shares(run.sync.entity)
    if run.cancel_requested or held.paused or not is_shared or held.health == ConnectionStatus.DISCONNECTED:
        raise Cancelled
    if held.health == ConnectionStatus.NEEDS_REAUTH:
        waiting = AuthError("The customer must sign in again before this connection can sync.", code="NEEDS_REAUTH")
        outcomes.finish(lease, outcomes.failed(waiting))
        return False
    if run.mode == Mode.REMAP or held.circuit_open_until is None:
        return True
    if let_probe_through(held.pk, held.workspace_id):
        return True
    held.refresh_from_db()
    seconds = (held.circuit_open_until - outcomes.now()).total_seconds() if held.circuit_open_until else 0
    outcomes.wait(lease, max(seconds, 1.0))
    return False


@contextmanager
def _connector(run: SyncRun, calls: CallLog) -> Iterator[Connector]:
    if run.mode != Mode.REMAP:
        audit.credential_used(run.connection_id, run.workspace_id, "sync")
    with open_connector(run.connection, on_call=calls) as connector:
        yield connector


def _execute(run: SyncRun, lease: Lease, connector: Connector) -> Ending:
    resource = connector.resource(run.sync.entity)
    opened = open_window(lease, run, connector, resource)
    run = opened.run
    walk = Walk(run, lease, connector, resource, _preparer(run, connector))
    if not run.walk_done:
        if run.page_no == 0:
            walk.retry_quarantined()
        if opened.window is None:
            walk.remap_all()
        else:
            walk.fetch_all(opened.window)
    if opened.window is not None:
        read_again(walk)
    if (spoiled := _mostly_quarantined(run)) is not None:
        return spoiled
    if run.mode == Mode.FULL:
        return Sweep(walk).judge()
    return Ending(RunStatus.COMPLETED, complete_walk=run.mode == Mode.INITIAL)


def _preparer(run: SyncRun, connector: Connector) -> Preparer:
    """The pinned mapping, compiled."""
    resource = connector.resource(run.sync.entity)
    mapping = effective_mapping(
        run.connection, run.sync.entity, default_id=run.default_mapping_id, override_id=run.override_mapping_id
    )
    try:
        compiled = compile_mapping(
            resource.spec, mapping.rows, connection_id=run.connection_id, zone=run.connection.time_zone
        )
    except ValidationFailedError as error:
        raise ValidationFailedError(f"The mapping cannot be used: {error.detail}", code="MAPPING_INVALID") from error
    return Preparer(
        connection_id=run.connection_id,
        prefix=resource.spec.id_prefix,
        compiled=compiled,
        mapping_digest=mapping.digest,
        decode=connector.decode,
    )


def _mostly_quarantined(run: SyncRun) -> Ending | None:
    """A mapping that fails for most records is a failure, not a success with exceptions."""
    read, bad = SyncRun.objects.values_list("read_count", "quarantined_count").get(pk=run.pk)
    if bad == 0 or not (bad > MANY_SHARE * read if read >= MANY else bad == read):
        return None
    error = ValidationFailedError(
        f"{bad} of {read} objects could not be mapped; see the run's errors for the reasons.", code="MAPPING_FAILED"
    )
    return outcomes.failed(error)


def _after_trouble(run: SyncRun, lease: Lease, error: TransientError, calls: CallLog) -> None:
    """Try again later within the run, with growing gaps; in the end the run fails and the next one is planned."""
    record_trouble(run.connection_id, run.workspace_id, error)
    attempts = outcomes.count_attempt(run.pk)
    seconds = outcomes.retry_seconds(attempts)
    log.info("run_hit_trouble", code=error.code, attempts=attempts, retry_in=seconds)
    if seconds is None:
        _finish(lease, outcomes.failed(error), calls)
    else:
        outcomes.wait(lease, max(seconds, error.retry_after or 0), error=error_json(error), attempts=attempts)
