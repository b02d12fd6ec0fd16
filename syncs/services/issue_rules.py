"""The rules: what is wrong now, each one statement over rows of all workspaces.

A rule answers (workspace_id, environment, connection_id, subject, facts) for each trouble it finds, and puts it into
words. What it does not find any more is over. Connections that were disconnected or deleted have no troubles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from connections.screen_texts import entity_title
from core.admin_texts import duration, plural
from core.errors import WhoMustAct
from syncs.choices import IssueKind
from syncs.states import IS_SHARED

CALLS_HOURS, LEAST_CALLS = 24, 5
OVERDUE_INTERVALS, OVERDUE_SECONDS = 3, 900
OFFLINE_SECONDS = 3600
EXHAUSTED_DAYS = 7
SECRET_CODES = (
    "KEY_MISSING", "SECRET_MISSING", "SECRET_STORE_DENIED", "SECRET_STORE_NOT_SET_UP", "REFERENCE_NOT_ALLOWED",
)  # fmt: skip
"""Codes of errors that say: our own secret does not open."""


@dataclass(frozen=True)
class Finding:
    """One trouble. `facts` are what the words are made of."""

    workspace_id: UUID
    environment: str
    connection_id: UUID | None
    subject: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Words:
    """What people read."""

    title: str
    detail: str
    action: str
    who: str


@dataclass(frozen=True)
class Rule:
    """`sql` finds, `words` tells. `seconds`: how often it is looked at, at the most.

    `page`, where the subject is no entity of a connection: the prefix of its shown id, and where the admin keeps it.
    """

    kind: IssueKind
    sql: str
    words: Callable[[Finding], Words]
    seconds: float = 30.0
    page: tuple[str, str] | None = None


_OF_CONNECTION = """SELECT c.workspace_id, c.environment, c.id AS connection_id, '' AS subject,
    jsonb_build_object('name', c.name, 'error', c.error, 'since', c.offline_since) AS facts
FROM connections_connection c WHERE c.purge_requested_at IS NULL AND """
_CODES = ", ".join(f"'{code}'" for code in SECRET_CODES)

NEEDS_REAUTH = _OF_CONNECTION + "c.health = 'needs_reauth'"
OFFLINE = f"""{_OF_CONNECTION} c.health = 'offline' AND NOT c.paused
    AND c.offline_since <= clock_timestamp() - {OFFLINE_SECONDS} * interval '1 second'"""
SECRET_UNREADABLE = f"""{_OF_CONNECTION} c.health <> 'disconnected' AND c.error ->> 'code' IN ({_CODES})"""

NEEDS_REVIEW = """SELECT c.workspace_id, c.environment, c.id AS connection_id, w.entity AS subject,
    jsonb_build_object('name', c.name, 'runs', sum(w.runs), 'operations', sum(w.operations)) AS facts
FROM (SELECT r.connection_id, s.entity, 1 AS runs, 0 AS operations
        FROM syncs_syncrun r JOIN syncs_sync s ON s.id = r.sync_id WHERE r.status = 'needs_review'
    UNION ALL SELECT o.connection_id, o.entity, 0, 1 FROM syncs_operation o WHERE o.status = 'needs_review') w
JOIN connections_connection c ON c.id = w.connection_id
WHERE c.purge_requested_at IS NULL AND c.health <> 'disconnected' GROUP BY c.id, w.entity"""

# Not of connections that are away: their own issue tells that. Who resumes something, or brings it back, gets the whole
# time again, and so does a first or full walk that goes on: it may rightly take hours.
_GRACE = f"greatest(s.interval_seconds * {OVERDUE_INTERVALS}, {OVERDUE_SECONDS}) * interval '1 second'"
# Ids of events begin with their time, so that the index leads to the late ones past a year of others. A minute for clocks
# that differ. Of the statement, since an index cannot be searched for a time that moves.
_FIRST_ID = f"""(lpad(to_hex(floor(extract(epoch FROM statement_timestamp() - {_GRACE} - interval '1 minute') * 1000)::bigint),
    12, '0') || repeat('0', 20))::uuid"""
# The walks are read once, as a set: looked up for each sync, the planner goes through all active runs every time.
SYNC_OVERDUE = f"""SELECT c.workspace_id, c.environment, c.id AS connection_id, s.entity AS subject,
    jsonb_build_object('name', c.name, 'never', s.last_success_at IS NULL,
        'seconds', extract(epoch FROM clock_timestamp() - coalesce(s.last_success_at, s.created_at))::bigint,
        'error', (SELECT r.error FROM syncs_syncrun r WHERE r.sync_id = s.id AND r.status <> 'cancelled'
            ORDER BY r.created_at DESC LIMIT 1)) AS facts
