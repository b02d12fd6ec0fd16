"""Claiming: which deliveries a worker sends next, fair over endpoints.

Everything that changes deliveries of an endpoint does so under the endpoint's row lock, taken first and in order of
ids. So who claims sees how many are under way, and two workers never claim the same one. An endpoint whose lock is held
this moment is passed by. A claim lasts for one call's time limit and a margin; then the delivery falls due again, which
is why a claim moves `due_at` to the end of its lease.

Slots are counted for each worker by itself, of whom there are few (`seats`): what one that died had under way does not
hold up the endpoint until its claims end. A probe is the only one of all workers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from webhooks.services import clock
from webhooks.services.schedule import PROBING_FROM

TIMEOUT_SECONDS: float = settings.WEBHOOK_TIMEOUT_SECONDS
LEASE_SECONDS: float = TIMEOUT_SECONDS + settings.WEBHOOK_LEASE_MARGIN_SECONDS
SLOTS = 16
ENDPOINTS_AT_ONCE = 100
NOTHING: Mapping[UUID, int] = MappingProxyType({})

# Endpoints with something pending, found one after the other in the index of due times: their number is what it costs.
_WAITING = """WITH RECURSIVE waiting AS (
    (SELECT endpoint_id FROM webhooks_delivery WHERE status = 'pending' ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.endpoint_id FROM webhooks_delivery d
            WHERE d.status = 'pending' AND d.endpoint_id > w.endpoint_id ORDER BY d.endpoint_id LIMIT 1)
    FROM waiting w WHERE w.endpoint_id IS NOT NULL),
due AS (
    SELECT e.id, least(
        (SELECT min(d.due_at) FROM webhooks_delivery d WHERE d.endpoint_id = e.id AND d.status = 'pending'
            AND d.due_at <= %(at)s::timestamptz AND e.status = 'active'
            AND (e.failures_in_row < %(probing)s OR e.probe_at IS NULL OR e.probe_at <= %(at)s::timestamptz)),
        (SELECT min(d.due_at) FROM webhooks_delivery d
            WHERE d.endpoint_id = e.id AND d.status = 'pending' AND d.is_manual AND d.due_at <= %(at)s::timestamptz)) AS since
    FROM waiting w JOIN webhooks_webhookendpoint e ON e.id = w.endpoint_id)"""
_LOCK = f"""{_WAITING} SELECT e.id FROM webhooks_webhookendpoint e JOIN due ON due.id = e.id
WHERE due.since IS NOT NULL ORDER BY due.since LIMIT %(endpoints)s FOR NO KEY UPDATE OF e SKIP LOCKED"""  # noqa: S608
_ANY = f"{_WAITING} SELECT id FROM due WHERE since IS NOT NULL LIMIT 1"  # noqa: S608 (our own text)

# What was sent thin once stays thin, whatever the endpoint asks for by now: each attempt sends the same bytes.
# What is asked for by hand goes first, also to who is paused or probed. Then each endpoint in turn, the longest waiting
# first. Probes under way have their `due_at` within a lease from now, so few rows are looked at to find them.
_UNTIL = "(%(at)s::timestamptz + %(seconds)s * interval '1 second')"  # the end of a lease that begins now
_CLAIM = f"""WITH free AS (
    SELECT e.id, CASE
        WHEN e.status <> 'active' OR e.failures_in_row >= %(probing)s AND e.probe_at > %(at)s::timestamptz THEN 0
        WHEN e.failures_in_row < %(probing)s THEN %(slots)s - coalesce(mine.claims, 0)
        ELSE 1 - (SELECT count(*) FROM webhooks_delivery d WHERE d.endpoint_id = e.id AND d.status = 'pending'
            AND d.due_at > %(at)s::timestamptz AND d.due_at <= {_UNTIL} AND d.lease_until > %(at)s::timestamptz) END AS slots
    FROM webhooks_webhookendpoint e LEFT JOIN unnest(%(mine)s::uuid[], %(claims)s::int[]) AS mine (id, claims)
        ON mine.id = e.id
    WHERE e.id = ANY(%(endpoints)s)),
