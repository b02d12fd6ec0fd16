"""What passes between a connector and the engine while something is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from core.errors import LineshaftError
from core.json import RawJson, encoded


@dataclass(frozen=True)
class Change:
    """One write as it is wished, in unified terms.

    `values`: unified field -> JSON value as the API takes it; references are remote ids (texts), `custom` an object by
    name. Of an update only what is to change. Lines: objects with `id` (an existing line), without (a new one), or
    {"id", "_delete": true}. Of an action: its parameters.
    `before`: the decoded object as it was read a moment ago; None for a create.
    `mark`: a short text of the operation alone, written where the connector declares it, to find the object again.
    """

    operation: Literal["create", "update", "delete", "action"]
    values: Mapping[str, Any] = field(default_factory=dict)
    remote_id: str | None = None
    before: Any = None
    mark: str = ""
    action: str = ""


@dataclass(frozen=True)
class WriteCall:
    """One upstream request of a write, as it will be sent; credentials are added when it is.

    `url`: whole address. `body`: JSON value (Decimals become exact numbers), None for none. `purpose`: in words.
    `creates`: its answer names the new object. `repeatable`: sending it twice gives what sending it once gives, or the
    system refuses the second (absolute values; a version it checks). `late`: members of the body that the connector completes
    when it is sent, with the id of what an earlier request made.
    """

    method: str
    url: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    purpose: str = ""
    creates: bool = False
    repeatable: bool = True
    late: Sequence[str] = ()

    def content(self) -> bytes | None:
        """The body as it travels."""
        return None if self.body is None else encoded(self.body, exact)

    def as_json(self) -> dict[str, Any]:
        """Plain values to store; `body` is its JSON text, so that it comes back to the byte."""
        content = self.content()
        return {
            **self.__dict__,
            "headers": dict(self.headers),
            "late": list(self.late),
            "body": None if content is None else content.decode(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WriteCall:
        """The call as it was stored."""
        body = data["body"]
        return cls(**{**data, "body": None if body is None else RawJson(body)})


def exact(value: Any) -> Any:
    """A Decimal as a JSON number with all its digits."""
    if isinstance(value, Decimal):
        return RawJson(format(value, "f"))
    raise TypeError(f"{type(value).__name__} is no JSON value")


@dataclass(frozen=True)
class Sent:
    """What the answer to a call told. `job`: the system accepted it and works on it; plain JSON to ask for it with."""

    remote_id: str | None = None
    job: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class JobState:
    """How an accepted job stands. `error` when it failed; `remote_id` of what it made."""

    state: Literal["running", "done", "failed"]
    remote_id: str | None = None
    error: LineshaftError | None = None
