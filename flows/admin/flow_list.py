"""What the list of flows shows of each, read with the rows themselves, and its filters."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import BooleanField, Case, Count, F, JSONField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from unfold.views import ChangeList

from core import ids
from flows.admin.words import STATES
from flows.choices import ENDED, FlowRunStatus, TriggerKind
from flows.models import Flow, FlowRun
from syncs.models import Issue

__all__ = [
    "FlowChangeList",
    "LastOutcomeFilter",
    "StateFilter",
    "TriggerFilter",
    "has_changes",
    "open_issues",
    "with_standing",
]

_CHANGED = ~Q(draft=F("version__definition")) | ~Q(bindings=F("version__bindings"))


def has_changes() -> Case:
    """Whether the draft is not what runs."""
    return Case(
        When(Q(version__isnull=False) & _CHANGED, then=Value(True)), default=Value(False), output_field=BooleanField()
    )


def with_standing(rows: QuerySet[Flow]) -> QuerySet[Flow]:
    """With `number`, `trigger`, `changed`, `under_way`, `last_status` and `last_at`; without drafts and definitions."""
    runs = FlowRun.objects.filter(flow=OuterRef("pk"), is_dry=False)
    ended = runs.filter(status__in=ENDED).order_by("-id")[:1]
    under_way = runs.unended().order_by().values("flow").annotate(count=Count("pk")).values("count")
    trigger = Coalesce(
        KeyTransform("trigger", "version__definition"), KeyTransform("trigger", "draft"), output_field=JSONField()
    )
    return rows.defer("draft", "bindings").annotate(
        number=F("version__number"),
        trigger=trigger,
        changed=has_changes(),
        under_way=Coalesce(Subquery(under_way), 0),
        last_status=Subquery(ended.values("status")),
        last_at=Subquery(ended.values("finished_at")),
    )


def open_issues(flows: list[Any]) -> dict[Any, list[Issue]]:
    """The open issues of some flows, by the flow's id."""
    shown = {ids.show(Flow.PREFIX, flow.pk): flow.pk for flow in flows}
    found: dict[Any, list[Issue]] = {}
    for issue in Issue.objects.filter(subject__in=list(shown), resolved_at=None).order_by("-id"):
        found.setdefault(shown[issue.subject], []).append(issue)
    return found


class FlowChangeList(ChangeList):
    """Each row of a page carries `issues`, those of it that are open."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)  # type: ignore[has-type]  # Django's own attribute
        self.result_list = rows
        found = open_issues(rows)
        for row in rows:
            row.issues = found.get(row.pk, [])


class StateFilter(SimpleListFilter):
    """How the flow stands."""

    title, parameter_name = "state", "state"
    _WHERE = {
        "draft": Q(version=None),
        "published": Q(version__isnull=False, is_paused=False),
        "changed": Q(version__isnull=False) & _CHANGED,
        "paused": Q(is_paused=True),
    }

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return list(STATES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Flow]) -> QuerySet[Flow]:
        where = self._WHERE.get(self.value() or "")
        return queryset if where is None else queryset.filter(where)


class TriggerFilter(SimpleListFilter):
    """What starts it; of a draft, nothing does."""

    title, parameter_name = "trigger", "trigger"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return list(TriggerKind.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Flow]) -> QuerySet[Flow]:
        return queryset.filter(trigger_kind=self.value()) if self.value() in TriggerKind.values else queryset


class LastOutcomeFilter(SimpleListFilter):
    """How the last run that ended came out."""

    title, parameter_name = "last outcome", "last"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [*((status.value, str(status.label)) for status in ENDED), ("none", "Never ended a run")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "none":
            return queryset.filter(last_status=None)
        return queryset.filter(last_status=self.value()) if self.value() in FlowRunStatus.values else queryset
