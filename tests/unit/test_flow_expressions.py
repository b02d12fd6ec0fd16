"""Expressions of flows: what is accepted, what templates are, what comes out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ValidationFailedError
from flows.expressions import ExpressionError, check_expression, check_template, is_true, matches, render
from flows.expressions.pool import POOL

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda key: key not in ("$", "$literal")), inner),
    max_leaves=30,
)


def code_of(expression: str, context: Any = None) -> str:
    with pytest.raises(ExpressionError) as caught:
        render({"$": expression}, {} if context is None else context)
    return caught.value.code


# --- what is accepted -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "trigger.record.id",
        "steps.stock.records[?on_hand == '0'].{id: id, vendor: vendor.id} | [0:10]",
        "join(' ', [a, b, c, d, e, f]) || not_null(g, h, 'none')",
        "a || b || c || d || e || f || g || h || i || j || k || l",
        "sort_by(lines, &to_number(price))[-1]",
        "add(multiply(a, b), divide(subtract(c, d), e, `2`))",
        "@",
    ],
)
def test_everyday_expression_is_accepted(text: str) -> None:
    check_expression(text, "/steps/0/when")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "EXPRESSION_INVALID"),
        ("   ", "EXPRESSION_INVALID"),
        ("a.", "EXPRESSION_INVALID"),
        ("a b", "EXPRESSION_INVALID"),
        ("a" * 1001, "EXPRESSION_TOO_LONG"),
        ("(" * 61 + "a" + ")" * 61, "EXPRESSION_TOO_DEEP"),
        ("!" * 900 + "a", "EXPRESSION_TOO_DEEP"),
        ("& " * 400 + "a", "EXPRESSION_TOO_DEEP"),
        ("[@,@]|" * 24 + "to_string(@)", "EXPRESSION_TOO_DEEP"),
        (".".join("a" * 400), "EXPRESSION_TOO_DEEP"),
        ("||".join("a" * 60), "EXPRESSION_TOO_DEEP"),
        ("now()", "EXPRESSION_FUNCTION"),
        ("eval('1')", "EXPRESSION_FUNCTION"),
        ("add(`1`)", "EXPRESSION_INVALID"),
        ("add(`1`, `2`, `3`)", "EXPRESSION_INVALID"),
        ("round()", "EXPRESSION_INVALID"),
        ("merge()", "EXPRESSION_INVALID"),
        ("sort_by(a, b)", "EXPRESSION_INVALID"),
        ("to_string(&a)", "EXPRESSION_INVALID"),
        ("[&a]", "EXPRESSION_INVALID"),
        ("&a", "EXPRESSION_INVALID"),
        ("`NaN`", "EXPRESSION_INVALID"),
        ("`[1e999]`", "EXPRESSION_INVALID"),
        ("`-Infinity`", "EXPRESSION_INVALID"),
        ("`99999999999999999999`", "EXPRESSION_INVALID"),
        ('`"\\u0000"`', "EXPRESSION_INVALID"),
        ('`"\\ud800"`', "EXPRESSION_INVALID"),
        ('{"\\ud800": a}', "EXPRESSION_INVALID"),
        ("'\ud800'", "EXPRESSION_INVALID"),
        ("'\x00'", "EXPRESSION_INVALID"),
        ("!a.b", "EXPRESSION_INVALID"),
        ("!a[?b]", "EXPRESSION_INVALID"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_when_it_is_saved(text: str, code: str) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        check_expression(text, "/steps/0/when")
    assert [(error.pointer, error.code) for error in caught.value.errors] == [("/steps/0/when", code)]
    caught.value.detail.encode()
    assert code_of(text) == code, "and once more before it is evaluated"


def test_template_is_checked_whole_and_each_error_named() -> None:
    body = {
        "good": {"$": "trigger.id"},
        "lines": [{"price": {"$": "add(a)"}}, {"$": "x", "y": 1}, {"$": 4}],
        "a/b": {"$": "a."},
        "data": {"$literal": {"$": "a."}},
        "both": {"$literal": 1, "x": 2},
    }
    with pytest.raises(ValidationFailedError) as caught:
        check_template(body, "/steps/2/body")
    assert [error.pointer for error in caught.value.errors] == [
        "/steps/2/body/lines/0/price/$",
        "/steps/2/body/lines/1",
        "/steps/2/body/lines/2",
        "/steps/2/body/a~1b/$",
        "/steps/2/body/both",
    ]
    check_template({"x": [{"$": "trigger.id"}], "$schema": "plain"}, "/body")


# --- templates --------------------------------------------------------------------------------------------------------


@given(JSON)
@settings(max_examples=100, deadline=None)
def test_template_without_expressions_stays_as_it_is_and_needs_no_process(template: Any) -> None:
    POOL.close()
    assert render(template, {}) == template
    assert render({"$literal": template}, {}) == template
    assert POOL.pids() == []


@given(st.dictionaries(st.sampled_from("abcdef"), JSON, min_size=1))
@settings(max_examples=100, deadline=None)
def test_values_come_as_they_are(context: dict[str, Any]) -> None:
    clean = "\\u0000" not in str(context).encode("unicode_escape").decode() and "\\x00" not in repr(context)
    template = {name: [{"$": name}] for name in context}
    if clean:
        assert render(template, context) == {name: [value] for name, value in context.items()}
    else:
        with pytest.raises(ExpressionError, match="NUL"):
            render(template, context)


def test_error_names_the_place_in_the_template_and_the_reason() -> None:
    with pytest.raises(ExpressionError) as caught:
        render({"lines": [{"$": "a"}, {"price": {"$": "add(a, b)"}}]}, {"a": 1})
    assert caught.value.detail == (
        "The expression `add(a, b)` gives no value: add() takes number or string as argument 2, not null."
    )
    assert [(error.pointer, error.code) for error in caught.value.errors] == [("/lines/1/price/$", "EXPRESSION_FAILED")]
    assert not caught.value.retryable


@pytest.mark.parametrize("template", [{"$": "a", "b": 1}, {"$": None}, [{"$literal": 1, "$": "a"}]])
def test_what_is_no_template_is_refused(template: Any) -> None:
    with pytest.raises(ExpressionError, match="no other keys") as caught:
        render(template, {"a": 1})
    assert caught.value.code == "EXPRESSION_INVALID"


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        (None, False),
        (False, False),
        ("", False),
        ([], False),
        ({}, False),
        (0, True),
        (0.0, True),
        (True, True),
        ("0", True),
    ],
)
def test_truth_is_that_of_jmespath(value: Any, truth: bool) -> None:
    assert is_true(value) is truth
    assert matches("a", [{"a": value}]) == [truth]
    assert render({"$": "a && 'yes'"}, {"a": value}) == ("yes" if truth else value)


def test_many_contexts_are_judged_each_on_its_own() -> None:
    contexts: list[dict[str, Any]] = [{"a": "1"}, {"a": None}, {"a": "3"}, {"a": "\ud800"}, {"a": "x" * 2_200_000}]
    yes, no_value, no, no_text, too_large = matches("compare(a, '2') < `0`", contexts)
    assert (yes, no) == (True, False)
    codes = [error.code for error in (no_value, no_text, too_large) if isinstance(error, ExpressionError)]
    assert codes == ["EXPRESSION_FAILED", "EXPRESSION_FAILED", "CONTEXT_TOO_LARGE"]
    assert matches("a", []) == []
    assert matches("a == `5`", [{"a": index, "filler": "x" * 100_000} for index in range(60)]).index(True) == 5


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("multiply('1e1000000', '2')", "decimals as text"),
        ("multiply('1e999', '1e999')", "60 digits"),
        ("add('1e-999', '1')", "60 digits"),
        ("round('1e60', `21`)", "0 to 20 places"),
        ("round('1', `-5`)", "0 to 20 places"),
        ("add('9999999999999999999999999999999999999999999999999999999999999', '1')", "60 digits"),
        ("add('nan', '1')", "decimals as text"),
        ("add('Infinity', '1')", "decimals as text"),
        ("add('1_0', '1')", "decimals as text"),
        ("add('٣', '1')", "decimals as text"),
        ("add('', '1')", "decimals as text"),
        ("total([`true`])", "true or false"),
        ("total([`null`])", "not null"),
        ("sum([`1e308`, `1e308`])", "too large"),
        ("[`9223372036854775807`] | sum([@[0], @[0]])", "64 bits"),
        ("`1` < 'a'", "different types"),
        ("max_by([{a: 'x'}, {a: `1`}], &a)", "different types"),
        ("contains('abc', `5`)", "different types"),
        ("a[::0]", "slice"),
        ("add_days('2026-02-30', `1`)", "not in the calendar"),
        ("add_days('2026-02-20', `99999999`)", "out of the calendar"),
        ("add_seconds('2026-02-20T00:00:00Z', '1e50')", "out of the calendar"),
        ("add_seconds('2026-02-20T00:00:00', `1`)", "takes times such as"),
        ("date_of('0001-01-01T00:00:00Z', 'America/New_York')", "not in the calendar"),
        ("date_of('2026-02-20', 'Mars/Base')", "time zone"),
        ("date_of('2026-02-20', '../../etc/passwd')", "time zone"),
        ("date_of('2026-02-20', 'Europe')", "time zone"),
        ("split('a', '')", "separator"),
        ("replace('a', '', 'b')", "to look for"),
        ("substring('abc', `0`, `-1`)", "whole numbers"),
        ("substring('abc', `0.5`)", "whole numbers"),
        ("pad_left('a', `1000000000`)", "0 to 1000"),
        ("pad_left('a', `5`, 'ab')", "one character"),
        ("join('', [`1`])", "texts only"),
        ("group_by(`[{}]`, &a)", "text as keys"),
        ("from_items(`[[1, 2]]`)", "text as keys"),
        ('from_items(`[["a"]]`)', "pairs"),
        ("zip(`[1]`, `[1]`, `1`)", "arrays only"),
        ('sort(`[1, "a"]`)', "sort() takes"),
    ],
)
def test_function_says_what_it_does_not_take(expression: str, reason: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        render({"$": expression}, {"a": [1, 2]})
    assert caught.value.code == "EXPRESSION_FAILED" and reason in caught.value.detail


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("multiply('-1', '0')", "0"),
        ("round('-0.001', `2`)", "0.00"),
        ("add(`0.1`, '0.20')", "0.30"),
        ("multiply(`9007199254740993`, `1`)", 9007199254740992.0),
        ("divide('1', '8', `0`)", "0"),
        ("divide('100', '10')", "10"),
        ("to_number('nan')", None),
        ("to_number('1e999')", None),
        ("to_number('1_000')", None),
        ("to_number('007')", 7),
        ("substring('abc', `-9`, `2`)", "ab"),
        ('unique(`[1, 1.0, true, "1", {"a": 1, "b": 2}, {"b": 2, "a": 1}]`)', [1, 1.0, True, "1", {"a": 1, "b": 2}]),
        ("format_date('0099-02-03', 'YYYY/YY')", "0099/99"),
        ("date_of('2026-03-29T00:59:59Z', 'Europe/Berlin')", "2026-03-29"),
        ("format_date('2026-03-29T01:00:00Z', 'hh:mm', 'Europe/Berlin')", "03:00"),
        ("add_seconds('2026-01-01T00:00:00.5Z', '0.25')", "2026-01-01T00:00:00.750000Z"),
        ("to_string('ä')", "ä"),
        ("to_string([`1.5`, 'ä'])", '[1.5,"ä"]'),
    ],
)
def test_edges_of_functions(expression: str, value: Any) -> None:
    assert render({"$": expression}, {}) == value


def test_decimals_of_the_context_are_text() -> None:
    assert render({"$": "add(price, '1')"}, {"price": Decimal("2.50")}) == "3.50"
