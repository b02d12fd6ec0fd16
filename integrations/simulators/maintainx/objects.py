"""GET, POST, PATCH and DELETE of one object, with the rules of its entity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from integrations.simulators.kit.entities import Entity, checked
from integrations.simulators.kit.messages import Answer, Body, json_answer
from integrations.simulators.kit.store import Object
from integrations.simulators.kit.tenant import Call, Handler
from integrations.simulators.maintainx.lists import embedded
from integrations.simulators.maintainx.refusals import body_of, invalid, refusal

ORGANIZATION_ID = 501
# The user the API key belongs to.
API_USER_ID = 1

# (call, body as sent, checked values) -> what is stored.
Rule = Callable[[Call, Body, Object], Object]


def as_it_is(call: Call, body: Body, values: Object) -> Object:
    return values


@dataclass(frozen=True)
class Rules:
    """What an entity adds to a new object and to a change."""

    creating: Rule = as_it_is
    updating: Rule = as_it_is


def kind_of(call: Call) -> Entity:
    return call.store.tables[call.entity].entity


def found_object(call: Call) -> Object:
    """The object in the path, which a write must not find deleted."""
    assert call.number is not None
    data = call.transaction.get(call.entity, call.number)
    if data is None or (call.request.is_write and not call.transaction.exists(call.entity, call.number)):
        raise refusal(f"{kind_of(call).singular} Not Found", 404)
    return data


def show(call: Call, status: int = 200) -> Answer:
    """One object in full, wrapped in its name."""
    entity, data = kind_of(call), found_object(call)
    shown = data | embedded(call, entity, data, frozenset(call.request.query.get("expand", ())))
    return json_answer(status, {entity.singular: shown} if call.settings["wrap_objects"] else shown)


def get_object(call: Call) -> Answer:
    entity, data = kind_of(call), found_object(call)
    if call.request.query or not call.settings["wrap_objects"]:
        return show(call)
    row = call.store.tables[call.entity].rows[data["id"]]
    return Answer(200, b'{"%s":%s}' % (entity.singular.encode(), row.json("full", lambda whole: whole)))


def creator(rules: Rules) -> Handler:
    def create(call: Call) -> Answer:
        body = body_of(call.request)
        values, problems = checked(kind_of(call).fields, body, call.transaction.exists, creating=True)
        if problems:
            raise invalid(problems)
        blank: Object = {field.name: _blank(field.kind) for field in kind_of(call).fields}
        made = rules.creating(call, body, blank | values)
        made = call.transaction.create(call.entity, made | {"organizationId": ORGANIZATION_ID})
        return json_answer(201, {"id": made["id"]})

    return create


def updater(rules: Rules) -> Handler:
    def update(call: Call) -> Answer:
        before, body = found_object(call), body_of(call.request)
        values, problems = checked(kind_of(call).fields, body, call.transaction.exists, creating=False)
        if problems:
            raise invalid(problems)
        if "extraFields" in values:
            merged = before["extraFields"] | values["extraFields"]
            values["extraFields"] = {label: text for label, text in merged.items() if text is not None}
        values = rules.updating(call, body, values)
        call.transaction.update(call.entity, before["id"], values)
        return show(call)

    return update


def delete_object(call: Call) -> Answer:
    call.transaction.delete(call.entity, found_object(call)["id"])
    return Answer(204)


def _blank(kind: str) -> Any:
    return {"array": [], "ids": [], "labels": {}}.get(kind)


def decimal_of(cents: float | None) -> str | None:
    """1250 -> "12.500000" """
    return None if cents is None else f"{cents / 100:.6f}"
