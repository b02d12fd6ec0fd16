"""The guide to expressions: every example in it is run, and no function is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flows.expressions import ExpressionError, render
from flows.expressions.language import FLOWS
from tests.documents import code_of, text_of

PAGE = "docs/guides/expressions.md"


def examples(language: str) -> list[tuple[str, str]]:
    lines = (line for block in code_of(PAGE, language) for line in block.splitlines() if line.strip())
    return [(left.strip(), right.strip()) for left, right in (line.rsplit("->", 1) for line in lines)]


@pytest.fixture(scope="module")
def context() -> Any:
    (shown,) = code_of(PAGE, "json")
    return json.loads(shown)


@pytest.mark.parametrize(("expression", "shown"), examples("expressions"))
def test_expression_of_the_guide_gives_what_the_guide_says(expression: str, shown: str, context: Any) -> None:
    if shown.startswith("error: "):
        with pytest.raises(ExpressionError) as caught:
            render({"$": expression}, context)
        assert caught.value.errors[0].detail == shown.removeprefix("error: ")
    else:
        assert json.dumps(render({"$": expression}, context)) == json.dumps(json.loads(shown)), "1 and 1.0 differ"


@pytest.mark.parametrize(("template", "shown"), examples("template"))
def test_template_of_the_guide_gives_what_the_guide_says(template: str, shown: str, context: Any) -> None:
    assert render(json.loads(template), context) == json.loads(shown)


def test_every_function_has_an_example() -> None:
    shown = " ".join(left for left, _ in examples("expressions"))
    assert FLOWS.functions - set(re.findall(r"(\w+)\(", shown)) == set()


def test_limits_of_the_guide_are_those_of_the_language() -> None:
    told = text_of(Path(PAGE))
    assert f"{FLOWS.length} characters, {FLOWS.nodes} parts, {FLOWS.depth} levels, {FLOWS.pipes} pipes" in told
    assert f"{FLOWS.brackets} opening brackets" in told
