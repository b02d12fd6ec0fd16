"""Mail about issues: each member who asked for it gets one digest in ten minutes, plain text, at the most.

What a member was told is kept as a time on the membership: everything of the workspace that opened or ended up to then.
It is written after the mail was taken. A process that dies in between costs one mail told twice, ten minutes later, and
nothing is ever left out. Who is told first is claimed under a lock that ends before the mail server is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from smtplib import SMTPException
from typing import Any

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django_scopes import scopes_disabled

from core.admin_texts import WHO_ACTS, plural
from syncs.models import Issue
from syncs.services.issues import issue_link
from workspaces.models import Membership

DIGEST_SECONDS = 600
RETRY_SECONDS = 60
PEOPLE_AT_ONCE = 20
MOST_IN_A_MAIL = 50

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Digest:
    """What one person is told, by membership, oldest first."""

    person: Any
    opened: Sequence[Issue]
    resolved: Sequence[Issue]
    until: dict[int, datetime]  # membership -> up to when all of its workspace's issues are told with this mail


def mail_issues() -> int:
    """Tell members of issues that opened or ended since they were told last. How many mails were sent.

    Does nothing while no mail server is set. One that refuses is tried again in a minute, and the others wait with it.
    """
    if not settings.EMAIL_HOST:
        return 0
    with scopes_disabled():
        _begin_and_end()
        sent = 0
        for person_id in _people_to_tell():
            digest = _claim(person_id)
            if digest is None:
                continue
            if not _send(digest):
                break
            sent += 1
    return sent


def _begin_and_end() -> None:
    """Who asked for mail just now is told of what is open, and of what comes; who does not want it any more, of nothing."""
    still_open = Issue.objects.filter(workspace=OuterRef("workspace"), resolved_at=None)
    new = Membership.objects.filter(~Exists(still_open), tells_by_mail=True, mailed_until=None)
    new.update(mailed_until=Now())
    Membership.objects.filter(tells_by_mail=False).exclude(mailed_until=None).update(mailed_until=None)


def _people_to_tell() -> list[Any]:
    untold = Issue.objects.filter(
        Q(opened_at__gt=OuterRef("mailed_until")) | Q(resolved_at__gt=OuterRef("mailed_until")),
        workspace=OuterRef("workspace"),
        acknowledged_at=None,
    )
    still_open = Issue.objects.filter(workspace=OuterRef("workspace"), acknowledged_at=None, resolved_at=None)
    members = (
        Membership.objects.filter(tells_by_mail=True, user__is_active=True)
        .exclude(user__email="")
        .filter(Q(next_mail_at=None) | Q(next_mail_at__lte=Now()))
        .filter(Exists(untold) | Q(mailed_until=None) & Exists(still_open))
    )
    return list(members.order_by("user_id").values_list("user_id", flat=True).distinct()[:PEOPLE_AT_ONCE])


def _claim(person_id: Any) -> _Digest | None:
    """Take the right to mail a person now, and read what to say. None when somebody else does, or did just now."""
    with transaction.atomic():
        rows = list(
            Membership.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
            .filter(user_id=person_id, tells_by_mail=True)
            .annotate(read_at=Now())
            .select_related("user")
            .order_by("pk")
        )
        if not rows or any(row.next_mail_at is not None and row.next_mail_at > row.read_at for row in rows):
            return None
        digest = _digest(rows)
        if digest is not None:
            _next_mail(rows[0].user_id, DIGEST_SECONDS)
    return digest


def _digest(rows: Sequence[Membership]) -> _Digest | None:
    opened, resolved, until = list[Issue](), list[Issue](), dict[int, datetime]()
    for row in rows:
        issues = Issue.objects.filter(workspace_id=row.workspace_id).select_related("connection", "workspace")
        if row.mailed_until is None:
            found = list(issues.filter(acknowledged_at=None, resolved_at=None).order_by("opened_at"))
        else:
            since = Q(opened_at__gt=row.mailed_until) | Q(resolved_at__gt=row.mailed_until)
            found = list(issues.filter(since, acknowledged_at=None).order_by("opened_at"))
        if found:
            until[row.pk] = max(max(issue.opened_at, issue.resolved_at or issue.opened_at) for issue in found)
        known = row.mailed_until
        opened += [issue for issue in found if known is None or issue.opened_at > known]
        resolved += [issue for issue in found if issue.resolved_at is not None]
    return _Digest(rows[0].user, opened, resolved, until) if until else None


def _send(digest: _Digest) -> bool:
    """Send it, then remember what was told. False when the mail server did not take it."""
    mail = EmailMessage(_subject(digest), _text(digest), settings.DEFAULT_FROM_EMAIL, [digest.person.email])
    try:
        mail.send()
    except (SMTPException, OSError) as error:
        log.warning("issue_mail_not_sent", person=digest.person.pk, error=type(error).__name__, detail=str(error)[:300])
        _next_mail(digest.person.pk, RETRY_SECONDS)
        return False
    with transaction.atomic():
        for pk, until in digest.until.items():
            Membership.objects.filter(pk=pk, tells_by_mail=True).update(mailed_until=until)
        _mark("opening_mailed_at", digest.opened)
        _mark("resolving_mailed_at", digest.resolved)
    log.info("issue_mail_sent", person=digest.person.pk, opened=len(digest.opened), resolved=len(digest.resolved))
    return True


def _next_mail(person_id: Any, seconds: float) -> None:
    Membership.objects.filter(user_id=person_id).update(next_mail_at=Now() + timedelta(seconds=seconds))


def _mark(column: str, issues: Sequence[Issue]) -> None:
    """When somebody was first told."""
    Issue.objects.filter(pk__in=[issue.pk for issue in issues], **{column: None}).update(**{column: Now()})


# --- what is written --------------------------------------------------------------------------------------------------


def _subject(digest: _Digest) -> str:
    """One line, whatever a name holds."""
    if len(digest.opened) + len(digest.resolved) == 1:
        word, issue = ("Opened", digest.opened[0]) if digest.opened else ("Resolved", digest.resolved[0])
        text = f"{word}: {issue.title}"
    else:
        counts = [(len(digest.opened), "opened"), (len(digest.resolved), "resolved")]
        text = ", ".join(f"{plural(count, 'issue')} {word}" for count, word in counts if count)
    return f"[Lineshaft] {' '.join(text.split())}"


def _text(digest: _Digest) -> str:
    parts = []
    for heading, issues, paragraph in (("Opened", digest.opened, _opened), ("Resolved", digest.resolved, _resolved)):
        if issues:
            parts += [heading, "-" * len(heading), "", *(paragraph(issue) for issue in issues[:MOST_IN_A_MAIL])]
        if len(issues) > MOST_IN_A_MAIL:
            parts.append(f"... and {len(issues) - MOST_IN_A_MAIL:,} more.\n")
    parts.append(
        "You get this because mail about issues is switched on for you in Lineshaft. An owner of the workspace can\n"
        "switch it off. Acknowledge an issue to get no more mail about it."
    )
    return "\n".join(parts)


def _opened(issue: Issue) -> str:
    lines = [issue.title, f"  {issue.detail}" if issue.detail else "", f"  What to do: {issue.action}"]
    lines.append(f"  Who must act: {WHO_ACTS.get(issue.who_must_act, issue.who_must_act)}")
    lines += [f"  Workspace {issue.workspace.name}, {issue.get_environment_display()}", f"  {issue_link(issue)}", ""]
    return "\n".join(line for line in lines if line or line is lines[-1])


def _resolved(issue: Issue) -> str:
    return f"{issue.title}\n  Over since {issue.resolved_at:%Y-%m-%d %H:%M} UTC. {issue_link(issue)}\n"
