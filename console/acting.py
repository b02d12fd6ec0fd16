"""Who must act on what: the open issues, by who mends them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber

from core.admin_texts import WHO_ACTS
from core.errors import WhoMustAct
from syncs.models import Issue
from syncs.services.issues import issue_link

SHOWN_OF_EACH = 5
_UNKNOWN_FIRST = (F("acknowledged_at").asc(nulls_first=True), F("pk").asc())


@dataclass(frozen=True)
class Todo:
    """One issue as the home page shows it."""

    title: str
    action: str
    address: str
    opened_at: datetime
    is_known: bool


@dataclass(frozen=True)
class Actor:
    """Who must act, and on what; `more` issues are not shown here."""

    who: str
    title: str
    todos: Sequence[Todo]
    more: int


def who_must_act() -> list[Actor]:
    """In two queries, the operator first. Of each the oldest that nobody has acknowledged."""
    open_issues = Issue.objects.filter(resolved_at=None)
    counts = dict(open_issues.order_by().values_list("who_must_act").annotate(Count("pk")))
    if not counts:
        return []
    place = Window(RowNumber(), partition_by=["who_must_act"], order_by=_UNKNOWN_FIRST)
    found: dict[str, list[Issue]] = {who: [] for who in counts}
    for issue in open_issues.annotate(place=place).filter(place__lte=SHOWN_OF_EACH).order_by(*_UNKNOWN_FIRST):
        found[issue.who_must_act].append(issue)
    order = [who.value for who in (WhoMustAct.OPERATOR, WhoMustAct.DEVELOPER, WhoMustAct.CUSTOMER, WhoMustAct.SOURCE)]
    return [
        Actor(who, WHO_ACTS.get(who, who), [_todo(issue) for issue in found[who]], counts[who] - len(found[who]))
        for who in sorted(counts, key=lambda who: order.index(who) if who in order else len(order))
    ]


def _todo(issue: Issue) -> Todo:
    return Todo(issue.title, issue.action, issue_link(issue), issue.opened_at, issue.acknowledged_at is not None)
