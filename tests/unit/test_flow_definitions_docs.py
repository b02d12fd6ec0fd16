"""The published schema and the guide say what the code takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from core.errors import ValidationFailedError
from flows.definitions import model
from flows.definitions.checking import read_definition
from flows.definitions.ready import READY
from flows.definitions.schema import PAGE, json_schema, render
from tests.documents import code_of, text_of

GUIDE = "docs/guides/flow-definitions.md"
SCHEMA = Draft202012Validator(json_schema())
STEPS, TRIGGERS = (get_args(get_args(union)[0]) for union in (model.Step, model.Trigger))
PARTS = [*STEPS, *TRIGGERS, model.Definition, model.ConnectionSlot, model.HookSignature, model.Queue, model.Retry]
# What examples of single steps refer to.
BEFORE = [{"name": "order", "do": "map", "value": {}}]


def as_definition(example: dict[str, Any]) -> dict[str, Any]:
    """An example as it would stand in a whole flow."""
    whole: dict[str, Any] = {"connections": {"erp": {}, "cmms": {}}, "trigger": {"on": "manual"}, "steps": BEFORE}
    if "on" in example:
        return {**whole, "trigger": example}
    if "do" not in example:
        return {**whole, **example}
    return {**whole, "steps": [example] if example["name"] == "order" else [*BEFORE, example]}


def test_the_published_schema_is_that_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "Render again: python -m flows.definitions.schema"
    Draft202012Validator.check_schema(json_schema())
    assert json_schema()["title"] == "Lineshaft flow definition" and "$id" not in json_schema()


@pytest.mark.parametrize("example", code_of(GUIDE, "json"))
def test_each_example_of_the_guide_is_well(example: str) -> None:
    definition = as_definition(json.loads(example))

    read_definition(definition)
    assert list(SCHEMA.iter_errors(definition)) == []


@pytest.mark.parametrize("ready", READY.values(), ids=READY)
def test_the_schema_takes_the_ready_flows(ready: Any) -> None:
    assert list(SCHEMA.iter_errors(ready.definition)) == []
    assert f"`{ready.slug}`" in text_of(Path(GUIDE))


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_the_guide_tells_every_member(part: type[BaseModel]) -> None:
    guide = text_of(Path(GUIDE))

    assert [name for name, info in part.model_fields.items() if f"`{info.alias or name}`" not in guide] == []


def test_the_guide_shows_every_kind_of_step_and_trigger() -> None:
    shown = [json.loads(example) for example in code_of(GUIDE, "json")]
    kinds = {kind for step in STEPS for kind in get_args(step.model_fields["do"].annotation)}

    assert kinds == {one["do"] for one in shown if "do" in one}
    assert {one["on"] for one in shown if "on" in one} == {"schedule", "event", "hook", "api"}
    assert [kind for kind in kinds if f"### {kind}\n" not in text_of(Path(GUIDE))] == []


@pytest.mark.parametrize(
    "change",
    [
        {"trigger": {"on": "evnt"}},
        {"trigger": {"on": "schedule"}},
        {"connections": {"A b": {}}},
        {"connections": {"a": {"titel": ""}}},
        {"steps": []},
        {"steps": [{"name": "a", "do": "map"}]},
        {"steps": [{"name": "a", "do": "map", "value": 1, "bad": 1}]},
        {"steps": [{"name": "A", "do": "map", "value": 1}]},
        {"steps": [{"name": "a", "do": "get_record", "connection": "erp", "entity": "vendors", "id": 1}]},
        {"steps": [{"name": "a", "do": "map", "value": 1, "on_error": "ignore"}]},
        {"steps": [{"name": "a", "do": "map", "value": 1, "retry": {"attempts": 0}}]},
        {"steps": [{"name": "a", "do": "condition", "if": "x", "then": [{"name": "b"}]}]},
        {"steps": [{"name": "a", "do": "emit", "type": "order.late"}]},
        {"queue": {"limit": 101}},
        {"format": 2},
    ],
    ids=str,
)
def test_the_schema_and_the_code_refuse_the_same_forms(change: dict[str, Any]) -> None:
    definition = {**as_definition({}), **change}

    assert list(SCHEMA.iter_errors(definition))
    with pytest.raises(ValidationFailedError):
        read_definition(definition)