FROM syncs_sync s JOIN connections_connection c ON c.id = s.connection_id
WHERE c.health = 'active' AND NOT c.paused AND c.purge_requested_at IS NULL
    AND s.enabled AND NOT s.paused AND s.unavailable = '' AND {IS_SHARED.format(entity="s.entity")}
    AND greatest(coalesce(s.last_success_at, s.created_at), c.online_since) <= clock_timestamp() - {_GRACE}
    AND s.id NOT IN (SELECT r.sync_id FROM syncs_syncrun r WHERE r.status IN ('queued', 'running', 'waiting')
        AND r.mode IN ('initial', 'full') AND r.attempts = 0 AND r.page_no > 0
        AND coalesce(r.lease_until, r.due_at) > clock_timestamp() - interval '10 minutes')
    AND NOT EXISTS (SELECT FROM workspaces_auditevent a WHERE a.workspace_id = s.workspace_id
        AND a.object_id IN ('con_' || replace(c.id::text, '-', ''), 'syn_' || replace(s.id::text, '-', ''))
        AND a.action IN ('connection.resumed', 'connection.reconnected', 'sync.resumed')
        AND a.id >= {_FIRST_ID} AND a.at > clock_timestamp() - {_GRACE})"""

# Runs are many, so they are counted only where something failed or the issue stands already.
_SINCE = f"clock_timestamp() - interval '{CALLS_HOURS} hours'"
CALLS_FAILING = f"""WITH operations AS (
    SELECT o.connection_id, count(*) AS ended, count(*) FILTER (WHERE o.status = 'failed') AS failed
    FROM workspaces_workspace w JOIN syncs_operation o ON o.workspace_id = w.id
    WHERE o.created_at > {_SINCE} AND o.status IN ('succeeded', 'failed') GROUP BY o.connection_id),
suspected AS (
    SELECT connection_id FROM operations WHERE failed > 0
    UNION SELECT s.connection_id FROM syncs_sync s WHERE s.failed_at > {_SINCE}
    UNION SELECT i.connection_id FROM syncs_issue i WHERE i.kind = 'calls_failing' AND i.resolved_at IS NULL)
SELECT c.workspace_id, c.environment, c.id AS connection_id, '' AS subject,
    jsonb_build_object('name', c.name, 'ended', runs.ended + coalesce(o.ended, 0),
        'failed', runs.failed + coalesce(o.failed, 0), 'error', (SELECT r.error FROM syncs_syncrun r
            WHERE r.connection_id = c.id AND r.status = 'failed' ORDER BY r.created_at DESC LIMIT 1)) AS facts
FROM suspected JOIN connections_connection c ON c.id = suspected.connection_id
CROSS JOIN LATERAL (SELECT count(*) AS ended, count(*) FILTER (WHERE r.status = 'failed') AS failed FROM syncs_syncrun r
    WHERE r.connection_id = c.id AND r.created_at > {_SINCE} AND r.status IN ('completed', 'failed', 'needs_review')) runs
LEFT JOIN operations o ON o.connection_id = c.id
WHERE c.purge_requested_at IS NULL AND c.health <> 'disconnected'
    AND runs.ended + coalesce(o.ended, 0) >= {LEAST_CALLS}
    AND (runs.failed + coalesce(o.failed, 0)) * 2 >= runs.ended + coalesce(o.ended, 0)"""

_OF_ENDPOINT = """e.workspace_id, e.environment, NULL::uuid AS connection_id,
    'whe_' || replace(e.id::text, '-', '') AS subject,"""
ENDPOINT_DISABLED = f"""SELECT {_OF_ENDPOINT} jsonb_build_object('url', e.url, 'reason', e.disabled_reason) AS facts
FROM webhooks_webhookendpoint e WHERE e.status = 'disabled'"""
# A message that was sent again by hand and taken is told no more.
DELIVERY_EXHAUSTED = f"""SELECT {_OF_ENDPOINT} jsonb_build_object('url', e.url, 'count', lost.count) AS facts
FROM (SELECT d.endpoint_id, count(*) AS count FROM webhooks_delivery d
    WHERE d.status = 'exhausted' AND NOT d.is_manual AND d.created_at > clock_timestamp() - interval '{EXHAUSTED_DAYS} days'
    GROUP BY d.endpoint_id) lost
