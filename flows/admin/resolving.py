"""What a person says of a step whose outcome nobody could tell."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminRadioSelectWidget

from flows.admin.flow_forms import JsonField
from flows.choices import StepStatus
from flows.models import FlowRun, StepRun

__all__ = ["ResolveForm", "step_to_resolve"]

SUCCEEDED, FAILED, REPEAT = "succeeded", "failed", "repeat"


class ResolveForm(forms.Form):
    """One of the three, and what the step would have answered."""

    outcome = forms.ChoiceField(
        choices=[
            (SUCCEEDED, "It was done: the run goes on with the next step"),
            (FAILED, "It was not done: the step has failed"),
            (REPEAT, "It was not done: send it again"),
        ],
        widget=UnfoldAdminRadioSelectWidget,
        label="What became of it",
    )
    output = JsonField(
        required=False,
        label="Output",
        rows=8,
        help_text="JSON, where it was done: what later steps see as the output of this one. Empty: null.",
    )

    @property
    def resolution(self) -> dict[str, Any]:
        """As the service takes it."""
        outcome = self.cleaned_data["outcome"]
        return {"outcome": outcome, "output": self.cleaned_data["output"] if outcome == SUCCEEDED else None}


def step_to_resolve(run: FlowRun) -> StepRun | None:
    """The step that waits for a person."""
    waiting = StepRun.objects.filter(run=run, status=StepStatus.WAITING, has_begun=True).exclude(kind="item")
    at = waiting.filter(path=run.current_step).first()
    found: StepRun | None = at or waiting.order_by("-id").first()
    return found
