"""What the engine gives to the handler of a step, and what it gets back.

A handler does one attempt, or one look at something under way. It holds no transaction while it asks others, and calls
`turn.begin()` before anything outside may change: whatever happens then, nobody does it again blindly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from connections.models import Connection
from core.errors import LineshaftError
from core.leases import Lease
from flows.choices import WaitsFor
from flows.definitions.model import Definition, StepBase
from flows.models import FlowRun, StepRun


@dataclass(frozen=True)
class Done:
    """The step succeeded. `output` is JSON; `call` tells of an HTTP request it made."""

    output: Any
    call: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Later:
    """Nothing more can be done now. `until` None: as long as it takes (a person, an operation).

    `state` replaces the row's. `types` are types of events that wake the run; with them the handler has looked at the
    feed up to `position`.
    """

    waits_for: WaitsFor
    until: datetime | None = None
    operation_id: UUID | None = None
    types: tuple[str, ...] = ()
    position: int = 0
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class OutcomeLostError(LineshaftError):
    """Something was begun whose outcome nobody can tell: a person must say what became of it."""


class Turn(Protocol):
    """One attempt at one step."""

    run: FlowRun
    definition: Definition
    step: Any  # the step's own class, see flows.definitions.model
    row: StepRun
    lease: Lease

    @property
    def values(self) -> Mapping[str, Any]:
        """The step's fields with expressions replaced, as fixed in the row before the first attempt."""

    @property
    def is_dry(self) -> bool:
        """Whether nothing may be written, sent or waited for."""

    @property
    def context(self) -> Mapping[str, Any]:
        """What expressions see."""

    def connection(self, name: str) -> Connection:
        """The connection bound to a name, as it is now. Errors: ConfigError FLOW_NOT_BOUND, ConflictError
        CONNECTION_DISCONNECTED, NotFoundError when it was deleted."""

    def begin(self, **changes: Any) -> None:
        """Commit that something outside may be done from now on (`row.has_begun`), with other columns of the row.
        Errors: LeaseLostError."""


class Handler(Protocol):
    """Does a step. Errors: LineshaftError when the attempt failed for sure; OutcomeLostError."""

    def __call__(self, turn: Turn) -> Done | Later:
        """One attempt, or one look."""


Step = StepBase
