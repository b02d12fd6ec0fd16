"""One step in a worker's hands: a real run, row and lease, with the values and the context that a test gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django_scopes import scopes_disabled
from pydantic import TypeAdapter

from connections.models import Connection
from core.ids import new_id, read, show
from core.leases import Lease, claim
from flows.choices import TriggerKind
from flows.definitions.model import Definition, Step
from flows.models import Flow, FlowRun, FlowVersion, StepRun
from workspaces.models import Workspace

LEASE_SECONDS = 90.0


@dataclass
class HeldTurn:
    """As the engine gives it, without the engine."""

    run: FlowRun
    definition: Definition
    step: Any
    row: StepRun
    lease: Lease
    values: Mapping[str, Any]
    is_dry: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)

    def connection(self, name: str) -> Connection:
        pk = read(Connection.PREFIX, self.run.version.bindings[name])
        assert pk is not None
        return Connection.objects.get(pk=pk)

    def begin(self, **changes: Any) -> None:
        with transaction.atomic():
            self.lease.lock()
            StepRun.objects.filter(pk=self.row.pk).update(has_begun=True, **changes)
        self.row.refresh_from_db()

    def again(self) -> HeldTurn:
        """The same in the hands of another worker, who took the run over."""
        FlowRun.objects.filter(pk=self.run.pk).update(status="queued")
        lease = claim(FlowRun, self.run.pk, seconds=LEASE_SECONDS)
        assert lease is not None
        row = StepRun.objects.get(pk=self.row.pk)
        return HeldTurn(self.run, self.definition, self.step, row, lease, self.values, self.is_dry, self.context)


def flow_of(
    *steps: Mapping[str, Any], workspace: Workspace | None = None, environment: str = "live", **bound: Connection
) -> Flow:
    """A published flow with these steps, started by hand, with connections by their names in it."""
    owner = workspace or next(iter(bound.values())).workspace
    definition = {
        "trigger": {"on": "manual"},
        "connections": {name: {} for name in bound},
        "steps": [dict(step) for step in steps],
    }
    bindings = {name: show(Connection.PREFIX, found.pk) for name, found in bound.items()}
    with scopes_disabled():
        flow = Flow(
            workspace=owner,
            environment=environment,
            name=f"flow {new_id().hex[-12:]}",
            draft=definition,
            bindings=bindings,
            trigger_kind=TriggerKind.MANUAL,
        )
        flow.save(force_insert=True)
        version = FlowVersion(
            workspace=owner, flow=flow, number=1, definition=definition, bindings=bindings, digest="d" * 64
        )
        version.save(force_insert=True)
        flow.version = version
        flow.save(update_fields=["version"])
    return flow


def held_turn(
    flow: Flow,
    values: Mapping[str, Any] | None = None,
    *,
    path: str = "",
    context: Mapping[str, Any] | None = None,
    is_dry: bool = False,
    given: Mapping[str, Any] | None = None,
) -> HeldTurn:
    """A worker's turn at the flow's first step, or at the step `given`. `values`: its fields, expressions replaced."""
    definition = Definition.model_validate(flow.version.definition)
    step = TypeAdapter(Step).validate_python(given) if given is not None else definition.steps[0]
    run = FlowRun(
        workspace_id=flow.workspace_id,
        environment=flow.environment,
        flow=flow,
        version=flow.version,
        trigger=TriggerKind.MANUAL,
        is_dry=is_dry,
    )
    run.save(force_insert=True)
    lease = claim(FlowRun, run.pk, seconds=LEASE_SECONDS)
    assert lease is not None
    run.refresh_from_db()
    row = StepRun(
        workspace_id=flow.workspace_id,
        run=run,
        path=path or step.name,
        name=step.name,
        kind=step.do,
    )
    row.save(force_insert=True)
    plain = {name: getattr(step, name) for name in step.TEMPLATES}
    return HeldTurn(run, definition, step, row, lease, {**plain, **(values or {})}, is_dry, context or {})
