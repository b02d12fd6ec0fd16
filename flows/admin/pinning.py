"""What a step is tested with: the example of its flow, or what it saw in a run that was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.choices import StepStatus
from flows.definitions.model import Definition
from flows.definitions.walking import places, walk
from flows.models import Flow, FlowRun, StepRun

__all__ = ["example_input", "pinned_context", "step_choices"]

_ENDED = (StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED)


def example_input(definition: Mapping[str, Any], *, whole: bool = False) -> dict[str, Any]:
    """The definition's example as `trigger`, or as the whole of what a first step sees."""
    kind = definition.get("trigger", {}).get("on", "manual")
    example = {"kind": kind, **definition.get("example", {})}
    return {"trigger": example, "steps": {}} if whole else example


def pinned_context(run: FlowRun, path: str) -> dict[str, Any]:
    """What a step of a run saw: the run's input, outputs of the steps before it, and its item."""
    step = StepRun.objects.filter(run=run, path=path).first()
    name, scope = (step.name, step.scope) if step else (path, "")
    seen = StepRun.objects.filter(run=run, scope__in=_scopes(scope), name__in=_names_before(run, name))
    outputs = seen.exclude(kind="item").filter(status__in=_ENDED).order_by("id").values_list("name", "output")
    found: dict[str, Any] = {"trigger": run.input, "steps": dict(outputs)}
    return {**found, **_item(run, scope)} if scope else found


def step_choices(flow: Flow) -> list[tuple[str, str]]:
    """The steps of the draft and of what runs, by name."""
    definitions = [flow.draft] + ([flow.version.definition] if flow.version else [])
    found: dict[str, str] = {}
    for definition in definitions:
        for each in walk(Definition.model_validate(definition)):
            kind = getattr(each.step, "do", "")
            told = f"{each.step.name}: {each.step.title}" if each.step.title else each.step.name
            found.setdefault(each.step.name, f"{told} ({kind})")
    return list(found.items())


def _names_before(run: FlowRun, name: str) -> frozenset[str]:
    """The steps that one of this name sees."""
    every = places(Definition.model_validate(run.version.definition))
    return next((place.around.done for place in every if place.step.name == name), frozenset())


def _scopes(scope: str) -> list[str]:
    """The scope, and those around it up to the top."""
    found = [""]
    for number, character in enumerate(scope):
        if character == "]" and scope[number + 1 : number + 2] in ("", "."):
            found.append(scope[: number + 1])
    return found


def _item(run: FlowRun, scope: str) -> dict[str, Any]:
    """The item's row keeps it in its input."""
    row = StepRun.objects.filter(run=run, path=scope).values_list("input", flat=True).first() or {}
    return {name: row[name] for name in ("item", "index") if name in row}
