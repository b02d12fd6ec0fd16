"""What is seen where: the top of a run, or one item of a for-each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flows.choices import StepStatus
from flows.models import FlowRun, StepRun

FINISHED = (StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED)
OPEN = (StepStatus.RUNNING, StepStatus.WAITING)
ITEM = "item"


@dataclass
class Scope:
    """`path` is that of the item, empty at the top. `rows` by their path, only those of this scope; `steps` are outputs
    by name, of the scopes around too; `beside` is what expressions see besides (item, index, error)."""

    path: str = ""
    rows: dict[str, StepRun] = field(default_factory=dict)
    steps: dict[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)

    def path_of(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def seeing(self, **more: Any) -> Scope:
        """The same scope, in which expressions see more."""
        return replace(self, beside={**self.beside, **more})

    def take(self, row: StepRun) -> None:
        """Show a finished step's output to those after it."""
        self.rows[row.path] = row
        self.steps[row.name] = output_of(row)


def load(run: FlowRun, path: str = "", *, around: Scope | None = None, **beside: Any) -> Scope:
    """A scope with what was done in it. Rows of items are not among them: there may be ten thousand."""
    outer = around or Scope()
    scope = Scope(path=path, steps=dict(outer.steps), beside={**outer.beside, **beside})
    for row in StepRun.objects.filter(run=run, scope=path).exclude(kind=ITEM):
        scope.rows[row.path] = row
        if row.status in FINISHED:
            scope.take(row)
    return scope


def output_of(row: StepRun) -> Any:
    """What expressions see of a finished step."""
    return {"error": row.error} if row.status == StepStatus.FAILED else row.output
