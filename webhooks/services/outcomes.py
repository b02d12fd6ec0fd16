"""Writing what came of attempts: one transaction for a batch, under the locks of its endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from core import ids
from webhooks.choices import DeliveryStatus, EndpointStatus
from webhooks.models import Delivery, WebhookEndpoint
from webhooks.services import clock
from webhooks.services.judging import Outcome, Standing, Verdict, judge
from workspaces import audit
from workspaces.choices import EventType
from workspaces.events import emit
from workspaces.models import Event

ANSWER_LENGTH = 4_096

_LOCK_ENDPOINTS = """SELECT id, url, status, failures_in_row, failing_since, last_success_at, last_failure_at, probe_at,
    disabled_reason, disabled_at
FROM webhooks_webhookendpoint WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"""
_LOCK_DELIVERIES = """SELECT d.id FROM webhooks_delivery d JOIN unnest(%s::uuid[], %s::bigint[]) AS mine (id, fence)
    ON d.id = mine.id AND d.fence = mine.fence
WHERE d.status = 'pending' FOR UPDATE OF d"""
_SETTLE = """UPDATE webhooks_delivery d SET status = v.status, attempts = v.attempts, lease_until = NULL,
    due_at = %(at)s::timestamptz + v.wait * interval '1 second',
    delivered_at = CASE WHEN v.status = 'delivered' THEN %(at)s::timestamptz ELSE d.delivered_at END
FROM unnest(%(ids)s::uuid[], %(statuses)s::text[], %(attempts)s::int[], %(waits)s::float8[])
    AS v (id, status, attempts, wait) WHERE d.id = v.id"""
_NOTE = """INSERT INTO webhooks_deliveryattempt
    (id, workspace_id, delivery_id, number, at, status_code, error_code, elapsed_ms, answer, signed_with)
SELECT v.id, d.workspace_id, d.id, v.number, %(at)s, v.status_code, v.error_code, v.elapsed_ms, v.answer, v.signed_with
FROM unnest(%(ids)s::uuid[], %(deliveries)s::uuid[], %(numbers)s::int[], %(codes)s::int[], %(errors)s::text[],
    %(elapsed)s::float8[], %(answers)s::text[], %(signed)s::int[])
    AS v (id, delivery_id, number, status_code, error_code, elapsed_ms, answer, signed_with)
JOIN webhooks_delivery d ON d.id = v.delivery_id"""
# What a person sent again and was taken need not be sent by its schedule any more.
_SETTLE_REPEATED = """UPDATE webhooks_delivery d SET status = 'delivered', delivered_at = %(at)s, due_at = NULL,
    lease_until = NULL, fence = d.fence + 1
FROM webhooks_delivery by_hand
WHERE by_hand.id = ANY(%(ids)s) AND d.endpoint_id = by_hand.endpoint_id AND d.event_id = by_hand.event_id
    AND d.part = by_hand.part AND NOT d.is_manual AND d.status IN ('pending', 'exhausted')"""
_COUNT = """UPDATE webhooks_webhookendpoint SET status = %s, failures_in_row = %s, failing_since = %s,
    last_success_at = %s, last_failure_at = %s, probe_at = %s, disabled_reason = %s, disabled_at = %s WHERE id = %s"""


@dataclass(frozen=True)
class _Settled:
    """An outcome that is ours to write, and what it means."""

    outcome: Outcome
    verdict: Verdict


@transaction.atomic
def write_outcomes(outcomes: Sequence[Outcome]) -> int:
    """Write a batch in the order in which the attempts ended. Answers how many were ours to write.

    One whose claim was lost is left out: whoever holds it now sends under the same message id.
    """
    at = clock.now()
    standings, addresses = _lock_endpoints({outcome.claimed.endpoint_id for outcome in outcomes})
    held = _lock_deliveries(outcomes)
    settled = [_Settled(outcome, judge(outcome)) for outcome in outcomes if outcome.claimed.id in held]
    if not settled:
        return 0
    active = {pk for pk, standing in standings.items() if standing.status == EndpointStatus.ACTIVE}
    for one in settled:
        claimed = one.outcome.claimed
        if claimed.url == addresses[claimed.endpoint_id]:  # one that was replaced meanwhile says nothing about the new
            standings[claimed.endpoint_id].count(one.outcome, at)
    _settle(settled, at)
    _note([one.outcome for one in settled if not one.outcome.is_void], at)
    _count({pk: standings[pk] for pk in {one.outcome.claimed.endpoint_id for one in settled}})
    _tell_exhausted(settled)
    _tell_disabled(active, standings, settled)
    return len(settled)


def _lock_endpoints(endpoint_ids: set[UUID]) -> tuple[dict[UUID, Standing], dict[UUID, str]]:
    """What is counted of each, and its address now."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_ENDPOINTS, [list(endpoint_ids)])
        rows = cursor.fetchall()
    return {row[0]: Standing(*row[2:]) for row in rows}, {row[0]: row[1] for row in rows}


