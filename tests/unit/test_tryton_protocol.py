"""Typed values, errors inside answers, and servers of another shape. No server."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.errors import (
    AuthError,
    BusinessRuleError,
    ConflictError,
    LineshaftError,
    NotSupportedError,
    TransientError,
    ValidationFailedError,
)
from integrations.connectors.tryton import Tryton
from integrations.connectors.tryton.encoding import encoded
from integrations.connectors.tryton.reading import ModelReader, ShapeChangedError
from integrations.connectors.tryton.shape import Schema, Shape
from integrations.protocols.jsonrpc import RpcFaultError, RpcRefusedError, RpcWarningError, error_in
from integrations.protocols.typed_json import moment_of, plain, typed_date, typed_datetime
from integrations.sdk.pages import Window
from integrations.sdk.unmapping import CannotSayError
from tests.unit.tryton_payloads import at, day, decimal

# --- values as they are written -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("amount", Decimal("12.50"), decimal("12.50")),
        ("decimal", Decimal("1E+2"), decimal("100")),
        ("quantity", Decimal("2.5"), 2.5),
        ("date", "2026-01-31", day(2026, 1, 31)),
        ("datetime", "2026-01-31T00:00:00Z", day(2026, 1, 31)),
        ("datetime", "2026-01-31T02:00:00+02:00", day(2026, 1, 31)),
        ("reference", "13", 13),
        ("text", "13", "13"),
    ],
)
def test_encoded_when_a_value_is_written_then_it_has_trytons_type(kind: str, value: Any, expected: Any) -> None:
    assert encoded(kind, value) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("quantity", Decimal("0.10000000000000000001")),
        ("quantity", Decimal("1E+400")),
        ("date", "31.1.2026"),
        ("datetime", "2026-01-31T06:00:00Z"),
        ("datetime", "soon"),
        ("reference", "V1000"),
        ("reference", "99999999999"),
    ],
)
def test_encoded_when_tryton_has_no_such_value_then_it_says_so(kind: str, value: Any) -> None:
    with pytest.raises(CannotSayError):
        encoded(kind, value)


# --- typed values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (decimal("12.50"), "12.50"),
        (day(2026, 1, 31), "2026-01-31"),
        (at(2026, 1, 31, 8), "2026-01-31T08:30:00Z"),
        (at(2026, 1, 31, 8, 42), "2026-01-31T08:30:00.000042Z"),
        ({"__class__": "timedelta", "seconds": 90.0}, 90.0),
        ({"__class__": "time", "hour": 7, "minute": 5, "second": 0, "microsecond": 0}, "07:05:00"),
        ({"__class__": "bytes", "base64": "YQ=="}, "YQ=="),
        (2.0, 2),
        (2.5, 2.5),
        ({"party": 13, "party.": {"id": 13, "name": "A"}}, {"party": {"id": 13, "name": "A"}}),
        ({"term.": None, "list": [1, [decimal("1")]]}, {"term": None, "list": [1, ["1"]]}),
    ],
)
def test_plain_when_a_value_is_typed_then_it_becomes_plain(typed: Any, expected: Any) -> None:
    assert plain(typed) == expected and type(plain(typed)) is type(expected)


def test_plain_when_a_part_is_missing_then_it_is_refused() -> None:
    with pytest.raises(ValidationFailedError, match="day"):
        plain({"__class__": "date", "year": 2026, "month": 1})


def test_typed_when_sent_then_the_zone_is_utc() -> None:
    moment = datetime.fromisoformat("2026-03-01T01:30:00.000007+02:00")

    assert moment_of(typed_datetime(moment)) == moment
    assert typed_datetime(moment)["day"] == 28 and typed_date(moment.date())["day"] == 1


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "expected", "code"),
    [
        (["UserError", ["To delete purchase \"122\" you must cancel it.", "", None]], RpcRefusedError, "UserError"),
        (["UserWarning", ["14fa.done", "Stock moves have no origin.", ""]], RpcWarningError, "UserWarning"),
        (["ConcurrencyException", "Records were modified in the meanwhile"], ConflictError, "ConcurrencyException"),
        (["LoginException", ["code"]], AuthError, "LoginException"),
        (["'nmber'", "Traceback ..."], RpcFaultError, None),
        (["Python int too large to convert to SQLite INTEGER", ""], TransientError, None),
        ("odd", RpcFaultError, None),
        ([], RpcFaultError, None),
        ([None, None], RpcFaultError, None),
    ],
)  # fmt: skip
def test_error_when_inside_an_answer_then_its_class_decides(
    found: Any, expected: type[LineshaftError], code: str | None
) -> None:
    error = error_in(found)

    assert isinstance(error, expected)
    assert error.source is not None and error.source.code == code
    assert "Traceback" not in str(error) + error.log_detail


def test_error_when_refused_then_a_person_reads_the_systems_words() -> None:
    error = error_in(["UserError", ["You may not.", "Within groups: ", None]])

    assert isinstance(error, BusinessRuleError) and error.detail.endswith("It says: You may not. Within groups:")


# --- shapes of other series ---------------------------------------------------------------------------------------

OLD_SERVER: dict[str, dict[str, str | None]] = {
    "purchase.purchase": {
        "number": None,
        "state": None,
        "write_date": None,
        "create_date": None,
        "party": "party.party",
    },
    "party.party": {"name": None, "write_date": None, "create_date": None},
}


class OldServer:
    """Answers like a series without `last_modified_at`: unknown fields and models are faults."""

    def __init__(self) -> None:
        self.asked: list[list[Any]] = []

    def __call__(self, method: str, *params: Any) -> Any:
        model, _, name = method.removeprefix("model.").rpartition(".")
        if model not in OLD_SERVER:
            raise RpcFaultError("unknown model")
        if name == "fields_get":
            return {field: {"relation": target} for field, target in OLD_SERVER[model].items()}
        if name in ("search", "search_count"):
            return [1] if name == "search" else 1
        return self._search_read(params)

    def _search_read(self, params: tuple[Any, ...]) -> list[dict[str, Any]]:
        domain, fields = params[0], params[4]
        if "last_modified_at" in fields:
            raise RpcFaultError("'last_modified_at'")
        self.asked.append(domain)
        return [{"id": 1, "number": "9", "write_date": at(2026, 1, 1), "create_date": at(2025, 1, 1)}]


def test_reader_when_the_series_is_older_then_write_and_creation_times_are_asked() -> None:
    server = OldServer()
    reader = ModelReader(Tryton.resource("purchase_order"), server)

    page = reader.page(Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)), None, 50)

    since = typed_datetime(datetime(2026, 1, 1, tzinfo=UTC))
    assert server.asked == [["OR", ["write_date", ">=", since], ["create_date", ">=", since]]]
    assert page.newest == datetime(2026, 1, 1, 0, 30, tzinfo=UTC) and [key for key, _ in page.records] == ["1"]
    assert reader.shape == Shape(
        ("number", "state", "create_date", "write_date", "party.name"), ("write_date", "create_date")
    )


def test_schema_when_a_model_is_unknown_then_its_module_is_missing() -> None:
    with pytest.raises(NotSupportedError, match="module is not installed"):
        Schema(OldServer()).fitted("production", ("number",))


def test_reader_when_its_shape_changed_then_that_is_told_once() -> None:
    reader = ModelReader(Tryton.resource("purchase_order"), OldServer())
    with pytest.raises(ShapeChangedError):
        reader.read([], 50, [])

    assert len(reader.read([], 50, [])) == 1


def test_reader_when_no_row_can_be_read_then_the_error_stands() -> None:
    def call(method: str, *params: Any) -> Any:
        if method.endswith(".search"):
            return [1, 2, 3]
        if method.endswith(".fields_get"):
            wanted = Tryton.resource("location").parameters["fields"]
            return {name.partition(".")[0]: {"relation": None} for name in (*wanted, "last_modified_at")}
        raise RpcFaultError("defect")

    reader = ModelReader(Tryton.resource("location"), call)
    with pytest.raises(ShapeChangedError):
        reader.read([], 50, [])
    with pytest.raises(RpcFaultError, match="defect"):
        reader.read([], 50, [])
