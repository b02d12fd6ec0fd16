"""Request bodies: what is read, what is refused, and that nothing else can happen."""

import contextlib
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ValidationFailedError
from core.json import InvalidJsonError, RawJson, dumps, loads_strict, pointer

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # No NUL and no surrogates: those are refused on purpose.
    | st.text(st.characters(exclude_characters="\0", codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_characters="\0", codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=20,
)
FRAGMENTS = st.sampled_from(
    [b"[", b"]", b"{", b"}", b'"', b":", b",", b"\\", b"\\u0000", b"\\ud800", b"1", b"-", b"e9", b"NaN", b"Infinity",
     b"null", b" ", b"\xff", b"\xef\xbb\xbf", b'"a":', b"0" * 500, b"9" * 30, b"1e999", b"\x00", b"//"]
)  # fmt: skip


@given(JSON_VALUES, st.booleans())
def test_every_plain_value_comes_back_as_it_was_sent(value, ascii_only):
    assert loads_strict(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@settings(max_examples=400)
@given(st.binary(max_size=200) | st.lists(FRAGMENTS, max_size=40).map(b"".join))
def test_hostile_bytes_give_a_value_that_can_be_rendered_or_our_refusal(data):
    with contextlib.suppress(InvalidJsonError):
        value = loads_strict(data)
        assert json.loads(dumps(value)) == value


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b" \n", "empty", id="blank"),
        pytest.param(b'{"a": 1, "a": 1}', 'key "a" stands twice', id="duplicate"),
        pytest.param(b'{"x": {"a": 1, "\\u0061": 2}}', 'key "a" stands twice', id="duplicate-by-escape"),
        pytest.param(b"[NaN]", "NaN", id="nan"),
        pytest.param(b"[-Infinity]", "-Infinity", id="infinity"),
        pytest.param(b"1e999", "too large", id="float-overflow"),
        pytest.param(b"9223372036854775808", "64 bits", id="integer-overflow"),
        pytest.param(b"1" * 5000, "5000 characters", id="long-number"),
        pytest.param(b"0." + b"1" * 5000, "5002 characters", id="long-float"),
        pytest.param(b'"a\\u0000b"', "NUL", id="nul"),
        pytest.param(b'"a\x00b"', "byte 2", id="raw-nul"),
        pytest.param(b'"\\ud83d"', "surrogates", id="lone-surrogate"),
        pytest.param(b'"\xed\xa0\x80"', "UTF-8 at byte 1", id="surrogate-in-utf-8"),
        pytest.param(b'["\xff"]', "UTF-8 at byte 2", id="not-utf-8"),
        pytest.param("\ufeff{}".encode(), "BOM", id="bom"),
        pytest.param('{"ä": }'.encode(), "byte 7", id="position-in-bytes"),
        pytest.param(b"{} {}", "byte 3", id="two-values"),
        pytest.param(b"{'a': 1}", "byte 1", id="single-quotes"),
        pytest.param(b"[" * 65 + b"]" * 65, "deeper than 64 levels at byte 64", id="deep-array"),
        pytest.param(b'{"a":' * 100_000, "deeper than 64", id="very-deep-object"),
        pytest.param(b"[" * 1_000_000, "deeper than 64", id="bracket-bomb"),
    ],
)
def test_loads_strict_refuses(data, words):
    with pytest.raises(ValidationFailedError) as caught:
        loads_strict(data)
    assert caught.value.code == "INVALID_JSON"
    assert words in caught.value.detail


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b'{"lines": [{"note": "\\u0000"}]}', "/lines/0/note"),
        (b'{"a/b": {"c~d": "\\udfff"}}', "/a~1b/c~0d"),
        (b'{"lines": [{"\\u0000": 1}]}', "/lines/0"),
    ],
)
def test_a_character_that_cannot_be_stored_is_named_by_pointer(data, where):
    with pytest.raises(ValidationFailedError) as caught:
        loads_strict(data)
    assert [(error.pointer, error.code) for error in caught.value.errors] == [(where, "INVALID_CHARACTER")]


def test_brackets_inside_strings_do_not_count_as_depth():
    assert loads_strict(json.dumps("[" * 500 + '\\"' + "{" * 500).encode()) == "[" * 500 + '\\"' + "{" * 500
    assert loads_strict(b"[" * 64 + b"]" * 64)


def test_a_body_of_one_byte_too_many_is_refused_by_its_own_code():
    assert loads_strict(b"[1]", max_bytes=3) == [1]
    with pytest.raises(ValidationFailedError) as caught:
        loads_strict(b"[1] ", max_bytes=3)
    assert caught.value.code == "BODY_TOO_LARGE"


def test_unfinished_strings_are_scanned_in_linear_time():
    with pytest.raises(ValidationFailedError):
        loads_strict(b'"\\"' + b'\\"' * 500_000)


def test_dumps_renders_the_promised_forms():
    value = {
        "amount": Decimal("1E+3"),
        "quantity": Decimal("12.50"),
        "at": datetime(2026, 3, 1, 10, tzinfo=timezone(timedelta(hours=2))),
        "exact": datetime(2026, 3, 1, 8, 0, 0, 120, tzinfo=UTC),
        "day": date(2026, 3, 1),
        "id": UUID(int=7),
        "raw": [RawJson('{"already":"json"}'), RawJson(b"1.0")],
        "text": "ä",
    }
    assert dumps(value) == (
        '{"amount":"1000","quantity":"12.50","at":"2026-03-01T08:00:00Z","exact":"2026-03-01T08:00:00.000120Z",'
        '"day":"2026-03-01","id":"00000000-0000-0000-0000-000000000007","raw":[{"already":"json"},1.0],"text":"ä"}'
    )


def test_dumps_spells_out_integers_that_a_database_made_of_floats():
    """1e30 comes back from a jsonb column as an integer."""
    value = {"metadata": [10**30, -(10**30), 2**64 - 1, True, 7], "raw": RawJson("[1]"), "at": Decimal("1.0")}
    digits = "1" + "0" * 30
    assert dumps(value) == f'{{"metadata":[{digits},-{digits},{2**64 - 1},true,7],"raw":[1],"at":"1.0"}}'


@pytest.mark.parametrize("value", [datetime(2026, 3, 1), Decimal("NaN"), object()], ids=["time", "nan", "object"])
def test_dumps_refuses_what_has_no_json_form(value):
    with pytest.raises(TypeError):
        dumps([value])


def test_pointer_escapes_its_parts():
    assert pointer("lines", 0, "a/b~c") == "/lines/0/a~1b~0c"
