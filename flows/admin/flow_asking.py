"""Pages of a flow's buttons that ask for more than yes: what to run with, which step to test, its address, its secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.widgets import UnfoldAdminSelectWidget

from core.admin_buttons import page
from core.admin_texts import moment, pretty
from core.errors import LineshaftError
from flows.admin.flow_forms import JsonField, SecretForm
from flows.admin.pinning import example_input, pinned_context, step_choices
from flows.models import Flow, FlowHookAddress, FlowRun
from flows.services.addresses import (
    has_signing_secret,
    remove_hook_address,
    renew_hook_address,
    store_signing_secret,
)
from flows.services.flow_secrets import remove_flow_secret, secrets_of, set_flow_secret
from flows.services.starting import run_by_hand
from flows.services.testing import StepTest, dry_run, test_step

__all__ = ["FlowAsking"]

USES = [("draft", "The draft"), ("published", "The published version")]
Page = Callable[[HttpRequest, Flow], HttpResponse]


class RunForm(forms.Form):
    """What the run starts with."""

    body = JsonField(
        kind=dict, required=False, label="Body", help_text="What its expressions see as trigger.body: a JSON object."
    )


class DryRunForm(forms.Form):
    """What to try it out with."""

    use = forms.ChoiceField(choices=USES, widget=UnfoldAdminSelectWidget, label="Which")
    input = JsonField(
        kind=dict, rows=18, label="Trigger", help_text="What its expressions see as trigger: a JSON object."
    )


class TestStepForm(forms.Form):
    """Which step, and what it sees."""

    step = forms.ChoiceField(widget=UnfoldAdminSelectWidget, label="Step")
    use = forms.ChoiceField(choices=USES, widget=UnfoldAdminSelectWidget, label="Which")
    input = JsonField(
        kind=dict,
        rows=22,
        label="What it sees",
        help_text="trigger, the outputs of steps before under steps, and item, index or error where it stands in one.",
    )

    def __init__(self, data: Any, *, flow: Flow, initial: Mapping[str, Any]) -> None:
        super().__init__(data, initial=dict(initial))
        fields: Any = self.fields
        fields["step"].choices = step_choices(flow)


class FlowAsking:
    """Stands before the admin among the bases."""

    admin_site: Any
    page_address: Any
    log_change: Any

    def asking_pages(self) -> dict[str, Page]:
        return {
            "run": self._run,
            "dry": self._dry,
            "test": self._test,
            "hook": self._hook,
            "secrets": self._secrets,
        }

    def _run(self, request: HttpRequest, flow: Flow) -> HttpResponse:
        body = example_input(flow.version.definition).get("body", {}) if flow.version else {}
        form = RunForm(request.POST if request.method == "POST" else None, initial={"body": pretty(body)})
        if not form.is_valid():
            lines = ["It runs the published version, for real: it writes and sends what its steps say."]
            return self._page(request, flow, form, "Run this flow now", "Run it", {"lines": lines})
        started = run_by_hand(flow, form.cleaned_data["body"] or {}, by=str(request.user))
        self.log_change(request, flow, "Run.")
        told = (
            "It starts within a second or two."
            if started.is_new
            else "A run with this key was there already; here it is."
        )
        messages.success(request, told)
        return _to_run(started.run)

    def _dry(self, request: HttpRequest, flow: Flow) -> HttpResponse:
        run = _run_of(flow, request)
        initial = {"use": "draft", "input": pretty(run.input if run else example_input(flow.draft))}
        form = DryRunForm(request.POST if request.method == "POST" else None, initial=initial)
        if form.is_valid():
            data = form.cleaned_data
            with _told_in(form):
                same = run if run is not None and data["input"] == run.input else None
                started = dry_run(flow, data["input"], by=str(request.user), use=data["use"], of_run=same)
                self.log_change(request, flow, "Dry run.")
                messages.success(request, "The dry run starts within a second or two.")
                return _to_run(started.run)
        lines = ["Nothing is written, sent or waited for: each step shows what it would do."]
        return self._page(request, flow, form, "Try the flow out", "Dry run", {"lines": lines})

    def _test(self, request: HttpRequest, flow: Flow) -> HttpResponse:
        run, name = _run_of(flow, request), request.GET.get("step", "")
        pinned = pinned_context(run, request.GET.get("path") or name) if run else example_input(flow.draft, whole=True)
        use = "published" if run is not None and run.version_id == flow.version_id else "draft"
        initial = {"step": name, "use": use, "input": pretty(pinned)}
        form = TestStepForm(request.POST if request.method == "POST" else None, flow=flow, initial=initial)
        context: dict[str, Any] = {"lines": ["Nothing is written or sent: a write is shown as what it would change."]}
        if form.is_valid():
            data = form.cleaned_data
            with _told_in(form):
                tested = test_step(flow, data["step"], data["input"], use=data["use"])
                context |= {"tested": tested, "step_name": data["step"], "parts": _parts(tested)}
        return self._page(request, flow, form, "Test a step", "Test it", context)

    def _hook(self, request: HttpRequest, flow: Flow) -> HttpResponse:
        """The address is shown in the answer that made it, and kept nowhere."""
        url = ""
        if request.method == "POST":
            secret, by = request.POST.get("signing_secret", "").strip(), str(request.user)
            if "remove" in request.POST:
                remove_hook_address(flow, by=by)
                messages.success(request, "The address is gone.")
            elif "store" in request.POST:
                store_signing_secret(flow, secret, by=by)
                messages.success(request, "Stored." if secret else "No signing secret is kept any more.")
            else:
                _, url = renew_hook_address(flow, by=by, signing_secret=secret or None)
            self.log_change(request, flow, "Hook address.")
            if not url:
                return HttpResponseRedirect(request.get_full_path())
        row = FlowHookAddress.objects.filter(flow=flow).first()
        trigger = flow.draft.get("trigger", {})
        context = {
            "url": url,
            "address": row,
            "made": moment(row.created_at) if row else "",
            "last_received": moment(row.last_received_at if row else None),
            "has_secret": row is not None and has_signing_secret(row),
            "signature": trigger.get("signature"),
            "is_hook": trigger.get("on") == "hook",
            "back": self.page_address(flow),
        }
        response = page(self, request, "flows/hook.html", "Hook address", flow, context)
        response["Cache-Control"] = "no-store"
        return response

    def _secrets(self, request: HttpRequest, flow: Flow) -> HttpResponse:
        by = str(request.user)
        if request.POST.get("remove"):
            remove_flow_secret(flow, request.POST["remove"], by=by)
            messages.success(request, f"{request.POST['remove']} is removed.")
            return HttpResponseRedirect(request.get_full_path())
        form = SecretForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            set_flow_secret(flow, form.cleaned_data["name"], form.cleaned_data["value"], by=by)
            self.log_change(request, flow, "Stored a secret.")
            messages.success(request, f"{form.cleaned_data['name']} is stored.")
            return HttpResponseRedirect(request.get_full_path())
        context = {"form": form, "secrets": secrets_of(flow), "back": self.page_address(flow)}
        return page(self, request, "flows/secrets.html", "Secrets", flow, context)

    def _page(
        self, request: HttpRequest, flow: Flow, form: Any, title: str, yes: str, context: dict[str, Any]
    ) -> HttpResponse:
        every = {"form": form, "yes": yes, "back": self.page_address(flow), "title": title, **context}
        return page(self, request, "flows/ask.html", title, flow, every)


@contextmanager
def _told_in(form: forms.Form) -> Iterator[None]:
    """What the services refuse is told in the form, with what was typed."""
    try:
        yield
    except LineshaftError as error:
        for told in [f"{found.pointer}: {found.detail}" for found in error.errors] or [error.detail]:
            form.add_error(None, told)


def _parts(tested: StepTest) -> list[tuple[str, str]]:
    parts = [("Input", tested.input), ("Output", tested.output), ("Call", tested.call)]
    return [(title, pretty(value)) for title, value in parts if value is not None]


def _run_of(flow: Flow, request: HttpRequest) -> FlowRun | None:
    """The run of this flow that `?run=` names."""
    try:
        wanted = UUID(request.GET.get("run", ""))
    except ValueError:
        return None
    found: FlowRun | None = FlowRun.objects.filter(flow=flow, pk=wanted).select_related("version").first()
    return found


def _to_run(run: FlowRun) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("admin:flows_flowrun_change", args=[run.pk]))