def _lock_deliveries(outcomes: Sequence[Outcome]) -> set[UUID]:
    """Those that nobody else claimed meanwhile, and nobody ended or deleted."""
    claims = [outcome.claimed for outcome in outcomes]
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_DELIVERIES, [[claim.id for claim in claims], [claim.fence for claim in claims]])
        return {row[0] for row in cursor.fetchall()}


def _settle(settled: Sequence[_Settled], at: datetime) -> None:
    claims = [one.outcome.claimed for one in settled]
    tried = [not one.outcome.is_void for one in settled]
    with connection.cursor() as cursor:
        cursor.execute(
            _SETTLE,
            {
                "at": at,
                "ids": [claim.id for claim in claims],
                "statuses": [one.verdict.status.value for one in settled],
                "attempts": [claim.attempts + was_tried for claim, was_tried in zip(claims, tried, strict=True)],
                "waits": [one.verdict.wait_seconds for one in settled],
            },
        )
        by_hand = [one.outcome.claimed.id for one in settled if one.outcome.claimed.is_manual and one.outcome.is_taken]
        if by_hand:
            cursor.execute(_SETTLE_REPEATED, {"at": at, "ids": by_hand})


def _note(outcomes: Sequence[Outcome], at: datetime) -> None:
    """A row for each attempt."""
    with connection.cursor() as cursor:
        cursor.execute(
            _NOTE,
            {
                "at": at,
                "ids": [ids.new_id() for _ in outcomes],
                "deliveries": [outcome.claimed.id for outcome in outcomes],
                "numbers": [outcome.claimed.attempts + 1 for outcome in outcomes],
                "codes": [outcome.status_code for outcome in outcomes],
                "errors": [outcome.error_code[:60] for outcome in outcomes],
                "elapsed": [outcome.elapsed_ms for outcome in outcomes],
                "answers": [outcome.answer[:ANSWER_LENGTH] for outcome in outcomes],
                "signed": [outcome.signed_with for outcome in outcomes],
            },
        )


def _count(standings: dict[UUID, Standing]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(_COUNT, [(*astuple(standing), pk) for pk, standing in standings.items()])


def _tell_exhausted(settled: Sequence[_Settled]) -> None:
    """What was given up is told, but for what told of that: it would go on for ever."""
    for one in settled:
        claimed = one.outcome.claimed
        is_told = one.verdict.status == DeliveryStatus.EXHAUSTED and not claimed.is_manual
        if is_told and claimed.event_type != EventType.DELIVERY_EXHAUSTED:
            data = {
                "endpoint": ids.show(WebhookEndpoint.PREFIX, claimed.endpoint_id),
                "delivery": ids.show(Delivery.PREFIX, claimed.id),
                "event": ids.show(Event.PREFIX, claimed.event_id),
            }
            _emit(EventType.DELIVERY_EXHAUSTED, one.outcome, data)


def _tell_disabled(active: set[UUID], standings: dict[UUID, Standing], settled: Sequence[_Settled]) -> None:
    """Each endpoint that these outcomes disabled."""
    by_endpoint = {one.outcome.claimed.endpoint_id: one.outcome for one in settled}
    for pk, outcome in by_endpoint.items():
        standing = standings[pk]
        if pk not in active or standing.status != EndpointStatus.DISABLED:
            continue
        shown = str(ids.show(WebhookEndpoint.PREFIX, pk))
        _emit(EventType.ENDPOINT_DISABLED, outcome, {"endpoint": shown, "reason": standing.disabled_reason})
        audit.record(
            "webhook_endpoint.disabled",
            workspace_id=outcome.claimed.workspace_id,
            about=("webhook_endpoint", shown),
            details={"reason": standing.disabled_reason},
        )


def _emit(type: EventType, outcome: Outcome, data: dict[str, str | None]) -> None:
    claimed = outcome.claimed
    emit(type, data=data, workspace_id=claimed.workspace_id, environment=claimed.environment)
