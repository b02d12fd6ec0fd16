"""What the expressions of a definition may use, and how its steps are walked."""

from __future__ import annotations

from typing import Any

import pytest

from flows.definitions.checking import read_definition
from flows.definitions.walking import connections_of, find_step, places, scopes_needed, walk
from tests.flow_definitions import a_map, branch, errors, flow, loop, told

# --- expressions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([a_map("a", "steps.b")], {"/steps/0/value/$": "UNKNOWN_STEP"}),
        ([a_map("a", "steps.a")], {"/steps/0/value/$": "UNKNOWN_STEP"}),
        ([a_map("a", "run.id"), a_map("b", "steps.a.x[0] | y")], {}),
        ([a_map("a", "run", when="steps.b.x"), a_map("b", "run")], {"/steps/0/when": "UNKNOWN_STEP"}),
        ([a_map("a", "run"), a_map("b", "steps.{x: a, y: c}")], {"/steps/1/value/$": "UNKNOWN_STEP"}),
        ([a_map("a", "run"), a_map("b", "steps | c.x")], {"/steps/1/value/$": "UNKNOWN_STEP"}),
        ([a_map("a", "trigger.body[?steps.c == `1`].steps.c")], {}),
        ([a_map("a", "sort_by(trigger.body, &steps.c)")], {}),
        ([a_map("a", "length(steps.c)")], {"/steps/0/value/$": "UNKNOWN_STEP"}),
        ([a_map("a", "connections.erp.id"), a_map("b", "connections.crm.id")], {"/steps/1/value/$": "UNKNOWN_CONNECTION"}),
        ([a_map("a", "item")], {"/steps/0/value/$": "UNKNOWN_NAME"}),
        ([a_map("a", "error.code")], {"/steps/0/value/$": "UNKNOWN_NAME"}),
        ([a_map("a", "trigger.x || null")], {"/steps/0/value/$": "UNKNOWN_NAME"}),
        # in and out of a for-each
        ([loop("l", a_map("a", "item.x"), a_map("b", "[steps.a, index]"))], {}),
        ([loop("l", a_map("a", "item.x")), a_map("b", "steps.a")], {"/steps/1/value/$": "UNKNOWN_STEP"}),
        ([loop("l", a_map("a", "steps.l"))], {"/steps/0/steps/0/value/$": "UNKNOWN_STEP"}),
        ([{**loop("l", a_map("a", "item"), items="item.x"), "key": "item.id"}], {"/steps/0/items": "UNKNOWN_NAME"}),
        ([a_map("o", "run"), loop("l", a_map("a", "steps.o")), a_map("b", "steps.l.items")], {}),
        # branches
        ([branch("c", [a_map("a", "run")], [a_map("b", "steps.a")])], {"/steps/0/else/0/value/$": "UNKNOWN_STEP"}),
        ([branch("c", [a_map("a", "run")], [a_map("b", "run")]), a_map("d", "steps.a || steps.b || steps.c")], {}),
        # on_error
        ([a_map("a", "run", on_error={"steps": [a_map("b", "error.code")]}), a_map("d", "steps.b")], {}),
        ([a_map("a", "run", on_error={"steps": [a_map("b", "steps.a")]})], {"/steps/0/on_error/steps/0/value/$": "UNKNOWN_STEP"}),
        # waits
        ([{"name": "w", "do": "wait", "event": {"types": ["custom.x"], "filter": "event.data.x == run.id"}}], {}),
        ([{"name": "w", "do": "wait", "seconds": {"$": "event.x"}}], {"/steps/0/seconds/$": "UNKNOWN_NAME"}),
        # templates
        ([{"name": "a", "do": "map", "value": [{"b": {"$": "trigger.("}}]}], {"/steps/0/value/0/b/$": "EXPRESSION_INVALID"}),
        ([{"name": "a", "do": "map", "value": {"$": "trigger", "x": 1}}], {"/steps/0/value": "EXPRESSION_INVALID"}),
        ([{"name": "a", "do": "map", "value": {"$": 5}}], {"/steps/0/value": "EXPRESSION_INVALID"}),
        ([{"name": "a", "do": "map", "value": {"$literal": {"$": 5}}}], {}),
        ([{"name": "a", "do": "http_request", "url": {"$": "trigger.url"}, "headers": {"X": {"$": "nothing"}}}], {"/steps/0/headers/X/$": "UNKNOWN_NAME"}),
        ([{"name": "a", "do": "create_record", "connection": "erp", "entity": "vendor", "body": {"$": "trigger.body"}}], {}),
    ],
)  # fmt: skip
def test_expressions_use_what_there_is_where_they_stand(steps: list[Any], expected: dict[str, str]) -> None:
    data = flow(*steps)
    if expected:
        assert errors(data) == expected
    else:
        read_definition(data)


def test_why_a_step_is_not_seen_is_told() -> None:
    inside = told(flow(loop("l", a_map("a", "item")), a_map("b", "steps.a")))
    assert "steps.l.items" in inside
    assert "not done before" in told(flow(a_map("a", "steps.b"), a_map("b", "run")))
    assert "Did you mean 'order'?" in told(flow(a_map("order", "run"), a_map("b", "steps.ordr")))
    assert "for-each" in told(flow(a_map("a", "index")))
    assert "`null`" in told(flow(a_map("a", "null")))


# --- walking ----------------------------------------------------------------------------------------------------------


def test_steps_are_walked_in_order_with_pointers_and_loops() -> None:
    definition = read_definition(
        flow(
            a_map("a", "run", on_error={"steps": [a_map("b", "error")]}),
            branch("c", [a_map("d", "run")], [loop("e", loop("f", a_map("g", "item")))]),
        )
    )

    assert [(found.pointer, found.step.name, found.for_each) for found in walk(definition)] == [
        ("/steps/0", "a", ()),
        ("/steps/0/on_error/steps/0", "b", ()),
        ("/steps/1", "c", ()),
        ("/steps/1/then/0", "d", ()),
        ("/steps/1/else/0", "e", ()),
        ("/steps/1/else/0/steps/0", "f", ("e",)),
        ("/steps/1/else/0/steps/0/steps/0", "g", ("e", "f")),
    ]
    assert [place.around.sees_error for place in places(definition)][:3] == [False, True, False]
    found = find_step(definition, "g")
    assert found is not None and found.for_each == ("e", "f")
    assert find_step(definition, "z") is None


def test_what_steps_work_with() -> None:
    definition = read_definition(
        flow(
            {"do": "list_records", "connection": "erp", "entity": "vendor"},
            {"do": "update_record", "connection": "cmms", "entity": "asset", "id": "x", "body": {}},
            {"do": "emit", "type": "custom.x"},
            {"do": "wait", "event": {"types": ["custom.x"], "connections": ["erp"]}},
            {},
            connections={"erp": {}, "cmms": {}},
        )
    )

    assert [connections_of(found.step) for found in walk(definition)] == [("erp",), ("cmms",), (), ("erp",), ()]
    assert scopes_needed(definition) == {"records.vendor:read": "s0", "records.asset:write": "s1"}
