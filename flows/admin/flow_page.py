"""The page of a flow: its draft as it is typed and judged, what runs instead, and how its runs go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse

from core.admin_texts import absolute
from core.errors import LineshaftError, ValidationFailedError
from flows.admin.definition_text import Fault, as_text, check_text, diff, faults_of, read_text
from flows.admin.flow_facts import flow_facts, issue_links, runs_address
from flows.admin.flow_forms import BindingsForm, DraftForm
from flows.admin.flow_list import open_issues
from flows.admin.run_facts import run_rows
from flows.admin.snippets import snippets
from flows.admin.words import states_of
from flows.choices import ENDED, TriggerKind
from flows.models import Flow, FlowRun, FlowVersion
from flows.services.editing import revision_of

__all__ = ["Draft", "page_context", "version_context"]

SHOWN_RUNS, SHOWN_VERSIONS = 10, 50


class Draft:
    """What people edit, as it is stored or as it was just sent."""

    def __init__(self, flow: Flow, data: Any) -> None:
        self.flow = flow
        initial = {
            "name": flow.name,
            "description": flow.description,
            "definition": as_text(flow.draft),
            "revision": revision_of(flow),
        }
        self.form = DraftForm(data, initial=initial)
        self.text = initial["definition"] if data is None else data.get("definition", "").replace("\r\n", "\n")
        self.bindings = BindingsForm(data, flow=flow, slots=self._slots())
        self.faults: list[Fault] = []
        self._definition: dict[str, Any] | None = None

    def is_whole(self) -> bool:
        """Whether it can be given to the service; if not, `faults` and the forms say why."""
        self._definition = None
        _, self.faults = check_text(self.text)
        if not self.faults:
            self._definition = read_text(self.text)
        return self.form.is_valid() and self.bindings.is_valid() and self._definition is not None

    @property
    def changes(self) -> dict[str, Any]:
        """As `change_flow` takes them."""
        data = self.form.cleaned_data
        found = {name: data[name] for name in ("name", "description")}
        found |= {"definition": self._definition, "bindings": self.bindings.bindings}
        return found | ({"if_revision": data["revision"]} if data["revision"] else {})

    def refuse(self, error: LineshaftError) -> None:
        """Tell what the service said."""
        if error.errors and error.errors[0].pointer == "/name":
            self.form.add_error("name", error.errors[0].detail)
        elif isinstance(error, ValidationFailedError):
            self.faults = faults_of(error, self.text)
        else:
            self.form.add_error(None, error.detail)

    def _slots(self) -> dict[str, Mapping[str, Any]]:
        """The names that take a connection, of the text where it can be read, else of the stored draft."""
        definition, _ = check_text(self.text)
        if definition is None:
            slots = self.flow.draft.get("connections", {})
        else:
            slots = {name: slot.model_dump() for name, slot in definition.connections.items()}
        return {name: slot for name, slot in slots.items() if not slot.get("of_trigger")}


def page_context(flow: Flow, draft: Draft, *, may_edit: bool) -> dict[str, Any]:
    """The number of queries depends on nothing of the flow."""
    runs = FlowRun.objects.filter(flow=flow).select_related("version").defer("input", "version__definition")
    latest = list(runs.order_by("-id")[:SHOWN_RUNS])
    last = runs.real().filter(status__in=ENDED).order_by("-id").first()
    version = flow.version
    changed = diff(version.definition, flow.draft) if version else []
    rebound = version is not None and version.bindings != flow.bindings
    return {
        "flow": flow,
        "states": states_of(
            version.number if version else None, is_paused=flow.is_paused, has_changes=bool(changed) or rebound
        ),
        "facts": flow_facts(
            flow, (version.definition if version else flow.draft).get("trigger"), last, runs.real().unended().count()
        ),
        "issues": issue_links(open_issues([flow]).get(flow.pk, [])),
        "draft": draft,
        "may_edit": may_edit,
        "faults": draft.faults,
        "snippets": snippets(),
        "version": version,
        "diff": changed,
        "rebound": rebound,
        "published_text": as_text(version.definition) if version else "",
        "versions": _versions(flow),
        "runs": run_rows(latest),
        "runs_address": runs_address(flow),
        "messages_address": reverse("admin:flows_flowhookmessage_changelist") + f"?flow={flow.pk}"
        if flow.trigger_kind == TriggerKind.HOOK
        else "",
    }


def version_context(flow: Flow, version: FlowVersion) -> dict[str, Any]:
    """A version, and what the draft would lose or gain by becoming it."""
    return {
        "flow": flow,
        "version": version,
        "made": f"{absolute(version.created_at)} {version.created_by}".strip(),
        "is_running": flow.version_id == version.pk,
        "text": as_text(version.definition),
        "diff": diff(flow.draft, version.definition),
        "bindings": version.bindings,
    }


def _versions(flow: Flow) -> list[dict[str, Any]]:
    rows = FlowVersion.objects.published().filter(flow=flow).order_by("-number").defer("definition", "bindings")
    return [
        {
            "number": row.number,
            "at": row.created_at,
            "by": row.created_by,
            "is_running": row.pk == flow.version_id,
            "address": reverse("admin:flows_flow_version", args=[flow.pk, row.number]),
        }
        for row in rows[:SHOWN_VERSIONS]
    ]
