"""Writing one model: from a wish to the one call that makes it, so that it is done whole or not at all.

Each call but a create carries the versions (`_timestamp`) of what it was planned against: Tryton refuses it when somebody
was faster, and when it comes a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar, Protocol

from core.errors import BadAnswerError, BusinessRuleError, ConflictError, NotSupportedError, ValidationFailedError
from integrations.connectors.tryton.lookups import Lookups, wrong
from integrations.connectors.tryton.rows import LEGACY_STAMPS, STAMP
from integrations.connectors.tryton.shape import Call, Schema
from integrations.protocols.typed_json import plain
from integrations.sdk.declarations import Resource
from integrations.sdk.unmapping import Unmapping
from integrations.sdk.writes import Change, WriteCall

INACTIVE = ("0", "false")
Body = dict[str, Any]
Row = dict[str, Any]


class Office(Protocol):
    """What a writer needs of the connector."""

    def look(self, method: str, *params: Any, **context: Any) -> Any:
        """Call a method that only reads, in the context writes have."""

    def planned(self, method: str, *params: Any, purpose: str, creates: bool = False, **context: Any) -> WriteCall:
        """A call that writes, in the same context."""

    def today(self) -> date:
        """The day quantities are computed for: the server's, UTC."""

    @property
    def lookups(self) -> Lookups: ...

    @property
    def schema(self) -> Schema: ...


class ModelWriter:
    """Plans writes on one model. The bodies it is given have Tryton's field names, as the mapping wrote them."""

    buttons: ClassVar[Mapping[str, str]] = {}  # action -> method
    # Fields that lead to what belongs to the object, whose versions count too: {field: model}
    child_models: ClassVar[Mapping[str, str]] = {}

    def __init__(self, resource: Resource, office: Office) -> None:
        self.resource, self.model, self.office = resource, resource.path, office
        self.look: Call = office.look
        self.noun = resource.spec.title.lower()

    # --- the four kinds -------------------------------------------------------------------------------------------

    def plan(self, change: Change, unmapping: Unmapping) -> list[WriteCall]:
        """The one call that makes the change."""
        if change.operation == "create":
            return [self.create(change, unmapping.body(change.values))]
        versions, row = self._versions(change)
        if change.operation == "update":
            return [self.update(change, unmapping.body(change.values), row, versions)]
        if change.operation == "action":
            return self.act(change, versions)
        return [self._delete(change, versions)]

    def create(self, change: Change, body: Body) -> WriteCall:
        """The call that makes a new object, with the mark."""
        values = self.new(change, body)
        purpose = f"Create the {self.noun}"
        return self.office.planned(f"model.{self.model}.create", [values], purpose=purpose, creates=True)

    def update(self, change: Change, body: Body, row: Row, versions: Mapping[str, str]) -> WriteCall:
        """The call that changes an object. `row`: what `extra_fields` named, read just now."""
        return self.write_call(int(change.remote_id or 0), self.changed(change, body, row), versions)

    def new(self, change: Change, body: Body) -> Body:
        """The values of a new object."""
        raise NotSupportedError(f"The connector of Tryton does not create a {self.noun}.")

    def changed(self, change: Change, body: Body, row: Row) -> Body:
        """The values an update writes."""
        return body

    def act(self, change: Change, versions: Mapping[str, str]) -> list[WriteCall]:
        """The calls of an action: its button."""
        return [self._button(change, versions)]

    def extra_fields(self) -> tuple[str, ...]:
        """Fields that planning a change needs besides what was read before."""
        return ()

    def found_by(self, mark: str) -> list[Any]:
        """The domain that holds for objects that carry the mark."""
        raise NotSupportedError(f"Tryton cannot be searched for a {self.noun} that we made.")

    def remote_id(self, call: WriteCall, result: Any) -> str | None:
        """The id of what a call made. Errors: BadAnswerError when the answer names none; RpcRefusedError when the system
        answers without an error and yet did not do it."""
        if not call.creates:
            return None
        return str(made_id(result))

    def write_call(
        self, remote_id: int, values: Body, versions: Mapping[str, str], purpose: str = "", model: str = ""
    ) -> WriteCall:
        purpose = purpose or f"Change the {self.noun}"
        method = f"model.{model or self.model}.write"
        return self.office.planned(method, [remote_id], values, purpose=purpose, _timestamp=dict(versions))

    def _button(self, change: Change, versions: Mapping[str, str]) -> WriteCall:
        method = self.buttons.get(change.action)
        if method is None:
            raise NotSupportedError(f"Tryton has no {change.action} of a {self.noun}.")
        declared = self.resource.action(change.action)
        purpose = f"{declared.title if declared else change.action} of the {self.noun}"
        ids = [int(change.remote_id or 0)]
        return self.office.planned(f"model.{self.model}.{method}", ids, purpose=purpose, _timestamp=dict(versions))

    def _delete(self, change: Change, versions: Mapping[str, str]) -> WriteCall:
        """Delete, cancel or deactivate, as it is declared for the object's state."""
        declared = self.resource.write("delete", status_of(change.before)) or self.resource.write("delete")
        remote_id, kind = int(change.remote_id or 0), declared.kind if declared else ""
        if kind == "deactivate":
            if status_of(change.before) in INACTIVE:
                raise BusinessRuleError(f"The {self.noun} is inactive already.")
            return self.write_call(remote_id, {"active": False}, versions, f"Deactivate the {self.noun}")
        method, verb = ("cancel", "Cancel") if kind == "cancel" else ("delete", "Delete")
        purpose = f"{verb} the {self.noun}"
        return self.office.planned(
            f"model.{self.model}.{method}", [remote_id], purpose=purpose, _timestamp=dict(versions)
        )

    # --- versions ---------------------------------------------------------------------------------------------------

    def _versions(self, change: Change) -> tuple[dict[str, str], Row]:
        """The `_timestamp` of the object and of what belongs to it, and the row they were read with.

        Errors: ConflictError when they are no longer as they were when `before` was read.
        """
        stamps = (STAMP,) if STAMP in self.office.schema.fields(self.model) else LEGACY_STAMPS
        prefixes = ["", *(f"{child}." for child in self.child_models)]
        fields = [prefix + name for prefix in prefixes for name in ("_timestamp", *stamps)]
        wanted = [*fields, *self.extra_fields()]
        domain = [["id", "=", int(change.remote_id or 0)]]
        rows = self.look(f"model.{self.model}.search_read", domain, 0, 1, None, wanted, active_test=False)
        row = plain(rows[0]) if rows else {}
        before = change.before if isinstance(change.before, dict) else {}
        versions = {f"{self.model},{change.remote_id}": row.get("_timestamp")}
        same = bool(rows) and _stamp(row) == _stamp(before)
        for child, model in self.child_models.items():
            there = {item["id"]: item for item in children(row, child)}
            same = same and _stamps(there.values()) == _stamps(children(before, child))
            versions |= {f"{model},{key}": item.get("_timestamp") for key, item in there.items()}
        if not same:
            raise ConflictError(f"The {self.noun} was changed in Tryton since it was read.", code="CHANGED_MEANWHILE")
        return {key: value for key, value in versions.items() if value}, row

    # --- values -----------------------------------------------------------------------------------------------------

    def resolve(self, body: Body, at: Mapping[str, str], **models: tuple[str, str]) -> None:
        """Put ids in place of codes and names: {key: (model, field)}; `at` names the unified field of each key."""
        for key, (model, field) in models.items():
            if key in body:
                body[key] = self.office.lookups.one(model, field, body[key], (at.get(key, key),))

    def on_change(self, model: str, values: Body, *names: str) -> Body:
        """What Tryton's own client would fill in after these fields were entered."""
        found: Body = self.look(f"model.{model}.on_change", values, list(names))
        return found


