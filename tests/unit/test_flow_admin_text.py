"""Definitions as text, and flows in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flows.admin.definition_text import as_text, check_text, diff, line_of
from flows.admin.making import EMPTY_DEFINITION
from flows.admin.snippets import snippets
from flows.admin.words import states_of, trigger_words
from flows.definitions.checking import read_definition

TEXT = """{
  "a/b": [1, {"x": "has } and , and : in it"},
    {"~": {
      "deep": [[], {}, null]}}],
  "last": true
}"""


@pytest.mark.parametrize(
    ("pointer", "line"),
    [
        ("", 1),
        ("/a~1b", 2),
        ("/a~1b/1/x", 2),
        ("/a~1b/2", 3),
        ("/a~1b/2/~0/deep", 4),
        ("/a~1b/2/~0/deep/2", 4),
        ("/last", 5),
        ("/a~1b/2/not/there", 3),
        ("/gone", 1),
    ],
)
def test_line_of_a_pointer(pointer: str, line: int) -> None:
    assert line_of(TEXT, pointer) == line


def test_text_reads_from_the_top_and_says_the_same() -> None:
    stored = dict(sorted({**EMPTY_DEFINITION, "connections": {}, "title": "T"}.items(), key=lambda each: len(each[0])))
    text = as_text(stored)
    assert json.loads(text) == stored
    assert list(json.loads(text)) == ["format", "title", "connections", "trigger", "steps", "example"]
    assert list(json.loads(text)["steps"][0]) == ["name", "do", "value"]


def test_fault_of_the_schema_and_of_the_json() -> None:
    definition, faults = check_text(json.dumps(EMPTY_DEFINITION, indent=2))
    assert definition is not None and faults == []
    for text, line in (('{\n "format": 1\n "trigger": 2}', 3), ("", 0), ("[1]", 0), ('{"a": 1,\n"a": 2}', 0)):
        definition, (fault, *_) = check_text(text)
        assert definition is None and fault.line == line and fault.detail and "body" not in fault.detail


def test_diff_shows_the_lines_that_change() -> None:
    assert diff(EMPTY_DEFINITION, dict(reversed(EMPTY_DEFINITION.items()))) == []
    lines = diff(EMPTY_DEFINITION, {**EMPTY_DEFINITION, "title": "New"})
    assert [line.text for line in lines if line.kind == "added"] == ['+  "title": "New",']
    assert not [line for line in lines if line.kind == "removed"]


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (None, "nothing yet"),
        ({"on": "schedule", "cron": "0 6 * * *", "zone": "Europe/Berlin"}, "At 06:00 every day, Europe/Berlin"),
        (
            {"on": "event", "types": ["record.created", "record.updated"], "entities": ["purchase_order"]},
            "When purchase orders appear or change",
        ),
        (
            {"on": "event", "types": ["record.updated", "custom.*"], "filter": "x"},
            "When records that fit its filter change or custom.* is told",
        ),
        (
            {"on": "event", "types": ["operation.failed"], "filter": "x"},
            "When operation.failed is told that fit its filter",
        ),
        ({"on": "hook"}, "When a message comes to its address"),
        ({"on": "hook", "signature": {"header": "X"}}, "When a signed message comes"),
        ({"on": "manual"}, "By API or by hand"),
    ],
)
def test_trigger_in_words(trigger: Any, words: str) -> None:
    assert trigger_words(trigger) == words


def test_states() -> None:
    assert [text for text, _ in states_of(None, is_paused=True, has_changes=True)] == ["Draft", "Paused"]
    assert [text for text, _ in states_of(3, is_paused=False, has_changes=True)] == [
        "Published v3",
        "Unpublished changes",
    ]


@pytest.mark.parametrize("snippet", snippets(), ids=lambda snippet: snippet["do"])
def test_every_snippet_is_a_step_that_can_be_saved(snippet: dict[str, str]) -> None:
    step = json.loads(snippet["text"])
    assert step["do"] == snippet["do"] and snippet["told"]
    needs = {"connections": {"erp": {"system": "tryton"}}} if "connection" in step else {}
    read_definition({**EMPTY_DEFINITION, **needs, "steps": [step]})
