"""What a definition may say: its form, what its names mean, and the errors that tell all of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import FieldError, ValidationFailedError
from flows.definitions.checking import MAX_ERRORS, read_definition
from flows.definitions.event_types import EVENT_TYPES, is_choice_of_types
from flows.definitions.meaning import filters_of
from flows.definitions.model import MAX_DEFINITION_BYTES, MAX_STEPS
from flows.engine.handlers.selecting import filters_of as filters_of_handler
from integrations.entities import ENTITIES
from tests.flow_definitions import MANUAL, a_map, branch, errors, flow, loop, told
from workspaces.choices import EventType
from workspaces.event_catalogue import is_choice_of_types as is_choice_of_feed

# --- form -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([], {"": "INVALID_VALUE"}),
        (None, {"": "INVALID_VALUE"}),
        ({}, {"/trigger": "REQUIRED", "/steps": "REQUIRED"}),
        (flow(), {"/steps": "INVALID_VALUE"}),
        (flow({}, trigger=5), {"/trigger": "INVALID_VALUE"}),
        (flow({}, trigger={}), {"/trigger/on": "REQUIRED"}),
        (flow({}, trigger={"on": "evnt"}), {"/trigger/on": "UNKNOWN_KIND"}),
        (flow({}, trigger={"on": ["event"]}), {"/trigger/on": "UNKNOWN_KIND"}),
        (flow({}, trigger={"on": "event", "event": 1}), {"/trigger/types": "REQUIRED", "/trigger/event": "UNKNOWN_FIELD"}),
        (flow({"do": "mapp"}), {"/steps/0/do": "UNKNOWN_KIND"}),
        (flow({"do": "map", "map": 1}), {"/steps/0/map": "UNKNOWN_FIELD"}),
        ({"trigger": MANUAL, "steps": [5, {"name": "a"}]}, {"/steps/0": "INVALID_VALUE", "/steps/1/do": "REQUIRED"}),
        (flow({"name": "Not a name"}), {"/steps/0/name": "INVALID_VALUE"}),
        (flow({"on_error": "ignore"}), {"/steps/0/on_error": "INVALID_VALUE"}),
        (flow({"on_error": {"steps": []}}), {"/steps/0/on_error/steps": "INVALID_VALUE"}),
        (flow({"on_error": {"steps": [{"do": "x"}]}}), {"/steps/0/on_error/steps/0/do": "UNKNOWN_KIND"}),
        (flow({"retry": {"attempts": 21, "q": 1}}), {"/steps/0/retry/attempts": "INVALID_VALUE", "/steps/0/retry/q": "UNKNOWN_FIELD"}),
        (flow({"title": "x" * 121}), {"/steps/0/title": "TOO_LONG"}),
        (flow({"timeout_seconds": "60"}), {"/steps/0/timeout_seconds": "INVALID_VALUE"}),
        (flow(branch("b", [{"name": "c", "do": "wait", "event": {"types": [1]}}], [])), {"/steps/0/then/0/event/types/0": "INVALID_VALUE"}),
        (flow(branch("b", [], [{"name": "c", "do": "stop", "a/b~": 1}])), {"/steps/0/else/0/a~1b~0": "UNKNOWN_FIELD"}),
        (flow(loop("l", {"name": "m", "do": "map"})), {"/steps/0/steps/0/value": "REQUIRED"}),
        (flow({}, connections={"A b": {}, "x": {"titel": ""}}), {"/connections/A b": "INVALID_VALUE", "/connections/x/titel": "UNKNOWN_FIELD"}),
        (flow({}, queue={"mode": "serial"}), {"/queue/mode": "INVALID_VALUE"}),
        (flow({}, format=2), {"/format": "INVALID_VALUE"}),
        (flow({"do": "emit", "type": "order.late"}), {"/steps/0/type": "INVALID_VALUE"}),
    ],
)  # fmt: skip
def test_each_wrong_form_is_told_where_it_stands(data: Any, expected: dict[str, str]) -> None:
    assert errors(data) == expected


def test_what_is_not_known_is_told_with_what_there_is() -> None:
    assert "create_record" in told(flow({"do": "x"})) and "for_each" in told(flow({"do": "x"}))
    assert "Did you mean 'update_record'?" in told(flow({"do": "update_recrd"}))
    assert "schedule, event, hook, api, manual" in told(flow({}, trigger={"on": "x"}))
    assert "Did you mean 'seconds'?" in told(flow({"retry": {"second": 1}}))
    assert "Did you mean 'erp'?" in told(
        flow({"do": "delete_record", "connection": "epr", "entity": "vendor", "id": "1"})
    )


def test_all_are_told_at_once_but_not_too_many() -> None:
    found = errors(flow(*({"name": f"s{place}", "bad": 1} for place in range(45)), {"do": "x"}, {"do": "y"}))

    assert len(found) == 47
    assert len(errors(flow(*({"bad": 1, "worse": 2} for _ in range(40))))) == MAX_ERRORS
    assert (
        len(errors(flow(*(a_map(f"m{place}", "nothing") for place in range(50)), a_map("m", "x")))) == 1
    )  # too many steps
    assert len(errors(flow(*(loop(f"l{place}", a_map(f"m{place}", "x || (")) for place in range(40))))) == 40


def test_size_and_depth_are_limited() -> None:
    assert errors(flow({"value": "x" * MAX_DEFINITION_BYTES})) == {"": "TOO_LARGE"}
    deep: Any = 1
    for _ in range(3000):
        deep = [deep]
    assert errors(flow({"value": deep})) == {"": "INVALID_JSON"}
    assert errors({"trigger": MANUAL, "steps": [{1: object()}]}) == {"": "INVALID_JSON"}


def test_a_definition_is_read_with_its_defaults() -> None:
    definition = read_definition(flow({"value": {"a": [1, {"$": "trigger.body"}]}}))

    assert definition.queue.at_once == 10 and definition.steps[0].retry.attempts == 3
    assert definition.steps[0].value == {"a": [1, {"$": "trigger.body"}]}


# --- meaning ----------------------------------------------------------------------------------------------------------


def test_names_of_steps_are_unique_in_the_whole_flow() -> None:
    data = flow(loop("a", a_map("b", "item")), branch("c", [a_map("b", "run")], [a_map("a", "run")]))

    assert errors(data) == {"/steps/1/then/0/name": "NAME_TAKEN", "/steps/1/else/0/name": "NAME_TAKEN"}


def test_number_and_nesting_of_steps_are_limited() -> None:
    inner = [{"name": f"m{place}", "do": "map", "value": 1} for place in range(50)]
    more = [{**step, "name": f"n{step['name']}"} for step in inner]
    assert errors(flow(branch("b", inner, more))) == {"/steps": "TOO_MANY_STEPS"} and MAX_STEPS == 100

    deep: Any = {"name": "m", "do": "map", "value": 1}
    for place in range(6):
        deep = branch(f"b{place}", [deep], [])
    assert errors(flow(deep)) == {"/steps/0" + "/then/0" * 6: "TOO_DEEP"}
    three = loop("a", loop("b", loop("c", a_map("d", "item"))))
    assert errors(flow(three)) == {"/steps/0/steps/0/steps/0": "TOO_DEEP"}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({"do": "get_record", "connection": "crm", "entity": "vendor", "id": "x"}, {"/steps/0/connection": "UNKNOWN_CONNECTION"}),
        ({"do": "get_record", "connection": "erp", "entity": "vendors", "id": "x"}, {"/steps/0/entity": "UNKNOWN_ENTITY"}),
        ({"do": "get_record", "connection": "erp", "entity": "vendor"}, {"/steps/0/id": "REQUIRED"}),
        ({"do": "get_record", "connection": "erp", "entity": "vendor", "id": "x", "remote_id": "y"}, {"/steps/0/id": "REQUIRED"}),
        ({"do": "list_records", "connection": "erp", "entity": "vendor", "where": {"a/b": 1, "name": "x"}}, {"/steps/0/where/a~1b": "UNKNOWN_FILTER"}),
        ({"do": "list_records", "connection": "erp", "entity": "vendor", "where": {"$": "trigger"}}, {"/steps/0/where/$": "UNKNOWN_FILTER"}),
        ({"do": "emit", "type": "custom.x", "connection": "crm"}, {"/steps/0/connection": "UNKNOWN_CONNECTION"}),
        ({"do": "wait"}, {"/steps/0": "ONE_OF"}),
        ({"do": "wait", "seconds": 1, "until": "2026-03-01T08:00:00Z"}, {"/steps/0": "ONE_OF"}),
        ({"do": "wait", "seconds": -1}, {"/steps/0/seconds": "INVALID_VALUE"}),
        ({"do": "wait", "seconds": True}, {"/steps/0/seconds": "INVALID_VALUE"}),
        ({"do": "wait", "until": "tomorrow"}, {"/steps/0/until": "INVALID_VALUE"}),
        ({"do": "wait", "until": "2026-03-01T08:00:00"}, {"/steps/0/until": "INVALID_VALUE"}),
        ({"do": "wait", "event": {"types": ["x.y"], "connections": ["crm"], "entities": ["part"]}},
         {"/steps/0/event/types/0": "UNKNOWN_EVENT_TYPE", "/steps/0/event/connections/0": "UNKNOWN_CONNECTION", "/steps/0/event/entities/0": "UNKNOWN_ENTITY"}),
        ({"do": "http_request", "url": "ftp://x"}, {"/steps/0/url": "INVALID_VALUE"}),
        ({"do": "http_request", "url": 5}, {"/steps/0/url": "INVALID_VALUE"}),
        ({"do": "http_request", "url": "https://x.example", "secret_headers": {"Proxy-Authorization": {"secret": "a"}}},
         {"/steps/0/secret_headers/Proxy-Authorization": "INVALID_HEADER"}),
        ({"do": "http_request", "url": "https://x.example", "headers": {"Host": "y", "a b": "c"}},
         {"/steps/0/headers/Host": "INVALID_HEADER", "/steps/0/headers/a b": "INVALID_HEADER"}),
        ({"do": "http_request", "url": "https://x.example", "headers": {"X-Key": "y"}, "secret_headers": {"x-key": {"secret": "a"}}},
         {"/steps/0/secret_headers/x-key": "INVALID_HEADER"}),
    ],
)  # fmt: skip
def test_what_a_step_cannot_mean(step: dict[str, Any], expected: dict[str, str]) -> None:
    assert errors(flow(step)) == expected


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        ({"on": "schedule", "cron": "x", "zone": "y"}, {"/trigger/cron": "INVALID_SCHEDULE", "/trigger/zone": "UNKNOWN_ZONE"}),
        ({"on": "schedule", "cron": "0 0 30 2 *"}, {"/trigger/cron": "INVALID_SCHEDULE"}),
        ({"on": "hook", "signature": {"header": "X Sig"}}, {"/trigger/signature/header": "INVALID_VALUE"}),
        ({"on": "event", "types": ["record.change", "custom.*"], "connections": ["crm"], "entities": ["part"]},
         {"/trigger/types/0": "UNKNOWN_EVENT_TYPE", "/trigger/connections/0": "UNKNOWN_CONNECTION", "/trigger/entities/0": "UNKNOWN_ENTITY"}),
        ({"on": "event", "types": ["record.updated"], "filter": "record.x"}, {"/trigger/filter": "UNKNOWN_NAME"}),
        ({"on": "event", "types": ["record.updated"], "filter": "trigger.("}, {"/trigger/filter": "EXPRESSION_INVALID"}),
    ],
)  # fmt: skip
def test_what_a_trigger_cannot_mean(trigger: dict[str, Any], expected: dict[str, str]) -> None:
    assert errors(flow({}, trigger=trigger)) == expected


def test_the_triggers_own_connection_needs_an_event() -> None:
    own = {"source": {"of_trigger": True}}
    by_event = {"on": "event", "types": ["record.updated"]}

    assert errors(flow({}, connections=own)) == {"/connections/source/of_trigger": "NO_TRIGGER_CONNECTION"}
    assert read_definition(flow({}, connections=own, trigger=by_event))
    circular = {**by_event, "connections": ["source"]}
    assert errors(flow({}, connections=own, trigger=circular)) == {"/trigger/connections/0": "INVALID_VALUE"}


def test_event_types_are_those_of_the_feed() -> None:
    assert {str(kind) for kind in EventType} == EVENT_TYPES
    for name in [
        "record.updated",
        "custom.*",
        "custom.a.b",
        "custom.",
        "custom.A",
        "custom." + "a" * 60,
        "record.*",
        "x",
    ]:
        assert is_choice_of_types(name) == is_choice_of_feed(name), name


@pytest.mark.parametrize("entity", ENTITIES)
def test_filters_are_those_of_the_api(entity: str) -> None:
    assert set(filters_of(entity)) == set(filters_of_handler(entity))


# --- anything ---------------------------------------------------------------------------------------------------------

_KEYS = st.sampled_from(
    [
        "trigger",
        "steps",
        "on",
        "do",
        "name",
        "value",
        "then",
        "if",
        "on_error",
        "retry",
        "$",
        "types",
        "where",
        "key",
        "x/~",
    ]
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["event", "map", "condition", "api", "wait", "fail", "a", "("]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=300)
@given(_VALUES | st.fixed_dictionaries({"trigger": _VALUES, "steps": st.lists(_VALUES, max_size=3)}))
def test_anything_is_read_or_refused_with_pointers_that_lead_somewhere(data: Any) -> None:
    for error in found_in(data):
        leads_to_a_place(data, error.pointer)


def found_in(data: Any) -> tuple[FieldError, ...]:
    try:
        read_definition(data)
    except ValidationFailedError as error:
        return error.errors or (FieldError("/nowhere/at all", "", ""),)
    return ()


def leads_to_a_place(data: Any, pointer: str) -> None:
    """All of it but its last part must be there."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    for part in parts[:-1]:
        data = data[int(part)] if isinstance(data, list) else data[part]
    assert not parts or isinstance(data, dict | list)
