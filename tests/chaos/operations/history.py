"""What a run of writes left: the operations as they ended, what really happened upstream, and the copy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Wished:
    """One operation: what was wished, in which order, and how it ended.

    `table`: what the simulator calls the entity. `record`: the remote id it is about; of a create what it ended with.
    `order`: of two operations on one record the smaller was wished first. `marker`: a text of this create or update
    alone; `at` is the name of the system's field it ends in. `leads_to`: of an action, where the object then stands.
    """

    id: str
    order: int
    entity: str
    table: str
    kind: str
    status: str
    record: str = ""
    marker: str = ""
    at: str = ""
    action: str = ""
    leads_to: Sequence[str] = ()
    error: str = ""
    answers: Sequence[str] = ()  # the operations that its submissions were answered with: one and the same
    told: Sequence[str] = ()  # the types of the events that tell of its end

    @property
    def shown(self) -> str:
        return f"{self.id} ({self.action or self.kind} {self.entity} {self.record or '?'}, {self.status} {self.error})"


@dataclass(frozen=True)
class Copied:
    """One object in the copy and, mapped, in the system. None: not there, or gone."""

    entity: str
    remote_id: str
    here: Mapping[str, Any] | None
    there: Mapping[str, Any] | None


@dataclass(frozen=True)
class History:
    """`journal` and `objects` (table -> every object, deleted ones too) are the simulator's own."""

    operations: Sequence[Wished]
    journal: Sequence[Mapping[str, Any]]
    objects: Mapping[str, Sequence[Mapping[str, Any]]]
    copy: Sequence[Copied] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """As JSON, for people who want to see what happened."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), default=str, indent=1))

    @classmethod
    def read(cls, path: Path) -> History:
        data = json.loads(path.read_text())
        return cls(
            operations=[Wished(**one) for one in data["operations"]],
            journal=data["journal"],
            objects=data["objects"],
            copy=[Copied(**one) for one in data["copy"]],
            facts=data["facts"],
        )
