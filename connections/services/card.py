"""The rules of what may be done with one entity of one connection, and why not. Nothing of the database in here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from hashlib import blake2b

from connections.choices import Access
from connections.services.denials import OF_FIELDS, PAST, Denial, Forbidden, because, one_of, with_article
from integrations.entities.spec import EntitySpec, FieldSpec
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import Action, Resource, Rule, Write
from integrations.sdk.mapping import CUSTOM, MappingRow, digest_of
from integrations.sdk.unmapping import Unmapping, compile_unmapping


class Card:
    """The answers for one entity. Statuses are the source's (`remote_status`); None is not judged.

    Names of fields: `notes`, of something inside `lines.quantity`, of what this connection maps beside `custom.colour`.
    `unmapping` writes values as they are: for sending, compile `rows` with the connector's own `encode`.
    """

    def __init__(
        self,
        connector: type[Connector],
        entity: str,
        *,
        rows: Iterable[MappingRow] | None = None,
        zone: str = "UTC",
        permitted: Mapping[str, bool] | None = None,
        shared: Access | None = Access.READ_WRITE,
        forbidden: Iterable[Forbidden] = (),
    ) -> None:
        """`rows`: the mapping in force, None for the connector's own. `permitted`: operation -> may the account do it; what
        is not named is not known and counts as yes. `shared`: what the customer lets us do, None nothing. Errors: NotSupportedError when the system lacks the entity."""
        self.connector = connector
        self.resource: Resource = connector.resource(entity)
        self.spec: EntitySpec = self.resource.spec
        self.rows = self.resource.fields if rows is None else tuple(rows)
        self.by_target = {row.target: row for row in self.rows}
        self.zone = zone
        self.permitted = dict(permitted or {})
        self.shared = shared
        self.forbidden = tuple(forbidden)
        self.unmapping: Unmapping = compile_unmapping(self.spec, self.rows, zone=zone)

    @cached_property
    def digest(self) -> bytes:
        """Differs whenever an answer could."""
        declared = (self.resource.writes, self.resource.rules, self.resource.actions)
        rest = (self.connector.__qualname__, self.spec.name, self.permitted, self.shared, self.forbidden, declared)
        return blake2b(digest_of(self.rows, salt=self.zone) + repr(rest).encode(), digest_size=16).digest()

    @property
    def noun(self) -> str:
        """`purchase order`."""
        return self.spec.title.lower()

    # --- operations -----------------------------------------------------------------------------------------------

    def operation(self, operation: str, status: str | None = None) -> Denial | None:
        """Why the operation (read, create, update, delete) may not be done; None when it may."""
        if operation == "read":
            return self._permission("read")
        if not any(write.operation == operation for write in self.resource.writes):
            return Denial(
                "platform", f"The connector of {self.connector.title} does not {operation} {with_article(self.noun)}."
            )
        return (
            self._override(operation)
            or self._permission(operation)
            or self._status(operation, status)
            or self._incomplete(operation, status)
        )

    def action(self, name: str, status: str | None = None) -> Denial | None:
        """Why the action may not be done. It needs what an update needs of the account and of the administrator."""
        action = self.resource.action(name)
        if action is None:
            known = ", ".join(found.name for found in self.resource.actions) or "none"
            return Denial(
                "platform",
                f"The connector of {self.connector.title} has no action {name} for {with_article(self.noun)}; it has: {known}.",
            )
        return (
            self._override("action", name) or self._override("update") or self._permission("update")
        ) or self._action_status(action, status)

    def write(self, operation: str, status: str | None = None) -> Write | None:
        """How the operation is done with an object in this status."""
        return self.resource.write(operation, status)

    # --- fields ---------------------------------------------------------------------------------------------------

    def field(self, operation: str, name: str, status: str | None = None) -> Denial | None:
        """Why the field may not be read, or be sent in a create or update; None when it may."""
        if operation == "read":
            return self.operation("read") or self._unread(name)
        if operation not in OF_FIELDS:
            return Denial("platform", f"A {operation} takes no fields.")
        return self.operation(operation, status) or self._field(operation, name, status)

    def has_field(self, name: str) -> bool:
        """Whether there is such a field, whatever may be done with it."""
        if name.startswith(CUSTOM):
            return name in self.by_target
        specs = self.spec.fields
        for part in name.split("."):
            found = next((spec for spec in specs if spec.name == part), None)
            if found is None:
                return False
            specs = found.item
        return True

    def writable(self, operation: str, status: str | None = None) -> list[str]:
        """The fields of the entity that may be sent, in its order, then `custom.<name>`; not those inside of them."""
        names = [field.name for field in self.spec.fields]
        names += [row.target for row in self.rows if row.target.startswith(CUSTOM)]
        if operation not in OF_FIELDS or self.operation(operation, status) is not None:
            return []
        return [name for name in names if self._field(operation, name, status) is None]

    def required(self) -> tuple[str, ...]:
        """What a create must have: fields the entity demands where they can be written, and what the system demands.

        `lines.quantity` is demanded of each line that is sent.
        """
        return self._required

    @cached_property
    def _required(self) -> tuple[str, ...]:
        write = self.resource.write("create")
        if write is None:
            return ()
        names = [name for name in _required_of(self.spec.fields) if self._field("create", name, None) is None]
        return tuple(dict.fromkeys((*names, *write.required)))

    def statuses(self, operation: str, name: str = "") -> tuple[list[str] | None, list[str]]:
        """(the source's statuses in which it may be done, those in which it may not); with `name` of that field.

        The first is None when the statuses have no say, or when only those that forbid are known.
        """
        limits = self._limits(operation, name)
        if not limits:
            return None, []
        known = self.known_statuses
        refused = [status for status in known if self._status_of(operation, name, status) is not None]
        told = self._all_known or any(limit.only_status for limit in limits)
        return ([status for status in known if status not in refused] if told else None), refused

    @cached_property
    def known_statuses(self) -> list[str]:
        """The source's statuses that the mapping or a rule names, in that order."""
        status, remote = self.by_target.get("status"), self.by_target.get("remote_status")
        named: list[str] = []
        if status is not None and remote is not None and status.source == remote.source:
            named += [raw for step in status.transforms if step["name"] == "values" for raw in step["map"]]
        limits: list[Write | Rule | Action] = [*self.resource.writes, *self.resource.rules, *self.resource.actions]
        for limit in limits:
            named += limit.only_status
            named += limit.unless_status if isinstance(limit, Rule) else ()
        return list(dict.fromkeys(named))

    # --- reasons --------------------------------------------------------------------------------------------------

    def _permission(self, operation: str) -> Denial | None:
        """By the customer, who shares or does not, then by the rights of the account."""
        if self.shared is None or (operation != "read" and self.shared != Access.READ_WRITE):
            what = self.spec.plural.replace("_", " ")
            shown = what if self.shared is None else f"writing {what}"
            return Denial("permission", f"The customer does not share {shown} on this connection.")
        if self.permitted.get(operation, True):
            return None
        return Denial(
            "permission",
            f"The account of this connection may not {operation} {self.spec.plural.replace('_', ' ')} in"
            f" {self.connector.title}; its administrator can allow it.",
        )

    def _override(self, operation: str, name: str = "") -> Denial | None:
        """Forbidden as a whole, or the field or the whole it is inside of."""
        for found in self.forbidden:
            if found.operation == operation and (not found.field or (name and _is_within(name, found.field))):
                what = found.field or ("every action" if operation == "action" else operation)
                why = f": {found.reason}" if found.reason else "."
                return Denial("override", f"An administrator forbade {what} for this connection{why}")
        return None

    def _incomplete(self, operation: str, status: str | None) -> Denial | None:
        """What the system demands must be among what can be sent."""
        write = self.resource.write(operation, status)
        for name in write.required if write and operation in OF_FIELDS else ():
            denial = self._field(operation, name, status)
            if denial is not None:
                return Denial(denial.reason, f"The system demands {name}, which cannot be sent: {denial.detail}")
        return None

    def _status(self, operation: str, status: str | None) -> Denial | None:
        if status is None or operation == "create":
            return None
        subject = f"{with_article(self.noun, capital=True)} cannot be {PAST[operation]} while it is {status}"
        for rule in self._rules(operation):
            if not rule.fields and rule.forbids(status):
                return Denial("status", f"{subject}: {because(rule)}")
        if self.resource.write(operation, status) is None:
            only = [
                name for write in self.resource.writes if write.operation == operation for name in write.only_status
            ]
            return Denial("status", f"{subject}: only while it is {one_of(only)}.")
        return None

    def _action_status(self, action: Action, status: str | None) -> Denial | None:
        if status is None or not action.only_status or status in action.only_status:
            return None
        return Denial(
            "status",
            f"{action.title} is possible only while the {self.noun} is {one_of(action.only_status)}; it is {status}.",
        )

    def _field(self, operation: str, name: str, status: str | None) -> Denial | None:
        """The field by itself, whatever the operation as a whole says."""
        return (
            self._unwritable(name)
            or self._unsent(operation, name, status)
            or self._override(operation, name)
            or self._field_status(operation, name, status)
        )

    def _field_status(self, operation: str, name: str, status: str | None) -> Denial | None:
        if status is None or operation == "create":
            return None
        for rule in self._rules(operation):
            if rule.forbids(status) and any(_is_within(name, field) for field in rule.fields):
                verb = OF_FIELDS[operation]
                said = f"{name} cannot be {verb} while the {self.noun} is {status}: {because(rule)}"
                return Denial("status", said)
        return None

    def _status_of(self, operation: str, name: str, status: str) -> Denial | None:
        denial = self._status(operation, status)
        return denial or (self._field_status(operation, name, status) if name else None)

    def _unsent(self, operation: str, name: str, status: str | None) -> Denial | None:
        """The declared write may be about some fields alone."""
        write = self.resource.write(operation, status)
        if write is None or not write.fields:
            return None
        if any(_is_within(name, field) or _is_within(field, name) for field in write.fields):
            return None
        sent = ", ".join(write.fields)
        return Denial(
            "platform",
            f"The connector of {self.connector.title} does not send {name} when {with_article(self.noun)} is"
            f" {PAST[operation]}; it sends {sent}.",
        )

    def _unwritable(self, name: str) -> Denial | None:
        if name.startswith(CUSTOM):
            return self._custom(name)
        unmapping: Unmapping | None = self.unmapping
        path: list[str] = []
        for part in name.split("."):
            path.append(part)
            if unmapping is None or (part not in unmapping.fields and part not in unmapping.why_not):
                return Denial("platform", f"{with_article(self.noun, capital=True)} has no field {'.'.join(path)}.")
            if part in unmapping.why_not:
                reason, text = unmapping.why_not[part]
                if text.startswith(f"{part} "):
                    text = ".".join(path) + text.removeprefix(part)
                return Denial("source" if reason == "source" else "platform", text)
            inside = unmapping.fields[part].items
            if inside is not None and not inside.fields:
                return Denial("platform", f"Nothing inside of {'.'.join(path)} can be written here.")
            unmapping = inside
        return None

    def _custom(self, name: str) -> Denial | None:
        if name in self.unmapping.fields:
            return None
        row = self.by_target.get(name)
        if row is None:
            return Denial("platform", f"This connection maps no {name}.")
        if row.read_only:
            return Denial("source", f"{name} cannot be written in this system.")
        return Denial("platform", f"{name} is computed from the source; there is no one place to write it to.")

    def _unread(self, name: str) -> Denial | None:
        specs, rows = self.spec.fields, self.rows
        for part in [name] if name.startswith(CUSTOM) else name.split("."):
            row = next((row for row in rows if row.target == part), None)
            if row is None:
                known = any(spec.name == part for spec in specs)
                text = f"{name} is not mapped to anything in this system." if known else f"There is no field {name}."
                return Denial("platform", text)
            specs = next((spec.item for spec in specs if spec.name == part), ())
            rows = row.items
        return None

    # --- declared -------------------------------------------------------------------------------------------------

    def _rules(self, operation: str) -> list[Rule]:
        return [rule for rule in self.resource.rules if rule.operation == operation]

    def _limits(self, operation: str, name: str) -> list[Rule | Write]:
        """What lets the status have a say."""
        if operation == "create":
            return []
        writes = [write for write in self.resource.writes if write.operation == operation]
        limits: list[Rule | Write] = list(writes) if all(write.only_status for write in writes) else []
        for rule in self._rules(operation):
            if not rule.fields or any(_is_within(name, field) for field in rule.fields):
                limits.append(rule)
        return limits

    @property
    def _all_known(self) -> bool:
        """Whether the mapping lists the source's statuses, so that those not forbidden can be named."""
        status, remote = self.by_target.get("status"), self.by_target.get("remote_status")
        mapped = status is not None and any(step["name"] == "values" for step in status.transforms)
        return mapped and remote is not None and status is not None and status.source == remote.source


def _is_within(name: str, whole: str) -> bool:
    return name == whole or name.startswith(f"{whole}.")


def _required_of(specs: Iterable[FieldSpec], prefix: str = "") -> list[str]:
    found: list[str] = []
    for spec in specs:
        if spec.required_on_create:
            found.append(prefix + spec.name)
        found += _required_of(spec.item, f"{prefix}{spec.name}.")
    return found