JOIN webhooks_webhookendpoint e ON e.id = lost.endpoint_id"""


def _reauth_words(found: Finding) -> Words:
    return Words(
        f"{found.facts['name']} needs a new sign-in",
        _message(found, "The system refused the sign-in; nothing is synced or written until somebody signs in again."),
        "Send the customer a link to sign in again, or enter new credentials on the connection.",
        WhoMustAct.CUSTOMER,
    )


def _offline_words(found: Finding) -> Words:
    since = datetime.fromisoformat(found.facts["since"])
    return Words(
        f"{found.facts['name']} is offline",
        f"Since {since:%Y-%m-%d %H:%M} UTC. {_message(found, 'The system does not answer.')}",
        "Ask who runs the system, or the network to it. It goes on by itself when the system answers.",
        _who(found, WhoMustAct.SOURCE),
    )


def _secret_words(found: Finding) -> Words:
    return Words(
        f"A secret of {found.facts['name']} does not open",
        _message(found, "Nothing can be synced or written."),
        str((found.facts["error"] or {}).get("action") or "Enter the secret again on the connection."),
        WhoMustAct.OPERATOR,
    )


def _review_words(found: Finding) -> Words:
    runs, operations = int(found.facts["runs"]), int(found.facts["operations"])
    parts = []
    if runs:
        parts.append("A full run missed unusually many records and deleted none of them.")
    if operations:
        parts.append(f"Whether the system did {plural(operations, 'write')} is not known.")
    return Words(
        f"{entity_title(found.subject)} of {found.facts['name']} waits for a decision",
        " ".join(parts),
        "Open the connection and decide what is held there: release or delete the records, resolve the operations.",
        WhoMustAct.OPERATOR,
    )


def _overdue_words(found: Finding) -> Words:
    name, ago = f"{entity_title(found.subject)} of {found.facts['name']}", duration(found.facts["seconds"])
    title = f"{name} was never synced in {ago}" if found.facts["never"] else f"{name} was not synced for {ago}"
    otherwise = "No run has failed: it may be that no worker runs."
    return Words(
        title, _message(found, otherwise), _action(found, "Look at the last run of the sync."), _who(found, "operator")
    )


def _failing_words(found: Finding) -> Words:
    failed, ended = int(found.facts["failed"]), int(found.facts["ended"])
    return Words(
        f"{failed} of {ended} runs and operations of {found.facts['name']} failed",
        _message(found, "Within the last 24 hours."),
        _action(found, "Look at the failed runs and operations of the connection."),
        _who(found, WhoMustAct.OPERATOR),
    )


def _endpoint_words(found: Finding) -> Words:
    return Words(
        f"Nothing is sent to {found.facts['url']}",
        str(found.facts["reason"] or "The endpoint was disabled."),
        "Mend what listens there, enable the endpoint again, and recover what was missed.",
        WhoMustAct.DEVELOPER,
    )


def _exhausted_words(found: Finding) -> Words:
    return Words(
        f"Messages to {found.facts['url']} were given up",
        f"{plural(int(found.facts['count']), 'message')} of the last {EXHAUSTED_DAYS} days could not be delivered.",
        "Mend what listens there, then resend them or recover since a time.",
        WhoMustAct.DEVELOPER,
    )


def _message(found: Finding, otherwise: str) -> str:
    return str((found.facts.get("error") or {}).get("message") or otherwise)


def _action(found: Finding, otherwise: str) -> str:
    return str((found.facts.get("error") or {}).get("action") or otherwise)


def _who(found: Finding, otherwise: str) -> str:
    """Who mends it. What mends itself, and has not done so, is for the other."""
    who = (found.facts.get("error") or {}).get("who_must_act")
    return str(who) if who in set(WhoMustAct) - {WhoMustAct.NOBODY} else str(otherwise)


_ENDPOINT_PAGE = ("whe", "webhooks/webhookendpoint")
RULES = (
    Rule(IssueKind.NEEDS_REAUTH, NEEDS_REAUTH, _reauth_words),
    Rule(IssueKind.OFFLINE, OFFLINE, _offline_words),
    Rule(IssueKind.SECRET_UNREADABLE, SECRET_UNREADABLE, _secret_words),
    Rule(IssueKind.NEEDS_REVIEW, NEEDS_REVIEW, _review_words),
    Rule(IssueKind.SYNC_OVERDUE, SYNC_OVERDUE, _overdue_words),
    Rule(IssueKind.CALLS_FAILING, CALLS_FAILING, _failing_words, seconds=300.0),
    Rule(IssueKind.ENDPOINT_DISABLED, ENDPOINT_DISABLED, _endpoint_words, page=_ENDPOINT_PAGE),
    Rule(IssueKind.DELIVERY_EXHAUSTED, DELIVERY_EXHAUSTED, _exhausted_words, seconds=120.0, page=_ENDPOINT_PAGE),
)