def made_id(result: Any) -> int:
    """The one id in the answer of a create."""
    if isinstance(result, list) and len(result) == 1 and isinstance(result[0], int):
        return result[0]
    raise BadAnswerError("The answer names no new object.")


def children(row: Any, name: str) -> list[Row]:
    """The rows of a One2Many of a plain object, or the one of a Many2One."""
    found = row.get(name) if isinstance(row, dict) else None
    found = [found] if isinstance(found, dict) else found
    return [item for item in found or () if isinstance(item, dict)]


def status_of(before: Any) -> str | None:
    """The status as `remote_status` has it: the state, or whether it is active."""
    if not isinstance(before, dict):
        return None
    if "state" in before:
        return str(before["state"])
    return str(before["active"]).lower() if "active" in before else None


def referred(before: Any, name: str) -> int | None:
    """The id a reference of the object as read leads to."""
    found = before.get(name) if isinstance(before, dict) else None
    return found.get("id") if isinstance(found, dict) else None


def flag(body: Body, key: str = "active") -> None:
    """Mappings know flags as the text 1 or true; Tryton takes a boolean."""
    if key in body:
        body[key] = str(body[key]).lower() in ("1", "true")


def whole_number(value: Any, *at: str | int) -> int | None:
    """A text of digits as a number. Errors: ValidationFailedError at `at`."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str) and value.lstrip("-").isdecimal() and len(value) < 10:
        return int(value)
    raise wrong(f"{value!r} is no whole number.", *at)


def commands(made: list[Body], written: list[tuple[int, Body]], deleted: list[int]) -> list[Any]:
    """What Tryton does to the rows of a One2Many, in one value."""
    found: list[Any] = [["create", made]] if made else []
    for row, values in written:
        found.append(["write", [row], values])
    return [*found, ["delete", deleted]] if deleted else found


def row_id(value: Any, *at: str | int) -> int:
    """The id of an existing line."""
    if not str(value).isdecimal():
        raise wrong(f"There is no line {value!r}.", *at, code="LINE_NOT_FOUND")
    return int(value)


def merged(errors: list[ValidationFailedError]) -> ValidationFailedError:
    """All wrong values in one error."""
    found = tuple(item for error in errors for item in error.errors)
    return ValidationFailedError(errors[0].detail, errors=found)


def _stamp(row: Mapping[str, Any]) -> Any:
    return row.get(STAMP) or row.get("write_date") or row.get("create_date")


def _stamps(rows: Any) -> dict[Any, Any]:
    return {row["id"]: _stamp(row) for row in rows}
