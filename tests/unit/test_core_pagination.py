"""Cursors continue their own list only; query parameters are known, single and well-formed, or 400 by name."""

from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from core import ids, pagination
from core.api_errors import BadRequestError
from core.pagination import decode_cursor, encode_cursor

AT, ROW = datetime(2026, 3, 1, 8, 0, 0, 123456, tzinfo=UTC), UUID(int=42)
FILTERS = {"status": ["open"], "modified_after": ["2026-01-01T00:00:00Z"]}


def get(query="", **headers):
    return RequestFactory().get(f"/api/v1/things?{query}", headers=headers)


def refusal(call):
    with pytest.raises(BadRequestError) as caught:
        call()
    return caught.value


@given(
    st.datetimes(timezones=st.just(timezone(timedelta(hours=3))), min_value=datetime(1900, 1, 1)),
    st.uuids(),
    st.text(st.characters(codec="utf-8")),
    st.integers(),
)
def test_a_cursor_gives_back_its_values(at, row, text, number):
    cursor = encode_cursor((at, row, text, number), purpose="things", filters=FILTERS)
    assert decode_cursor(cursor, (datetime, UUID, str, int), purpose="things", filters=FILTERS) == (
        at,
        row,
        text,
        number,
    )


def test_the_order_of_filters_does_not_matter():
    cursor = encode_cursor((AT, ROW), purpose="things", filters=FILTERS)
    turned = dict(reversed(FILTERS.items()))
    assert decode_cursor(cursor, (datetime, UUID), purpose="things", filters=turned) == (AT, ROW)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"purpose": "others"}, "another list", id="another-list"),
        pytest.param({"types": (datetime,)}, "another list", id="another-length"),
        pytest.param({"types": (UUID, UUID)}, "older release", id="other-types"),
        pytest.param({"types": (int, UUID)}, "older release", id="other-plain-type"),
        pytest.param({"filters": {"status": ["closed"]}}, "other filters", id="filters-changed"),
        pytest.param({"filters": None}, "other filters", id="filters-gone"),
    ],
)
def test_a_cursor_of_something_else_is_refused_clearly(change, words):
    cursor = encode_cursor((AT, ROW), purpose="things", filters=FILTERS)
    arguments = {"types": (datetime, UUID), "purpose": "things", "filters": FILTERS, **change}
    error = refusal(lambda: decode_cursor(cursor, **arguments))
    assert (error.code, error.errors[0].pointer) == ("INVALID_CURSOR", "?cursor")
    assert words in error.detail


def test_a_cursor_changed_in_any_character_is_refused():
    cursor = encode_cursor((AT, ROW), purpose="things")
    for position, character in enumerate(cursor):
        changed = cursor[:position] + ("A" if character != "A" else "B") + cursor[position + 1 :]
        assert (
            refusal(lambda text=changed: decode_cursor(text, (datetime, UUID), purpose="things")).code
            == "INVALID_CURSOR"
        )


@given(st.text(max_size=60))
def test_any_text_as_a_cursor_is_400(text):
    assert refusal(lambda: decode_cursor(text, (int,), purpose="things")).code == "INVALID_CURSOR"


def test_cursor_from_binds_to_every_parameter_but_the_paging_and_to_the_connection():
    first = get("status=open&limit=10", **{"X-Connection-Id": "con_1"})
    cursor = encode_cursor((5,), purpose="things", filters=pagination.filters_of(first))
    assert pagination.cursor_from(first, (int,), purpose="things") is None
    following = get(f"limit=50&status=open&cursor={cursor}", **{"X-Connection-Id": "con_1"})
    assert pagination.cursor_from(following, (int,), purpose="things") == (5,)
    for other in (get(f"status=open&cursor={cursor}"), get(f"cursor={cursor}", **{"X-Connection-Id": "con_1"})):
        assert refusal(lambda request=other: pagination.cursor_from(request, (int,), purpose="things"))


def test_a_cursor_takes_aware_times_only():
    with pytest.raises(TypeError):
        encode_cursor((datetime(2026, 1, 1),), purpose="things")


@pytest.mark.parametrize(("query", "limit"), [("", 100), ("limit=1", 1), ("limit=500", 500)])
def test_limit(query, limit):
    assert pagination.limit_from(get(query)) == limit


