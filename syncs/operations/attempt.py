"""One worker's turn at an operation: plan, send, look up, ask for a job, read back, as the row's stage says."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import structlog
from django.conf import settings
from django.db import IntegrityError
from django.db.models.functions import Now

from connections.choices import ConnectionStatus
from connections.services import (
    CallLog,
    Card,
    card_of,
    demand_shared,
    let_probe_through,
    open_connector,
    record_success,
    record_trouble,
    take_call,
)
from core.errors import (
    AuthError,
    BugError,
    ConflictError,
    LineshaftError,
    NotFoundError,
    NotSupportedError,
    RateLimitedError,
    TransientError,
)
from core.leases import Lease, LeaseLostError
from integrations.entities import ENTITIES
from integrations.sdk.connector import Connector
from integrations.sdk.transforms import MappingError
from integrations.sdk.writes import WriteCall
from syncs.choices import OperationKind, OperationStatus, Stage
from syncs.engine.outcomes import now
from syncs.models import Operation
from syncs.operations import outcomes
from syncs.operations.copying import Copier, Seen
from syncs.operations.looking import Lookup, Verdict
from syncs.operations.outcomes import LOOKUP_SECONDS, RESEND_SECONDS, Ending, gap
from syncs.operations.planning import Planned, plan_change
from workspaces import audit

log = structlog.get_logger(__name__)
BEHIND_ANOTHER_SECONDS = 5.0
MAX_READ_BACKS = 8
# Of the margin beyond one call that a lease lasts, so much may pass before the first byte leaves.
START_SHARE = 0.5


class Later(Exception):
    """Give the worker back; the row says when to go on."""

    def __init__(self, status: OperationStatus, seconds: float, **changes: Any) -> None:
        super().__init__(status)
        self.status, self.seconds, self.changes = status, seconds, changes


@dataclass
class Tools:
    """What one turn works with."""

    connector: Connector
    card: Card
    copier: Copier


class Attempt:
    """The operation as far as one worker brings it now."""

    def __init__(self, operation: Operation, lease: Lease, calls: CallLog) -> None:
        self.operation, self.lease, self.calls = operation, lease, calls
        self.held = operation.connection
        self.prefix = ""
        self.opened_at = now()

    # --- the turn -----------------------------------------------------------------------------------------------

    def work(self) -> None:
        """Go on from the row's stage. Every way it can end is written down here."""
        operation = self.operation
        try:
            self.prefix = card_prefix(operation.entity)
            if self.lease.exhausted:
                self._end(self._poisoned())
                return
            self._may_go_on()
            card = card_of(self.held, operation.entity)
            audit.credential_used(self.held.pk, self.held.workspace_id, "operation")
            with open_connector(self.held, on_call=self.calls) as connector:
                self._go(Tools(connector, card, Copier(self.held, card.resource, connector)))
        except Later as later:
            outcomes.wait(self.lease, later.status, later.seconds, **later.changes)
        except LeaseLostError:
            raise
        except LineshaftError as error:
            self._after_error(error)
        except outcomes.DATABASE_LOST:
            raise
        except Exception as error:  # a turn ends here: what happened is stored, shown and logged
            log.exception("operation_broke")
            self._after_error(
                BugError(
                    f"Lineshaft itself failed ({type(error).__name__}). The log has the details under this operation's id."
                )
            )

    def _go(self, tools: Tools) -> None:
        operation = self.operation
        if operation.stage == Stage.PLANNED and not operation.calls:
            self._plan(tools)
        if operation.stage == Stage.SENDING:
            self._look_up(tools)
        if operation.stage == Stage.ACCEPTED:
            self._poll(tools)
        while operation.stage == Stage.PLANNED:
            self._send(tools)
        if operation.stage == Stage.ACCEPTED:
            raise Later(OperationStatus.AWAITING_SOURCE, gap(outcomes.JOB_SECONDS, 0), lookups=1)
        if operation.stage == Stage.APPLIED:
            self._read_back(tools)

    def _may_go_on(self) -> None:
        """Re-check the connection and the turn at every claim; what forbids going on ends or delays it."""
        operation, held = self.operation, self.held
        nothing_sent = operation.stage == Stage.PLANNED and operation.call_no == 0
        if nothing_sent and outcomes.has_earlier(operation):
            self._give_up_when_late(
                ConflictError("An earlier operation on this record has not ended.", code="RECORD_BUSY")
            )
            raise Later(OperationStatus.QUEUED, BEHIND_ANOTHER_SECONDS)
        if held.health == ConnectionStatus.DISCONNECTED:
            raise outcomes.disconnected()
        if held.health == ConnectionStatus.NEEDS_REAUTH:
            raise AuthError("The customer must sign in again before anything can be written.", code="NEEDS_REAUTH")
        if nothing_sent:
            demand_shared(held, operation.entity, write=True)
        error = TransientError("The system does not answer; it is tried again by itself.", code="UPSTREAM_UNAVAILABLE")
        if nothing_sent:
            late = TransientError("It could not be sent in time: nothing was done.", code="NOT_SENT_IN_TIME")
            self._give_up_when_late(late if held.circuit_open_until is None else error)
        if held.circuit_open_until is not None and not let_probe_through(held.pk, held.workspace_id):
            held.refresh_from_db()
            seconds = (held.circuit_open_until - now()).total_seconds() if held.circuit_open_until else 1.0
            raise Later(self._resting(), max(1.0, seconds), error=error)

    # --- before anything is sent ----------------------------------------------------------------------------------

    def _plan(self, tools: Tools) -> None:
        """Read the object, judge the wish by what it is now, and fix the requests."""
        operation = self.operation
        before: Seen | None = None
        if operation.kind != OperationKind.CREATE:
            self._before_call(tools)
            try:
                before = tools.copier.read(operation.remote_id)
            except NotFoundError as error:
                ending = Ending(OperationStatus.FAILED, error, gone=True)
                raise _Ended(ending) from error
            except MappingError as error:
                raise BugError(f"The object cannot be mapped as it is now: {error}", code="MAPPING_FAILED") from error
            record_success(self.held.pk, self.held.workspace_id)
            self.lease.renew()  # planning may look things up there
        try:
            planned = plan_change(operation, tools.card, tools.connector, before)
        except (TransientError, RateLimitedError):
            raise  # looking something up for the plan failed: nothing was sent
        except LineshaftError as error:
            raise _Ended(Ending(OperationStatus.FAILED, error, seen=before)) from error
        self._fix(planned, before)
        if not planned.calls:
            # Everything wished is there already: nothing is sent.
            raise _Ended(Ending(OperationStatus.SUCCEEDED, seen=before))

    def _fix(self, planned: Planned, before: Seen | None) -> None:
        try:
            outcomes.plan(
                self.lease,
                self.operation,
                calls=[call.as_json() for call in planned.calls],
                before=planned.before,
                diff=planned.diff,
                effect=planned.effect,
                mark=planned.mark,
            )
        except IntegrityError as error:
            taken = ConflictError(f"Another operation under way creates {planned.mark!r} too.", code="MARK_IN_USE")
            raise _Ended(Ending(OperationStatus.FAILED, taken, seen=before)) from error

    # --- sending --------------------------------------------------------------------------------------------------

    def _send(self, tools: Tools) -> None:
        """Send the next request, once. Its intent is committed first."""
        operation = self.operation
        call = self._call()
        self._take_budget(tools)
        begun = time.monotonic()
        outcomes.begin_sending(self.lease, operation)
        try:
            sent = tools.connector.send_call(
                tools.card.resource, call, not_after=begun + settings.SYNC_LEASE_MARGIN_SECONDS * START_SHARE
            )
        except LineshaftError as error:
            self._not_answered(error, tools)
            return
        record_success(self.held.pk, self.held.workspace_id)
        outcomes.answered(self.lease, operation, remote_id=sent.remote_id, job=sent.job)

    def _call(self) -> WriteCall:
        stored = self.operation.calls[self.operation.call_no]
        call = WriteCall.from_json(stored)
        if "{id}" in call.url:
            parts = [quote(part, safe="") for part in self.operation.remote_id.split("|")]
            call = WriteCall.from_json({**stored, "url": call.url.replace("{id}", "|".join(parts))})
        return call

    def _not_answered(self, error: LineshaftError, tools: Tools) -> None:
        """A request that was not answered with yes: not done, surely not done, or not known."""
        operation = self.operation
        if isinstance(error, (TransientError, AuthError)):
            record_trouble(self.held.pk, self.held.workspace_id, error, opened_at=self.opened_at)
        if not outcomes.is_settled(error):
            log.info("outcome_unknown", code=error.code)
            raise Later(OperationStatus.UNKNOWN, LOOKUP_SECONDS[0], error=error, lookups=0, lost_at=Now())
        if isinstance(error, (RateLimitedError, TransientError)):
            self._give_up_when_late(error)
            seconds = max(error.retry_after or 0.0, gap(RESEND_SECONDS, operation.troubles))
            raise Later(
                OperationStatus.QUEUED, seconds, error=error, stage=Stage.PLANNED, troubles=operation.troubles + 1
            )
        if operation.attempts > operation.call_no + 1 and not isinstance(error, AuthError):
            # Refused the second time: the first may have been done after all.
            verdict = self._lookup(tools).judge(resending=False)
            if verdict.applied:
                self._adopt(verdict)
                return
        raise _Ended(self._failed(error, tools))

    def _failed(self, error: LineshaftError | None, tools: Tools) -> Ending:
        """A refusal, with the object as it is after it, so that the copy shows what it was about, where it can be read."""
        seen, gone = None, False
        if self.operation.remote_id:
            try:
                self._before_call(tools)
                seen = tools.copier.read(self.operation.remote_id)
            except NotFoundError:
                gone = True
            except (LineshaftError, MappingError, Later) as trouble:
                log.info("not_read_after_refusal", error=str(trouble))
        return Ending(OperationStatus.FAILED, error, seen=seen, gone=gone)

    # --- looking up -----------------------------------------------------------------------------------------------

    def _lookup(self, tools: Tools) -> Lookup:
        return Lookup(
            self.operation, tools.card, tools.connector, tools.copier, before_call=lambda: self._before_call(tools)
        )

    def _look_up(self, tools: Tools) -> None:
        """A request may have been done: find out before anything else."""
        operation = self.operation
        verdict = self._lookup(tools).judge()
        record_success(self.held.pk, self.held.workspace_id)
        if verdict.applied:
            self._adopt(verdict)
        elif verdict.must_review:
            raise _Ended(
                Ending(OperationStatus.NEEDS_REVIEW, verdict.error, seen=verdict.seen, candidates=verdict.candidates)
            )
        elif verdict.gone:
            error = NotFoundError("The object is gone from the system; nothing could be changed.")
            raise _Ended(Ending(OperationStatus.FAILED, error, gone=True))
        elif verdict.wait_seconds > 0:
            seconds = max(verdict.wait_seconds, gap(LOOKUP_SECONDS, operation.lookups))
            raise Later(OperationStatus.UNKNOWN, seconds, lookups=operation.lookups + 1)
        else:
            self._resend()

    def _resend(self) -> None:
        """It is sure now that nothing was done: the same request may go out again, if there is still time."""
        error = TransientError("The system did not take the request; it was not done.", code="NOT_DONE")
        self._give_up_when_late(error)
        outcomes.plan(self.lease, self.operation, stage=Stage.PLANNED, lookups=0)

    def _adopt(self, verdict: Verdict) -> None:
        operation = self.operation
        if verdict.all_calls:
            operation.call_no = len(operation.calls) - 1
        outcomes.answered(self.lease, operation, remote_id=verdict.remote_id or operation.remote_id or None, job=None)

    def _poll(self, tools: Tools) -> None:
        """Ask for the system's own job; past its deadline the outcome is unknown, and asked for more rarely."""
        operation = self.operation
        self._before_call(tools)
        state = tools.connector.poll(tools.card.resource, operation.job or {})
        record_success(self.held.pk, self.held.workspace_id)
        if state.state == "done":
            outcomes.answered(self.lease, operation, remote_id=state.remote_id or operation.remote_id or None, job=None)
            return
        if state.state == "failed":
            raise _Ended(self._failed(state.error, tools))
        left = (operation.job_deadline_at - now()).total_seconds() if operation.job_deadline_at else 0.0
        lookups = operation.lookups + 1
        if left > 0:
            seconds = min(gap(outcomes.JOB_SECONDS, operation.lookups), max(left, 0.05))
            raise Later(OperationStatus.AWAITING_SOURCE, seconds, lookups=lookups)
        if -left > settings.OPERATION_LOOKUP_SECONDS:
            raise _Ended(Ending(OperationStatus.NEEDS_REVIEW, _overdue()))
        raise Later(OperationStatus.UNKNOWN, LOOKUP_SECONDS[-1], error=_overdue(), lookups=lookups)

    # --- reading back -----------------------------------------------------------------------------------------------

    def _read_back(self, tools: Tools) -> None:
        """The object as it is now ends the operation: into the copy, with what was not taken up."""
        operation = self.operation
        if not operation.remote_id:
            raise _Ended(Ending(OperationStatus.SUCCEEDED, effect=operation.effect))
        self._before_call(tools)
        try:
            seen = tools.copier.read(operation.remote_id)
        except NotFoundError:
            raise _Ended(Ending(OperationStatus.SUCCEEDED, gone=True, effect=operation.effect)) from None
        except (NotSupportedError, MappingError) as error:
            log.info("not_read_back", error=str(error))
            raise _Ended(Ending(OperationStatus.SUCCEEDED, effect=operation.effect)) from error
        missed = self._lookup(tools).not_applied(seen)
        raise _Ended(Ending(OperationStatus.SUCCEEDED, seen=seen, not_applied=missed, effect=operation.effect))

    # --- ends -------------------------------------------------------------------------------------------------------

    def _end(self, ending: Ending) -> None:
        outcomes.finish(self.lease, self.operation, ending, prefix=self.prefix, environment=self.held.environment)

    def _after_error(self, error: LineshaftError) -> None:
        """An error outside of a sent request: what was sent before decides what it means."""
        if isinstance(error, _Ended):
            self._end(error.ending)
            return
        operation = self.operation
        if isinstance(error, (TransientError, AuthError)) and error.code != "NEEDS_REAUTH":
            record_trouble(self.held.pk, self.held.workspace_id, error, opened_at=self.opened_at)
        log.info("operation_hit_trouble", code=error.code, stage=operation.stage, detail=error.detail)
        retryable = isinstance(error, (TransientError, RateLimitedError))
        if operation.stage == Stage.PLANNED and (not retryable or self._is_late()):
            self._end(Ending(OperationStatus.FAILED, error))
            return
        if operation.stage == Stage.APPLIED and operation.troubles >= MAX_READ_BACKS:
            self._end(Ending(OperationStatus.SUCCEEDED, effect=operation.effect))  # done there; the next sync reads it
            return
        if operation.stage in (Stage.SENDING, Stage.ACCEPTED) and self._is_long_unknown():
            self._end(Ending(OperationStatus.NEEDS_REVIEW, error))
            return
        seconds = max(error.retry_after or 0.0, gap(LOOKUP_SECONDS, operation.troubles))
        outcomes.wait(self.lease, self._resting(), seconds, error=error, troubles=operation.troubles + 1)

    def _resting(self) -> OperationStatus:
        """What a row that waits is called at its stage."""
        stage = self.operation.stage
        if stage == Stage.SENDING:
            return OperationStatus.UNKNOWN
        return OperationStatus.QUEUED if stage == Stage.PLANNED else OperationStatus.AWAITING_SOURCE

    def _is_late(self) -> bool:
        return self.operation.give_up_at is not None and now() > self.operation.give_up_at

    def _is_long_unknown(self) -> bool:
        operation = self.operation
        since = operation.job_deadline_at if operation.stage == Stage.ACCEPTED else operation.sent_at
        return since is not None and (now() - since).total_seconds() > settings.OPERATION_LOOKUP_SECONDS

    def _give_up_when_late(self, error: LineshaftError) -> None:
        if self._is_late():
            raise _Ended(Ending(OperationStatus.FAILED, error))

    def _poisoned(self) -> Ending:
        if self.operation.stage == Stage.APPLIED:  # done there; the next sync reads it
            return Ending(OperationStatus.SUCCEEDED, effect=self.operation.effect)
        error = BugError(
            "The operation was taken up five times and got nowhere: its worker was killed or stopped each time.",
            code="NO_PROGRESS",
        )
        nothing_sent = self.operation.stage == Stage.PLANNED
        return Ending(OperationStatus.FAILED if nothing_sent else OperationStatus.NEEDS_REVIEW, error)

    # --- calls ------------------------------------------------------------------------------------------------------

    def _before_call(self, tools: Tools) -> None:
        """Have a fresh lease and take from the connection's budget, before every call that reads."""
        self._take_budget(tools)
        self.lease.renew()

    def _take_budget(self, tools: Tools) -> None:
        seconds = take_call(self.held, tools.connector.limits, for_operations=True)
        if seconds > 0:
            if self.operation.stage == Stage.PLANNED and self.operation.call_no == 0:
                self._give_up_when_late(RateLimitedError("The connection's request budget stayed used up."))
            raise Later(self._resting(), seconds)


class _Ended(LineshaftError):
    """The operation is decided."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.error.detail if ending.error else "")
        self.ending = ending


def _overdue() -> TransientError:
    return TransientError("The system's own job did not end in time; it is still asked for.", code="JOB_OVERDUE")


def card_prefix(entity: str) -> str:
    """How ids of the entity's records begin."""
    return ENTITIES[entity].describes.id_prefix
