"""Expressions that are meant to do harm end in a clear error, soon and in little memory, and the next one works."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest

from flows.expressions import ExpressionError, HelperUnavailableError, matches, render
from flows.expressions import helper as helpers
from flows.expressions.pool import POOL
from tests.helper_processes import MOST_BYTES, peak_bytes, watched

SLOW, LARGE = "EXPRESSION_TOO_SLOW", "EXPRESSION_TOO_LARGE"
# One second, and what a machine with other work adds.
SOON_SECONDS = 5.0

_CHANCE = random.Random(1)
BIG = {
    "n": [_CHANCE.random() for _ in range(80_000)],
    "t": "ab," * 160_000,
}


SPLIT = "split(t,',')"


def many(part: str, count: int) -> str:
    return ",".join([part] * count)


def deep(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


# What each does, in about a second of an ordinary machine: the codes it may end with; None where it may succeed.
# On a busy machine each may be too slow.
HOSTILE: dict[str, tuple[str, set[str | None]]] = {
    "doubling": ("[@,@]|" * 15 + "to_string(@)", {LARGE}),
    "doubling result": ("n|" + "[@,@]|" * 14 + "@", {LARGE}),
    "doubling with map": ("map(&[@,@],map(&[@,@],map(&[@,@],map(&[@,@],map(&[@,@],n)))))", {LARGE}),
    "multi-selects": ("map(&[[@,@],[@,@],[@,@],[@,@],[@,@]],n)|map(&{a:@,b:[@,@]},@)", {LARGE}),
    "join doubled": ("[t,t]|" + "join('',@)|[@,@]|" * 7 + "@", {LARGE}),
    "sorting": (f"[{many('n', 200)}]|[@,@][]|length(map(&length(sort(@)),@))", {SLOW}),
    "sorting by": (f"length(map(&length(sort_by(@,&@)),[{many('n', 60)}]))", {SLOW}),
    "to_string": ("map(&to_string(@),[n,n,n])", {LARGE}),
    "to_string often": (f"length(map(&to_string(@),[{many('t', 200)}]))", {None}),
    "capitals": (f"[{many('t', 200)}]|[@,@,@][]|map(&upper(@),@)", {LARGE}),
    "splitting": (f"length([{many(SPLIT, 40)}])", {LARGE}),
    "replacing": ("replace(replace(replace(t,'a',t),'b',t),'a',t)", {LARGE}),
    "replacing within": ("replace(t,',','xxxxxxxxxxxxxxxxxxxxxxxxxx')", {LARGE}),
    "padding": (f"length(map(&pad_left(@,`1000`),[{many(SPLIT, 9)}][]))", {LARGE}),
    "grouping": ("group_by(n,&to_string(@))", {LARGE}),
    "grouping nested": (f"length(map(&group_by(@,&to_string(@)),[{many('n', 20)}]))", {LARGE}),
    "uniqueness": (f"length(map(&unique(@),[{many('n', 200)}]))", {LARGE}),
    "nested maps": (
        "[[[[[[n,n],n],n],n],n],n]|map(&map(&map(&map(&map(&map(&[@,@],@),@),@),@),@),@)",
        {"EXPRESSION_FAILED"},
    ),
    "pairs": ("zip(n,n,n)|from_items([].[to_string(@),@])|items(@)", {LARGE}),
    "arithmetic": (f"length(map(&multiply(@,'1.000000000000000000001'),[{many('n', 20)}][]))", {LARGE}),
    "filters": (f"length([{many('n[?@>`0`][?@>`0`]', 25)}])", {LARGE}),
    "equality": (f"[{many('n', 200)}]|[@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@][]|length([?contains(@,`7`)])", {SLOW}),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_expression_ends_in_a_clear_error_soon_and_in_little_memory(kind: str) -> None:
    expression, codes = HOSTILE[kind]
    render({"$": "a"}, {})
    with watched():
        begun = time.monotonic()
        code, detail = end_of({"$": expression}, BIG)
        took = time.monotonic() - begun
    assert code in codes | {SLOW}, detail
    assert code is None or (detail.startswith("The expression `") and len(detail) < 700)
    assert took < SOON_SECONDS
    assert render({"$": "add(a, '1')"}, {"a": "1"}) == "2", "the next one works"


def test_hostile_contexts_end_in_a_clear_error() -> None:
    assert code({"a": "x" * 3_000_000}) == "CONTEXT_TOO_LARGE"
    assert code({"a": deep(300)}) == "EXPRESSION_FAILED"
    assert code({"a": "\ud800"}) == "EXPRESSION_FAILED"
    assert code({"\ud800": 1}) == "EXPRESSION_FAILED"
    assert code({"a": "\x00"}) == "EXPRESSION_FAILED"
    assert code({"a": object()}) == "EXPRESSION_FAILED"
    assert code({"a": "x" * 300_000}) == LARGE
    assert code({"a": 10**30}) is None
    assert code({"a": float("inf")}) is None, "which JSON has no word for: null, as everywhere"
    assert render({"$": "a"}, {"a": deep(100)}) == deep(100)


def test_context_of_the_largest_size_is_looked_into_within_the_bounds() -> None:
    large: tuple[Any, ...] = (
        [[]] * 690_000,
        [{}] * 690_000,
        [1.5] * 500_000,
        ["ä"] * 400_000,
        {str(n): n for n in range(130_000)},
    )
    for data in large:
        with watched():
            assert render({"$": "length(a)"}, {"a": data}) == len(data)


def code(context: Any) -> str | None:
    return end_of({"$": "a"}, context)[0]


def end_of(template: Any, context: Any) -> tuple[str | None, str]:
    """Code and detail of the error; None where there is a value, which is JSON."""
    try:
        json.dumps(render(template, context), allow_nan=False)
    except ExpressionError as error:
        return error.code, error.detail
    return None, ""


def test_results_are_bounded_together() -> None:
    part = {"a": "x" * 100_000}
    assert len(render([{"$": "a"}] * 2, part)) == 2
    with pytest.raises(ExpressionError, match="256 KiB") as caught:
        render([{"$": "a"}] * 3, part)
    assert (caught.value.code, caught.value.errors[0].pointer) == (LARGE, "/2/$")


def test_one_slow_context_does_not_harm_the_others() -> None:
    slow, _ = HOSTILE["sorting"]
    results = matches(f"a == `1` || ({slow})", [{"a": 1}, BIG, {"a": 1}])
    assert (results[0], results[2]) == (True, True)
    assert isinstance(results[1], ExpressionError) and results[1].code in (SLOW, LARGE)


def test_after_three_slow_contexts_the_rest_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "SECONDS", 0.1)
    monkeypatch.setattr("flows.expressions.asking.STARVED_SECONDS", 0.0)
    begun = time.monotonic()
    results = matches(HOSTILE["sorting"][0], [BIG] * 40)
    assert {error.code for error in results if isinstance(error, ExpressionError)} == {SLOW} and len(results) == 40
    assert time.monotonic() - begun < 10


def test_helper_is_not_the_same_after_it_ran_out_of_memory() -> None:
    bomb, _ = HOSTILE["capitals"]
    render({"$": "a"}, {})
    before = POOL.pids()
    with pytest.raises(ExpressionError):
        render({"$": bomb}, BIG)
    assert render({"$": "a"}, {"a": 1}) == 1
    assert not set(before) & set(POOL.pids())
    assert all(peak_bytes(pid) < MOST_BYTES / 4 for pid in POOL.pids())


def test_machine_that_cannot_start_a_process_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    POOL.close()
    monkeypatch.setattr(helpers, "_COMMAND", ["/nowhere/python"])
    with pytest.raises(HelperUnavailableError) as caught:
        render({"$": "a"}, {})
    assert caught.value.retryable
    monkeypatch.setattr(helpers, "_COMMAND", ["/bin/false"])
    with pytest.raises(HelperUnavailableError):
        render({"$": "a"}, {})
    monkeypatch.undo()
    assert render({"$": "a"}, {"a": 2}) == 2
