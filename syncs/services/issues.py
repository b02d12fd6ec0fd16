"""Issues: opened when a rule finds something, resolved when it does not any more, with the event in one transaction.

Any number of tickers may look at once: within a workspace one writes at a time, and looks again at what is open.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.module_loading import import_string
from django_scopes import scope, scopes_disabled

from core import ids
from syncs.models import Issue
from syncs.services.issue_rules import Finding, Rule, Words
from workspaces import audit
from workspaces.choices import EventType
from workspaces.events import emit

KEPT_DAYS = 90
BATCH = 500
"""How many are opened or resolved at once; the others follow with the next look."""

# Both sides of the comparison are plain values, so that PostgreSQL can hash them.
_SAME = """i.kind = %(kind)s AND i.resolved_at IS NULL AND i.workspace_id = found.workspace_id
    AND i.environment = found.environment AND i.subject = found.subject
    AND coalesce(i.connection_id, i.workspace_id) = coalesce(found.connection_id, found.workspace_id)"""
# What is new, then what is over, of one look: some rules are dear.
_CHANGES = """WITH found AS MATERIALIZED ({sql})
(SELECT NULL::uuid AS issue_id, workspace_id, environment, connection_id, subject, facts::text FROM found
    WHERE NOT EXISTS (SELECT FROM syncs_issue i WHERE {same}) ORDER BY workspace_id LIMIT %(limit)s)
UNION ALL (SELECT i.id, i.workspace_id, i.environment, i.connection_id, i.subject, NULL FROM syncs_issue i
    WHERE i.kind = %(kind)s AND i.resolved_at IS NULL AND NOT EXISTS (SELECT FROM found WHERE {same})
    ORDER BY i.workspace_id LIMIT %(limit)s)"""


def evaluate(rule: Rule) -> int:
    """Open what a rule finds and resolve what it does not find any more. How many issues changed."""
    new, over = _changes(rule)
    opened = sum(_open(workspace_id, rule, found) for workspace_id, found in new.items())
    return opened + sum(_resolve(workspace_id, issue_ids) for workspace_id, issue_ids in over.items())


@cache
def all_rules() -> tuple[Rule, ...]:
    """Those of this room and of the rooms above, from settings.ISSUE_RULES."""
    return tuple(rule for path in settings.ISSUE_RULES for rule in import_string(path))


def evaluate_all() -> int:
    """Every rule."""
    return sum(evaluate(rule) for rule in all_rules())


def acknowledge(issue: Issue, *, by: str) -> Issue:
    """Somebody knows of it: no more mail about it. It stays open until it is over."""
    with scope(workspace=issue.workspace_id), transaction.atomic():
        first = Issue.objects.filter(pk=issue.pk, acknowledged_at=None).update(
            acknowledged_at=Now(), acknowledged_by=by[:160]
        )
        if first:
            about = ("issue", ids.show(Issue.PREFIX, issue.pk) or "")
            audit.record("issue.acknowledged", workspace_id=issue.workspace_id, about=about)
        found: Issue = Issue.objects.select_related("connection").get(pk=issue.pk)
    return found


def forget_old_issues(*, limit: int = 1000) -> int:
    """Delete at most `limit` issues that have been over for longer than 90 days. A duty of the tick."""
    with scopes_disabled():
        old = Issue.objects.filter(resolved_at__lt=Now() - timedelta(days=KEPT_DAYS)).order_by("pk")
        found = list(old.values_list("pk", flat=True)[:limit])
        return int(Issue.objects.filter(pk__in=found).delete()[0]) if found else 0


def issue_link(issue: Issue) -> str:
    """The admin's page about what is wrong."""
    page = next((rule.page for rule in all_rules() if rule.kind == issue.kind), None)
    if issue.connection_id is not None:
        path = reverse("admin:connections_connection_change", args=[issue.connection_id])
    elif page is None:
        path = reverse("admin:syncs_issue_changelist")
    else:
        prefix, where = page
        subject = ids.read(prefix, issue.subject)
        path = f"{reverse('admin:index')}{where}/" + (f"{subject}/change/" if subject else "")
    return str(settings.PUBLIC_URL).rstrip("/") + path


def _changes(rule: Rule) -> tuple[dict[UUID, list[Finding]], dict[UUID, list[UUID]]]:
    """By workspace: what is found and not open, and the ids of what is open and not found."""
    new: dict[UUID, list[Finding]] = defaultdict(list)
    over: dict[UUID, list[UUID]] = defaultdict(list)
    with database.cursor() as cursor:
        cursor.execute(_CHANGES.format(sql=rule.sql, same=_SAME), {"kind": rule.kind, "limit": BATCH})
        for issue_id, workspace_id, environment, connection_id, subject, facts in cursor.fetchall():
            if issue_id is None:
                new[workspace_id].append(
                    Finding(workspace_id, environment, connection_id, subject, orjson.loads(facts))
                )
            else:
                over[workspace_id].append(issue_id)
    return new, over


def _open(workspace_id: UUID, rule: Rule, found: list[Finding]) -> int:
    with scope(workspace=workspace_id), transaction.atomic():
        at = _turn(workspace_id)
        rows = Issue.objects.filter(kind=rule.kind, resolved_at=None)
        known = set(rows.values_list("environment", "connection_id", "subject"))
        new = [one for one in found if (one.environment, one.connection_id, one.subject) not in known]
        issues = Issue.objects.bulk_create([_issue(one, rule, at) for one in new])
        for issue in issues:
            _tell(issue, EventType.ISSUE_OPENED)
    return len(issues)


def _resolve(workspace_id: UUID, issue_ids: list[UUID]) -> int:
    with scope(workspace=workspace_id), transaction.atomic():
        at = _turn(workspace_id)
        issues = list(Issue.objects.select_for_update(no_key=True).filter(pk__in=issue_ids, resolved_at=None))
        Issue.objects.filter(pk__in=[issue.pk for issue in issues]).update(resolved_at=at)
        for issue in issues:
            _tell(issue, EventType.ISSUE_RESOLVED)
    return len(issues)


def _turn(workspace_id: UUID) -> datetime:
    """Wait for others who write issues of this workspace, until this transaction's end. The time after that.

    So times rise in the order of commits, and who has told everything up to one of them has told all.
    """
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"issues of {workspace_id}"])
        cursor.execute("SELECT clock_timestamp()")
        (at,) = cursor.fetchone()
    moment: datetime = at
    return moment


def _issue(found: Finding, rule: Rule, at: datetime) -> Issue:
    words: Words = rule.words(found)
    return Issue(
        workspace_id=found.workspace_id,
        environment=found.environment,
        connection_id=found.connection_id,
        kind=rule.kind,
        subject=found.subject[:80],
        title=words.title[:200],
        detail=words.detail[:1000],
        action=words.action[:300],
        who_must_act=words.who,
        opened_at=at,
    )


def _tell(issue: Issue, type: EventType) -> None:
    emit(
        type,
        workspace_id=issue.workspace_id,
        environment=issue.environment,
        connection_id=issue.connection_id,
        data={
            "issue": ids.show(Issue.PREFIX, issue.pk),
            "kind": issue.kind,
            "title": issue.title,
            "who_must_act": issue.who_must_act,
            "action": issue.action,
        },
    )
