"""What an administrator forbids for one connection. A row only ever narrows what the system and its account allow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django_scopes import scope

from connections.choices import OverriddenOperation
from connections.models import CapabilityOverride, Connection
from connections.services.cards import OF_FIELDS, Card, cards_of
from connections.services.opening import connector_of
from core import ids
from core.errors import FieldError, NotFoundError, ValidationFailedError
from core.json import pointer
from workspaces import audit

MOST_OVERRIDES = 200
MAX_REASON_CHARACTERS = 300
Key = tuple[str, str, str]


@dataclass(frozen=True)
class NewOverride:
    """What is to be forbidden: an operation as a whole, or with `field` that field (`lines.quantity`) or action alone."""

    entity: str
    operation: str
    field: str = ""
    reason: str = ""

    @property
    def key(self) -> Key:
        return self.entity, self.operation, self.field


def overrides_of(connection: Connection) -> list[CapabilityOverride]:
    """What is forbidden, by entity."""
    with scope(workspace=connection.workspace_id):
        return list(CapabilityOverride.objects.filter(connection_id=connection.pk))


def set_overrides(connection: Connection, wanted: Sequence[NewOverride], *, by: str) -> list[CapabilityOverride]:
    """Make these all that is forbidden. A row that stays keeps who made it.

    Errors: ValidationFailedError with a pointer per row that names something there is not.
    """
    _check(connection, wanted)
    with scope(workspace=connection.workspace_id), transaction.atomic():
        _lock(connection)
        stored = {(row.entity, row.operation, row.field): row for row in overrides_of(connection)}
        kept = {new.key for new in wanted if new.key in stored and stored[new.key].reason == new.reason}
        gone = [row.pk for key, row in stored.items() if key not in kept]
        CapabilityOverride.objects.filter(pk__in=gone).delete()
        fresh = [new for new in wanted if new.key not in kept]
        _write(connection, fresh, by)
        asked = {new.key for new in wanted}
        _record(connection, forbidden=[new.key for new in fresh], allowed=[key for key in stored if key not in asked])
    return overrides_of(connection)


def forbid(connection: Connection, new: NewOverride, *, by: str) -> None:
    """Forbid one thing more; forbidding it again replaces the reason. Errors: as `set_overrides`."""
    with scope(workspace=connection.workspace_id), transaction.atomic():
        _lock(connection)
        stored = [
            NewOverride(row.entity, row.operation, row.field, row.reason)
            for row in overrides_of(connection)
            if (row.entity, row.operation, row.field) != new.key
        ]
        _check(connection, [*stored, new], only=len(stored))
        CapabilityOverride.objects.filter(
            connection_id=connection.pk, entity=new.entity, operation=new.operation, field=new.field
        ).delete()
        _write(connection, [new], by)
        _record(connection, forbidden=[new.key])


def allow_again(connection: Connection, override_id: UUID) -> CapabilityOverride:
    """Take back what was forbidden. Errors: NotFoundError."""
    with scope(workspace=connection.workspace_id), transaction.atomic():
        found: CapabilityOverride | None = CapabilityOverride.objects.filter(
            connection_id=connection.pk, pk=override_id
        ).first()
        if found is None:
            raise NotFoundError("This is not forbidden (any more).")
        CapabilityOverride.objects.filter(pk=override_id).delete()
        _record(connection, allowed=[(found.entity, found.operation, found.field)])
    return found


def _lock(connection: Connection) -> None:
    """One writer at a time."""
    Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)


def _record(connection: Connection, *, forbidden: Sequence[Key] = (), allowed: Sequence[Key] = ()) -> None:
    """What is forbidden from now on, and what is not any more, such as `purchase_order update lines.quantity`."""
    if not forbidden and not allowed:
        return
    told = {"forbidden": forbidden, "allowed": allowed}
    audit.record(
        "capabilities.changed",
        workspace_id=connection.workspace_id,
        about=("connection", ids.show(Connection.PREFIX, connection.pk) or ""),
        details={name: sorted(" ".join(filter(None, key)) for key in keys) for name, keys in told.items() if keys},
    )


def _write(connection: Connection, new: Iterable[NewOverride], by: str) -> None:
    CapabilityOverride.objects.bulk_create(
        CapabilityOverride(
            workspace_id=connection.workspace_id,
            connection=connection,
            entity=one.entity,
            operation=one.operation,
            field=one.field,
            reason=one.reason,
            created_by=by,
        )
        for one in new
    )


# --- checked ------------------------------------------------------------------------------------------------------------


def _check(connection: Connection, wanted: Sequence[NewOverride], *, only: int = 0) -> None:
    """`only`: the first to look at; those before it are stored already."""
    if len(wanted) > MOST_OVERRIDES:
        text = f"A connection has at most {MOST_OVERRIDES} overrides."
        raise ValidationFailedError(text, errors=(FieldError("/overrides", "TOO_MANY", text),))
    cards = cards_of(connection)
    errors = []
    for number, new in enumerate(wanted):
        problem = _problem(connection, cards, new)
        if problem is None and any(new.key == other.key for other in wanted[:number]):
            problem = ("field", "DUPLICATE", f"{new.operation} {new.field or 'as a whole'} stands twice.")
        if problem is not None and number >= only:
            member, code, detail = problem
            errors.append(FieldError(pointer("overrides", number, member), code, detail))
    if errors:
        detail = (
            errors[0].detail if len(errors) == 1 else f"{len(errors)} overrides cannot be used; `errors` names each."
        )
        raise ValidationFailedError(detail, errors=tuple(errors))


def _problem(connection: Connection, cards: dict[str, Card], new: NewOverride) -> tuple[str, str, str] | None:
    card = cards.get(new.entity)
    if card is None:
        title = connector_of(connection).title
        return "entity", "UNKNOWN_ENTITY", f"{title} has no {new.entity}; it has: {', '.join(cards)}."
    if new.operation not in OverriddenOperation.values:
        known = ", ".join(OverriddenOperation.values)
        return "operation", "UNKNOWN_OPERATION", f"{new.operation} cannot be forbidden; use one of: {known}."
    if len(new.reason) > MAX_REASON_CHARACTERS:
        return "reason", "TOO_LONG", f"A reason has at most {MAX_REASON_CHARACTERS} characters."
    detail = _field_problem(card, new)
    return ("field", "UNKNOWN_FIELD", detail) if detail else None


def _field_problem(card: Card, new: NewOverride) -> str:
    if not new.field:
        return ""
    if new.operation == "action":
        known = [action.name for action in card.resource.actions]
        return "" if new.field in known else f"There is no action {new.field}; there are: {', '.join(known) or 'none'}."
    if new.operation not in OF_FIELDS:
        return f"A {new.operation} takes no fields: leave `field` empty to forbid it as a whole."
    if not card.has_field(new.field):
        return f"{card.spec.title} has no field {new.field}, as this connection is mapped."
    if new.operation == "create" and new.field in card.required():
        return f"Nothing can be created without {new.field}: forbid the creation as a whole instead."
    return ""