@pytest.mark.parametrize("text", ["0", "501", "-1", "ten", "1.0", "1e2", "", "٣", "+5", "9" * 50, "1&limit=2"])
def test_limit_refuses(text):
    assert refusal(lambda: pagination.limit_from(get(f"limit={text}"))).errors[0].pointer == "?limit"


def test_unknown_parameters_are_listed_with_what_is_known():
    error = refusal(lambda: pagination.check_query_parameters(get("limt=1&x=2&cursor=3"), {"limit", "cursor"}))
    assert error.code == "UNKNOWN_PARAMETER" and "cursor, limit" in error.detail
    assert [(wrong.pointer, wrong.detail) for wrong in error.errors] == [
        ("?limt", "Unknown; did you mean limit?"),
        ("?x", "Unknown."),
    ]
    pagination.check_query_parameters(get("limit=1"), {"limit", "cursor"})


def test_a_nul_in_a_parameter_is_refused_before_the_database_sees_it():
    error = refusal(lambda: pagination.check_query_parameters(get("name=a%00b"), {"name"}))
    assert (error.code, error.errors[0].pointer) == ("INVALID_CHARACTER", "?name")


def test_unknown_body_fields_are_listed_by_pointer():
    error = refusal(lambda: pagination.check_body_fields({"nmae": 1, "a/b": 2}, {"name"}))
    assert [wrong.pointer for wrong in error.errors] == ["/nmae", "/a~1b"] and error.code == "UNKNOWN_FIELD"
    assert refusal(lambda: pagination.check_body_fields([], {"name"})).code == "INVALID_BODY"
    pagination.check_body_fields({"name": 1}, {"name"})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", None),
        ("at=2026-03-01T08:00:00.123456Z", AT),
        ("at=2026-03-01T10:00:00.123456%2B02:00", AT),
        ("at=2026-03-01t08:00:00.123456z", AT),
    ],
)
def test_datetime(query, expected):
    assert pagination.datetime_from(get(query), "at") == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-03-01T08:00:00", "with a zone"),
        ("2026-03-01T10:00:00+02:00", "%2B"),
        ("2026-03-01", "RFC 3339"),
        ("1772352000", "RFC 3339"),
        ("2026-13-01T08:00:00Z", "calendar"),
        ("2026-03-01T08:00:60Z", "calendar"),
        ("0001-01-01T00:00:00%2B14:00", "calendar"),
        ("2026-03-01T08:00:00%2B99:00", "calendar"),
        ("2026-03-01T08:00:00Z%0A", "RFC 3339"),
    ],
)
def test_datetime_refuses(text, words):
    error = refusal(lambda: pagination.datetime_from(get(f"at={text}"), "at"))
    assert words in error.detail and error.errors[0].pointer == "?at"


def test_date_boolean_choice_text_and_id():
    request = get(f"day=2026-03-01&yes=true&no=false&kind=b&id={ids.show('po', ROW)}")
    assert pagination.date_from(request, "day") == date(2026, 3, 1)
    assert pagination.boolean_from(request, "yes") and not pagination.boolean_from(request, "no", default=True)
    assert pagination.boolean_from(request, "absent", default=True)
    assert pagination.choice_from(request, "kind", ("a", "b")) == "b"
    assert pagination.id_from(request, "id", "po") == ROW
    assert pagination.date_from(request, "absent") is None
    assert pagination.id_from(request, "absent", "po") is None


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda r: pagination.date_from(r, "x"), id="date"),
        pytest.param(lambda r: pagination.boolean_from(r, "x"), id="boolean"),
        pytest.param(lambda r: pagination.choice_from(r, "x", ("a", "b")), id="choice"),
        pytest.param(lambda r: pagination.id_from(r, "x", "po"), id="id"),
        pytest.param(lambda r: pagination.integer_from(r, "x", low=0, high=9), id="integer"),
    ],
)
@pytest.mark.parametrize("text", ["2026-02-30", "TRUE", "wo_" + "0" * 32, "x" * 600, "", "12"])
def test_parameters_of_the_wrong_form_are_400_by_name(read, text):
    assert refusal(lambda: read(get(f"x={text}"))).errors[0].pointer == "?x"