picked AS (
    SELECT d.id FROM (SELECT * FROM free) f CROSS JOIN LATERAL (
        (SELECT m.id, m.due_at, 0 AS turn FROM webhooks_delivery m
            WHERE m.endpoint_id = f.id AND m.status = 'pending' AND m.is_manual AND m.due_at <= %(at)s::timestamptz
            ORDER BY m.due_at, m.id LIMIT %(slots)s)
        UNION ALL
        (SELECT r.id, r.due_at, row_number() OVER (ORDER BY r.due_at, r.id) AS turn FROM webhooks_delivery r
            WHERE r.endpoint_id = f.id AND r.status = 'pending' AND NOT r.is_manual AND r.due_at <= %(at)s::timestamptz
            ORDER BY r.due_at, r.id LIMIT greatest(f.slots, 0))) AS d
    ORDER BY d.turn, d.due_at LIMIT %(limit)s),
taken AS (
    UPDATE webhooks_delivery w SET lease_until = {_UNTIL}, due_at = {_UNTIL}, fence = w.fence + 1
    FROM picked WHERE w.id = picked.id AND w.status = 'pending' AND w.due_at <= %(at)s::timestamptz
    RETURNING w.id, w.workspace_id, w.endpoint_id, w.event_id, w.part, w.event_type, w.position, w.body, w.attempts,
        w.fence, w.is_manual)
SELECT t.id, t.workspace_id, t.endpoint_id, t.event_id, t.part, t.event_type, t.position, t.attempts, t.fence,
    t.is_manual, coalesce(nullif(t.body, ''), CASE WHEN e.payload = 'thin' OR EXISTS (
        SELECT FROM webhooks_deliveryattempt a WHERE a.delivery_id = t.id AND a.signed_with > 0) THEN ev.body END, ''),
    e.url, e.environment, ev.id IS NOT NULL, ev.connection_id
FROM taken t JOIN webhooks_webhookendpoint e ON e.id = t.endpoint_id LEFT JOIN workspaces_event ev ON ev.id = t.event_id"""  # noqa: S608 (our own text)


@dataclass(frozen=True)
class Claimed:
    """A delivery that is ours until `not_after` (of time.monotonic()).

    `body` is empty where it is still to be rendered, or where nothing is left to tell (`has_event` is false then).
    `attempts` counts those before this one.
    """

    id: UUID
    workspace_id: UUID
    endpoint_id: UUID
    event_id: UUID
    part: int
    event_type: str
    position: int
    attempts: int
    fence: int
    is_manual: bool
    body: str
    url: str
    environment: str
    has_event: bool
    connection_id: UUID | None
    not_after: float


@transaction.atomic
def claim_batch(limit: int, under_way: Mapping[UUID, int] = NOTHING) -> list[Claimed]:
    """Take up to `limit` due deliveries. `under_way` counts, by endpoint, what this worker is sending already.

    No endpoint gets more than its free slots; one that failed three times in a row gets one, and only when it is to be
    probed. Nothing of value is written, so the commit does not wait for the disk.
    """
    began = time.monotonic()
    at = clock.now()
    endpoints = _lock_due(at)
    if not endpoints:
        return []
    rows = _claim(endpoints, at, limit, under_way)
    # The clock in the lease was read after ours, so the lease cannot end before we believe it does.
    return [Claimed(*(*row, began + LEASE_SECONDS)) for row in rows]


def something_is_due() -> UUID | None:
    """An endpoint to which something may be sent now, if there is one."""
    with connection.cursor() as cursor:
        cursor.execute(_ANY, {"at": clock.now(), "probing": PROBING_FROM})
        row = cursor.fetchone()
    return None if row is None else row[0]


def _lock_due(at: datetime) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute(_LOCK, {"at": at, "probing": PROBING_FROM, "endpoints": ENDPOINTS_AT_ONCE})
        return [row[0] for row in cursor.fetchall()]


def _claim(endpoints: list[UUID], at: datetime, limit: int, under_way: Mapping[UUID, int]) -> list[tuple[Any, ...]]:
    """A statement of its own: it sees what was committed before the locks were got."""
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            {
                "at": at,
                "probing": PROBING_FROM,
                "slots": SLOTS,
                "mine": list(under_way),
                "claims": list(under_way.values()),
                "endpoints": endpoints,
                "limit": limit,
                "seconds": LEASE_SECONDS,
            },
        )
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
