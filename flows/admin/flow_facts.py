"""Columns of the list of flows, and the facts on a flow's own page."""

from __future__ import annotations

from typing import Any

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from core import ids
from core.admin_texts import absolute, moment, planned, plural, two_lines
from flows.admin.words import states_of, trigger_words
from flows.choices import RUN_BADGES, FlowRunStatus, TriggerKind
from flows.models import Flow, FlowRun
from syncs.models import Issue

__all__ = ["FlowColumns", "flow_facts", "issue_links", "label", "runs_address"]


def label(text: str, colour: str, address: str = "") -> SafeString:
    """A small coloured badge, leading somewhere where an address is given."""
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": colour, "href": address})


def runs_address(flow: Flow, **query: str) -> str:
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return f"{reverse('admin:flows_flowrun_changelist')}?flow={flow.pk}{more}"


def issue_links(issues: list[Issue]) -> list[dict[str, str]]:
    return [
        {
            "kind": str(issue.get_kind_display()),
            "title": issue.title,
            "address": reverse("admin:syncs_issue_change", args=[issue.pk]),
        }
        for issue in issues
    ]


def flow_facts(flow: Flow, trigger: Any, last: FlowRun | None, under_way: int) -> list[tuple[str, Any]]:
    """`last` is the last run that ended."""
    facts: list[tuple[str, Any]] = [
        ("Starts", trigger_words(trigger)),
        ("Last outcome", _outcome(last.status, last.finished_at) if last else "none yet"),
        ("Under way", plural(under_way, "run")),
        ("Environment", flow.get_environment_display()),
        ("Workspace", flow.workspace.name),
        ("Made", f"{absolute(flow.created_at)} {flow.created_by}".strip()),
        ("Id", ids.show(Flow.PREFIX, flow.pk)),
    ]
    if flow.trigger_kind == TriggerKind.SCHEDULE:
        facts.insert(1, ("Next due", "paused" if flow.is_paused else planned(flow.next_due_at)))
    return facts


class FlowColumns:
    """Of rows made by `flow_list.with_standing`. Stands before the admin among the bases."""

    @display(description="Flow", ordering="name")
    def shown_name(self, row: Any) -> SafeString:
        return two_lines(row.name, " · ".join(filter(None, [row.get_environment_display(), row.description[:120]])))

    @display(description="Starts")
    def shown_trigger(self, row: Any) -> SafeString:
        return two_lines(trigger_words(row.trigger), "")

    @display(description="State")
    def shown_state(self, row: Any) -> SafeString:
        found = states_of(row.number, is_paused=row.is_paused, has_changes=row.changed)
        return format_html_join(" ", "{}", ((label(text, colour),) for text, colour in found))

    @display(description="Last outcome")
    def shown_last(self, row: Any) -> SafeString | str:
        return _outcome(row.last_status, row.last_at) if row.last_status else "—"

    @display(description="Next due", ordering="next_due_at")
    def shown_due(self, row: Any) -> SafeString | str:
        return planned(None if row.is_paused else row.next_due_at)

    @display(description="Under way")
    def shown_under_way(self, row: Any) -> SafeString | str:
        if not row.under_way:
            return "—"
        address = runs_address(row, unended="yes")
        return format_html('<a class="lsh-link" href="{}">{}</a>', address, plural(row.under_way, "run"))

    @display(description="Issues")
    def shown_issues(self, row: Any) -> SafeString | str:
        links = issue_links(row.issues)
        shown = ((label(link["kind"], "danger", link["address"]),) for link in links)
        return format_html_join(" ", "{}", shown) if links else "—"


def _outcome(status: str, at: Any) -> SafeString:
    found = FlowRunStatus(status)
    return format_html("{} {}", label(str(found.label), RUN_BADGES[found]), moment(at))
