"""What stands in a system's objects, which of it is mapped, and what is proposed for the rest."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from connections.services.raw_fields import EXAMPLE_CHARACTERS, MOST_FIELDS, observe
from connections.services.suggestions import suggest
from core.redaction import CUT
from integrations.entities import PurchaseOrder, Vendor
from integrations.sdk.declarations import Field
from integrations.sdk.path_uses import path_text, read_paths
from integrations.sdk.paths import compile_path, path_keys
from integrations.sdk.transform_parameters import CARDS
from integrations.sdk.transforms import TRANSFORMS


def by_text(objects: list[Any]) -> dict[str, Any]:
    found = observe(objects)
    return {place.text: place for place in found.by_path.values()}


def test_observe_counts_what_is_filled_and_tells_kinds() -> None:
    objects = [
        {
            "id": 7,
            "open": False,
            "due": "2026-10-05",
            "rate": "1.50",
            "note": "",
            "who": {"name": "Ada"},
            "tags": ["a"],
        },
        {"id": 8, "open": True, "due": None, "rate": "2", "note": None, "who": None, "tags": []},
        {"id": 9, "at": "2026-10-05T08:00:00Z", "lines": [{"x": 1}, {"x": None}], "ABC class": "A", "price": 1.5},
    ]

    found = by_text(objects)

    assert {text: place.filled for text, place in found.items()} == {
        "id": 3, "open": 2, "due": 1, "rate": 2, "note": 0, "who.name": 1, "who": 0, "tags": 1, "tags[]": 1,
        "at": 1, "lines": 1, "lines[].x": 1, '"ABC class"': 1, "price": 1,
    }  # fmt: skip
    kinds = {text: place.kind for text, place in found.items() if place.kind}
    assert kinds["open"] == "boolean" and kinds["due"] == "date" and kinds["rate"] == "decimal"
    assert kinds["at"] == "datetime" and kinds["lines"] == "list" and kinds["price"] == "number"
    assert observe(objects).share(found["rate"]) == 66.7


def test_observe_shows_no_secret_and_no_long_value() -> None:
    words = ("apiKey", "session_id", "note", "url", "long")
    values = ["s3cr3t-value-1", "abc", "Bearer abcdef123456789", "https://user:pass@erp.example/x", "y" * 500]

    found = by_text([dict(zip(words, values, strict=True)), {"credentials": {"password": "s3cr3t"}}])

    assert found["apiKey"].examples == [CUT] and found["session_id"].examples == [CUT]
    assert found["credentials.password"].examples == [CUT]
    assert found["note"].examples == [f"Bearer {CUT}"]
    assert found["url"].examples == [f"https://{CUT}@erp.example/x"]
    assert len(found["long"].examples[0]) == EXAMPLE_CHARACTERS


def test_observe_keeps_three_distinct_examples() -> None:
    assert by_text([{"a": number % 5} for number in range(20)])["a"].examples == ["0", "1", "2"]


def test_observe_tells_when_there_are_too_many_places() -> None:
    found = observe([{f"f{number}": 1 for number in range(MOST_FIELDS + 5)}])

    assert found.cut and len(found.by_path) == MOST_FIELDS


@pytest.mark.parametrize("value", [None, 7, "text", [], [1, 2], {}])
def test_observe_when_an_object_is_none_finds_no_fields(value: Any) -> None:
    assert not [place for place in observe([value]).by_path.values() if place.text not in ("@", "[]")]


ROWS = (
    Field("number", "number"),
    Field("status", "type(state)=='string' && state || state.code"),
    Field("vendor", "supplier.id", name="supplier.name"),
    Field("lines", "lines", items=(Field("id", "id"), Field("quantity", "qty"))),
    Field("notes", ""),
)
ORDER = {
    "number": "PO-1", "state": "open", "supplier": {"id": 7, "name": "Nord", "code": "N7"}, "lines": [{"id": 1, "qty": 2, "text": "x"}],
    "requested_by": {"id": 5}, "orderDate": "2026-10-05", "expectedReceiptDate": "2026-11-01", "remarks": "gate 3", "currency": "EUR",
    "ABC class": "A", "extraFields": {"Cost center": "CC-4000"}, "tags": ["x"], "4eyes": True, "empty": None,
}  # fmt: skip


def suggestions(rows: Any = ROWS, objects: Any = (ORDER,)) -> dict[str, Any]:
    return {one.field.text: one for one in suggest(PurchaseOrder.spec(), rows, observe(objects))}


def test_suggest_tells_what_is_used_whatever_form_its_source_has() -> None:
    found = suggestions()

    used = {text: one.used_by for text, one in found.items() if one.used_by}
    assert used == {
        "number": ["number"],
        "state": ["status"],
        "supplier.id": ["vendor"],
        "supplier.name": ["vendor"],
        "lines": ["lines"],
        "lines[].id": ["lines.id"],
        "lines[].qty": ["lines.quantity"],
    }
    assert all(one.proposal is None for one in found.values() if one.used_by)


def test_suggest_when_a_whole_object_is_mapped_counts_what_is_in_it_as_used() -> None:
    found = suggestions((*ROWS, Field("custom.extra", "extraFields"), Field("custom.tags", "tags")))

    assert found['extraFields."Cost center"'].used_by == ["custom.extra"]
    assert found["tags[]"].used_by == found["tags"].used_by == ["custom.tags"]


def test_suggest_proposes_unified_fields_by_name_and_kind_and_custom_ones_for_the_rest() -> None:
    rows = {text: one.proposal.row for text, one in suggestions().items() if one.proposal}

    assert rows["orderDate"] == {"target": "order_date", "source": "orderDate"}
    assert rows["remarks"] == {"target": "notes", "source": "remarks"}
    assert rows["currency"]["target"] == "currency"
    title = {"target": "custom.cost_center", "source": 'extraFields."Cost center"', "title": "Cost center"}
    assert rows['extraFields."Cost center"'] == {**title, "type": "text"}
    assert rows['"ABC class"']["target"] == "custom.abc_class"
    assert rows['"4eyes"'] == {"target": "custom.f_4eyes", "source": '"4eyes"', "title": "4eyes", "type": "boolean"}
    assert rows["tags"] == {"target": "custom.tags", "source": "tags", "title": "Tags"}
    assert not rows.keys() & {"lines[].text", "tags[]", "empty"}, "no room there, or nothing in it"
    assert len({row["target"] for row in rows.values()}) == len(rows)


def test_suggest_when_nothing_is_stored_finds_nothing() -> None:
    assert suggest(Vendor.spec(), [], observe([])) == []


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ("a.b", {"a.b"}),
        ("@", set()),
        ("lines[].x", {"lines[].x"}),
        ("items[?kind=='a'].v | [0]", {"items[].kind", "items[].v"}),
        ("join(' ', [street, to_string(number)])", {"street", "number"}),
        ('extraFields."ABC class"', {'extraFields."ABC class"'}),
        ("party.", {"party"}),
        ("items[?", set()),
    ],
)
def test_read_paths(source: str, paths: set[str]) -> None:
    assert {path_text(path) for path in read_paths(source)} == paths


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ("a.b", ("a", "b")),
        ('a."b c".d', ("a", "b c", "d")),
        ('"b.c"', ("b.c",)),
        ('"say \\"hi\\""', ('say "hi"',)),
        ("a[0]", None),
        ("a.", None),
        ('"a', None),
    ],
)
def test_path_keys(source: str, keys: tuple[str, ...] | None) -> None:
    assert path_keys(source) == keys


def test_compile_path_with_quoted_keys_reads_them() -> None:
    get = compile_path('extraFields."ABC class"')

    assert get({"extraFields": {"ABC class": "B"}}) == "B"
    assert get({"extraFields": None}) is None and get({}) is None


def test_every_transform_is_described_with_its_parameters() -> None:
    for name, make in TRANSFORMS.items():
        assert set(inspect.signature(make).parameters) == {parameter.name for parameter in CARDS[name].parameters}
        needed = {n for n, p in inspect.signature(make).parameters.items() if p.default is inspect.Parameter.empty}
        assert needed == {parameter.name for parameter in CARDS[name].parameters if parameter.required}, name
