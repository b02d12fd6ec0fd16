"""What may be done with an entity, why not, and which bodies of writes are taken. No database."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from connections.services.card import Card
from connections.services.denials import Forbidden
from connections.services.schemas import validate_body, write_schema
from core.api_errors import BadRequestError
from core.errors import NotSupportedError, ValidationFailedError
from integrations.entities import ENTITIES
from integrations.registry import catalogue
from integrations.sdk.declarations import Field
from tests.capable_erp import CapableErp
from tests.connectors import TestErp

STATUSES = ["draft", "open", "part", "done", "void"]
COLOUR = Field("custom.colour", "colour")
CODE = Field("custom.code", "code", read_only=True)
SIZE = Field("custom.size", "size", transforms=({"name": "strip_thousands"},))


def card(*, rows: Any = None, **facts: Any) -> Card:
    return Card(CapableErp, "purchase_order", rows=rows, **facts)


def why(denial: Any) -> tuple[str, str] | None:
    return None if denial is None else (denial.reason, denial.detail)


# --- operations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "status", "expected"),
    [
        ("read", "done", None),
        ("create", None, None),
        ("create", "done", None),
        ("update", None, None),
        ("update", "open", None),
        (
            "update",
            "done",
            ("status", "A purchase order cannot be updated while it is done: closed orders stay as they are."),
        ),
        ("delete", None, None),
        ("delete", "draft", None),
        ("delete", "part", None),
        (
            "delete",
            "done",
            ("status", "A purchase order cannot be deleted while it is done: only while it is draft, open or part."),
        ),
    ],
)
def test_operation_is_judged_by_status(operation: str, status: str | None, expected: Any) -> None:
    assert why(card().operation(operation, status)) == expected


def test_delete_does_what_the_status_asks_for() -> None:
    kinds = {status: card().write("delete", status) for status in STATUSES}
    assert {status: write.kind for status, write in kinds.items() if write} == {
        "draft": "hard",
        "open": "cancel",
        "part": "cancel",
    }


def test_what_is_not_written_says_whose_connector_does_not() -> None:
    vendors = Card(TestErp, "vendor")
    assert why(vendors.operation("update")) == ("platform", "The connector of Test ERP does not update a vendor.")
    assert why(vendors.field("update", "name")) == why(vendors.operation("update"))
    assert vendors.writable("update") == [] and vendors.required() == ()
    with pytest.raises(NotSupportedError):
        Card(TestErp, "asset")


def test_actions_are_judged_by_name_status_account_and_administrator() -> None:
    assert card().action("approve") is None and card().action("approve", "draft") is None
    assert card().action("touch", "void") is None
    assert why(card().action("approve", "open")) == (
        "status",
        "Approve is possible only while the purchase order is draft; it is open.",
    )
    reason, detail = why(card().action("explode")) or ("", "")
    assert reason == "platform" and "no action explode" in detail and "approve, touch" in detail
    assert (why(card(permitted={"update": False}).action("touch")) or "")[0] == "permission"
    for forbidden in (Forbidden("action"), Forbidden("action", "touch"), Forbidden("update")):
        assert (why(card(forbidden=[forbidden]).action("touch")) or "")[0] == "override"
    assert card(forbidden=[Forbidden("action", "approve"), Forbidden("update", "notes")]).action("touch") is None


def test_account_and_administrator_only_narrow() -> None:
    probed = {"update": False, "create": True, "read": False}
    told = {name: card(permitted=probed).operation(name) for name in ("read", "create", "update", "delete")}
    assert {name: denial.reason for name, denial in told.items() if denial} == {
        "read": "permission",
        "update": "permission",
    }
    assert "The account of this connection may not update purchase orders in Test ERP" in str(told["update"])
    denied = card(permitted={"create": True}, forbidden=[Forbidden("create", reason="Orders begin in the ERP.")])
    assert why(denied.operation("create")) == (
        "override",
        "An administrator forbade create for this connection: Orders begin in the ERP.",
    )
    vendors = Card(TestErp, "vendor", permitted={"update": True})
    assert vendors.operation("update") is not None, "what the account may do, the connector does not"


def test_create_is_denied_when_what_the_system_demands_cannot_be_sent() -> None:
    rows = [row for row in CapableErp.purchase_orders.fields if row.target != "currency"]
    reason, detail = why(card(rows=rows).operation("create")) or ("", "")
    assert reason == "platform" and detail.startswith("The system demands currency, which cannot be sent:")


# --- fields -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "name", "status", "reason", "detail"),
    [
        ("create", "number", None, "source", "number cannot be written in this system."),
        ("create", "total_amount", None, "source", "total_amount is computed by the system."),
        ("create", "payment_terms", None, "platform", "payment_terms is not mapped to anything in this system."),
        ("create", "lines.id", None, "source", "lines.id is computed by the system."),
        ("create", "lines.colour", None, "platform", "A purchase order has no field lines.colour."),
        ("create", "colour", None, "platform", "A purchase order has no field colour."),
        ("create", "custom.colour", None, "platform", "This connection maps no custom.colour."),
        ("update", "order_date", None, "platform", "The connector of Test ERP does not send order_date"),
        ("update", "notes", "void", "status", "A purchase order cannot be updated while it is void"),
        (
            "update",
            "lines.quantity",
            "open",
            "status",
            "lines.quantity cannot be changed while the purchase order is open: the vendor has the order.",
        ),
        ("delete", "notes", None, "platform", "A delete takes no fields."),
        ("read", "payment_terms", None, "platform", "payment_terms is not mapped"),
        ("read", "nothing", None, "platform", "There is no field nothing."),
    ],
)
def test_field_that_may_not_says_why(operation: str, name: str, status: str | None, reason: str, detail: str) -> None:
    denial = card().field(operation, name, status)
    assert denial is not None and denial.reason == reason and denial.detail.startswith(detail), denial


@pytest.mark.parametrize(
    ("operation", "name", "status"),
    [
        ("create", "vendor", None),
        ("create", "lines.quantity", None),
        ("create", "order_date", None),
        ("update", "notes", "open"),
        ("update", "lines", "open"),
        ("update", "lines.description", "open"),
        ("update", "lines.quantity", "draft"),
        ("update", "lines.quantity", None),
        ("update", "ship_to.city", "part"),
        ("read", "lines.quantity", None),
    ],
)
def test_field_that_may(operation: str, name: str, status: str | None) -> None:
    assert card().field(operation, name, status) is None


def test_custom_fields_are_written_where_the_mapping_says_where() -> None:
    rows = (*CapableErp.purchase_orders.fields, COLOUR, CODE, SIZE)
    own = card(rows=rows)
    assert own.field("update", "custom.colour") is None and own.field("read", "custom.code") is None
    assert (why(own.field("update", "custom.code")) or "")[0] == "source"
    assert (why(own.field("update", "custom.size")) or "")[0] == "platform"
    assert own.writable("update")[-1] == "custom.colour"


def test_writable_and_required_are_what_can_be_sent() -> None:
    assert card().writable("update") == ["description", "ship_to", "notes", "lines"]
    assert card().writable("update", "done") == [] and card().writable("delete") == []
    assert card().required() == ("vendor", "lines.quantity", "currency")
    narrowed = card(forbidden=[Forbidden("update", "lines")])
    assert narrowed.writable("update") == ["description", "ship_to", "notes"]
    assert (why(narrowed.field("update", "lines.quantity")) or "")[0] == "override"
    assert narrowed.field("create", "lines.quantity") is None


def test_list_in_which_nothing_can_be_written_cannot_be_either() -> None:
    lines = Field("lines", "lines", items=(Field("id", "id"), Field("amount", "amount")))
    rows = [*(row for row in CapableErp.purchase_orders.fields if row.target != "lines"), lines]
    assert why(card(rows=rows).field("create", "lines")) == ("platform", "Nothing inside of lines can be written here.")


def test_statuses_in_which_something_may_be_done() -> None:
    assert card().statuses("update") == (["draft", "open", "part"], ["done", "void"])
    assert card().statuses("update", "lines.quantity") == (["draft"], ["open", "part", "done", "void"])
    assert card().statuses("delete") == (["draft", "open", "part"], ["done", "void"])
    assert card().statuses("create", "notes") == (None, [])
    rows = [row for row in CapableErp.purchase_orders.fields if row.target != "status"]
    unlisted = card(rows=rows)
    assert unlisted.statuses("update", "notes") == (None, ["done", "void"]), "those it may in are not known"
    assert unlisted.statuses("update", "lines.quantity")[0] == ["draft"]


def test_digest_differs_whenever_an_answer_could() -> None:
    digests = [
        card().digest,
        card(permitted={"update": False}).digest,
        card(forbidden=[Forbidden("update")]).digest,
        card(rows=(*CapableErp.purchase_orders.fields, COLOUR)).digest,
        card(zone="Europe/Berlin").digest,
        Card(TestErp, "purchase_order").digest,
    ]
    assert len(set(digests)) == len(digests) and card().digest == digests[0]


# --- schemas ----------------------------------------------------------------------------------------------------------


def test_schema_says_what_may_be_sent() -> None:
    schema = write_schema(card(rows=(*CapableErp.purchase_orders.fields, COLOUR, CODE)), "update")
    fields = schema["properties"]
    assert schema["x-allowed"] is True and schema["required"] == [] and schema["additionalProperties"] is False
    assert fields["notes"]["type"] == ["string", "null"] and fields["notes"]["maxLength"] == 65_536
    assert fields["notes"]["x-writable-in"] == ["draft", "open", "part"]
    assert fields["notes"]["x-not-writable-in"] == ["done", "void"] and "readOnly" not in fields["notes"]
    assert fields["number"]["readOnly"] and fields["number"]["x-reason-code"] == "source"
    line = fields["lines"]["items"]
    assert line["properties"]["unit"]["enum"] == ["EA", "KG", None], "only what the system has words for"
    assert line["properties"]["quantity"]["x-writable-in"] == ["draft"] and "_delete" in line["properties"]
    assert fields["custom"]["properties"]["code"]["readOnly"]
    assert fields["custom"]["properties"]["colour"]["x-writable-in"] == ["draft", "open", "part"]


def test_schema_of_a_create_demands_what_is_required_and_knows_no_ids_of_lines() -> None:
    schema = write_schema(card(), "create")
    assert schema["required"] == ["vendor", "currency"]
    line = schema["properties"]["lines"]["items"]
    assert line["required"] == ["quantity"] and line["properties"]["id"]["readOnly"]
    assert "_delete" not in line["properties"] and "x-writable-in" not in schema["properties"]["notes"]
    assert schema["properties"]["vendor"]["x-target"] == "vendor"
    assert {"type": "null"} not in schema["properties"]["vendor"]["anyOf"]


def test_schema_for_a_status_and_of_what_may_not_be_done() -> None:
    closed = write_schema(card(), "update", status="done")
    assert closed["x-allowed"] is False and closed["x-reason-code"] == "status"
    assert all(field["readOnly"] for field in closed["properties"].values())
    sent = write_schema(card(), "update", status="open")
    assert sent["properties"]["lines"]["items"]["properties"]["quantity"]["x-reason-code"] == "status"
    assert write_schema(card(), "delete")["properties"] == {}


def test_schema_of_an_action_is_that_of_its_parameters() -> None:
    schema = write_schema(card(), "action", action="approve")
    assert schema["required"] == ["note"] and schema["description"] == "Release it to the vendor."
    assert schema["properties"]["on"] == {"type": ["string", "null"], "format": "date"}
    with pytest.raises(NotSupportedError, match="no action explode"):
        write_schema(card(), "action", action="explode")


@pytest.mark.parametrize("slug", sorted(catalogue()))
def test_every_schema_of_every_connector_is_one(slug: str) -> None:
    """JSON through and through, valid by its dialect; a write that is declared can send something."""
    connector = catalogue()[slug]
    for entity in connector.resources():
        own = Card(connector, entity)
        for operation in ("create", "update", "delete"):
            schema = write_schema(own, operation)
            Draft202012Validator.check_schema(json.loads(json.dumps(schema)))
            if operation != "delete" and own.operation(operation) is None:
                assert own.writable(operation), f"{slug} {operation} {entity}"
        for action in own.resource.actions:
            Draft202012Validator.check_schema(write_schema(own, "action", action=action.name))
            assert own.action(action.name) is None
        for name in ENTITIES[entity].spec().by_name:
            denial = own.field("update", name)
            assert denial is None or denial.detail


# --- bodies -----------------------------------------------------------------------------------------------------------

GOOD = {"vendor": "7", "currency": "EUR"}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("create", GOOD),
        ("create", {**GOOD, "vendor": {"id": "ven_" + "0" * 32, "remote_id": None, "name": "Nordring"}}),
        ("create", {**GOOD, "vendor": {"remote_id": "7"}, "notes": None, "order_date": "2026-10-05"}),
        ("create", {**GOOD, "lines": [{"quantity": "2.5", "unit": "KG"}, {"quantity": 3}, {"quantity": 0.1}]}),
        ("update", {}),
        ("update", {"notes": None, "ship_to": {"city": "Kiel"}}),
        ("update", {"ship_to": None}),
        ("update", {"lines": [{"id": "1-1", "description": "x"}, {"quantity": "1"}, {"id": "1-2", "_delete": True}]}),
        ("delete", {}),
    ],
)
def test_body_that_is_taken(operation: str, body: dict[str, Any]) -> None:
    validate_body(card(), operation, body)


@pytest.mark.parametrize(
    ("operation", "body", "expected"),
    [
        ("create", {}, [("/vendor", "REQUIRED"), ("/currency", "REQUIRED")]),
        ("create", {**GOOD, "vendor": None}, [("/vendor", "INVALID_VALUE")]),
        ("create", {**GOOD, "vendor": {}}, [("/vendor", "INVALID_VALUE")]),
        ("create", {**GOOD, "vendor": ""}, [("/vendor", "INVALID_VALUE")]),
        ("create", {**GOOD, "vendor": 7}, [("/vendor", "INVALID_VALUE")]),
        ("create", {**GOOD, "number": "PO-1"}, [("/number", "FIELD_NOT_WRITABLE")]),
        ("create", {**GOOD, "total_amount": 7}, [("/total_amount", "FIELD_NOT_WRITABLE")]),
        ("create", {**GOOD, "notes": "x" * 65_537}, [("/notes", "TOO_LONG")]),
        ("create", {**GOOD, "notes": ["x"]}, [("/notes", "INVALID_VALUE")]),
        ("create", {**GOOD, "order_date": "5.10.2026"}, [("/order_date", "INVALID_VALUE")]),
        ("create", {**GOOD, "order_date": "2026-02-30"}, [("/order_date", "INVALID_VALUE")]),
        ("create", {**GOOD, "lines": None}, [("/lines", "INVALID_VALUE")]),
        ("create", {**GOOD, "lines": [{}]}, [("/lines/0/quantity", "REQUIRED")]),
        ("create", {**GOOD, "lines": ["x"]}, [("/lines/0", "INVALID_VALUE")]),
        ("create", {**GOOD, "lines": [{"quantity": "1e3"}]}, [("/lines/0/quantity", "INVALID_VALUE")]),
        ("create", {**GOOD, "lines": [{"quantity": True}]}, [("/lines/0/quantity", "INVALID_VALUE")]),
        ("create", {**GOOD, "lines": [{"quantity": "1", "unit": "M"}]}, [("/lines/0/unit", "INVALID_VALUE")]),
        ("create", {**GOOD, "lines": [{"quantity": "1"}] * 501}, [("/lines", "INVALID_VALUE")]),
        (
            "create",
            {**GOOD, "lines": [{"id": "1", "quantity": "1", "amount": "1"}]},
            [("/lines/0/id", "FIELD_NOT_WRITABLE"), ("/lines/0/amount", "FIELD_NOT_WRITABLE")],
        ),
        ("update", {"lines": [{"description": "new"}]}, [("/lines/0/quantity", "REQUIRED")]),
        ("update", {"lines": [{"_delete": True}]}, [("/lines/0/id", "REQUIRED")]),
        ("update", {"lines": [{"id": "1", "_delete": True, "quantity": "1"}]}, [("/lines/0", "INVALID_VALUE")]),
        ("update", {"lines": [{"id": "1"}, {"id": "1"}]}, [("/lines/1/id", "INVALID_VALUE")]),
        ("update", {"lines": [{"id": 1}]}, [("/lines/0/id", "INVALID_VALUE")]),
        ("update", {"ship_to": {"country": "DE"}}, [("/ship_to/country", "FIELD_NOT_WRITABLE")]),
        ("update", {"ship_to": "Kiel"}, [("/ship_to", "INVALID_VALUE")]),
        ("update", {"order_date": "2026-10-05"}, [("/order_date", "FIELD_NOT_WRITABLE")]),
    ],
)
def test_body_with_wrong_values_names_each(operation: str, body: dict[str, Any], expected: Any) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        validate_body(card(), operation, body)
    assert not isinstance(caught.value, BadRequestError)
    assert sorted((error.pointer, error.code) for error in caught.value.errors) == sorted(expected)
    assert all(error.detail for error in caught.value.errors)


def test_status_makes_a_field_unwritable_and_the_reason_names_it() -> None:
    body = {"lines": [{"id": "1", "quantity": "3"}]}
    validate_body(card(), "update", body)
    validate_body(card(), "update", body, status="draft")
    with pytest.raises(ValidationFailedError) as caught:
        validate_body(card(), "update", body, status="open")
    (error,) = caught.value.errors
    assert (error.pointer, error.code) == ("/lines/0/quantity", "FIELD_NOT_WRITABLE")
    assert "open" in error.detail and "the vendor has the order" in error.detail


def test_line_is_not_added_where_what_it_needs_cannot_be_sent() -> None:
    validate_body(card(), "update", {"lines": [{"id": "1", "description": "x"}]}, status="open")
    with pytest.raises(ValidationFailedError, match="new ones cannot be added here") as caught:
        validate_body(card(), "update", {"lines": [{"description": "x"}]}, status="open")
    assert [(error.pointer, error.code) for error in caught.value.errors] == [("/lines/0/id", "REQUIRED")]


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"nots": "x"}, "UNKNOWN_FIELD", "/nots"),
        ({"lines": [{"quantty": 1}]}, "UNKNOWN_FIELD", "/lines/0/quantty"),
        ({"custom": {"colour": 1}}, "UNKNOWN_FIELD", "/custom"),
        ([], "INVALID_BODY", None),
        ("x", "INVALID_BODY", None),
        (None, "INVALID_BODY", None),
    ],
)
def test_body_that_is_malformed_is_a_bad_request(body: Any, code: str, pointer: str | None) -> None:
    with pytest.raises(BadRequestError) as caught:
        validate_body(card(), "update", body)
    assert caught.value.code == code and (pointer is None or caught.value.errors[0].pointer == pointer)


@pytest.mark.parametrize(
    ("moment", "good"),
    [
        ("2026-10-05T08:00:00Z", True),
        ("2026-10-05T08:00:00.123+02:00", True),
        ("2026-10-05T08:00:00", False),
        ("2026-10-05", False),
        ("2026-10-05t08:00:00z", False),
        ("2026-10-05T08:00:61Z", False),
        ("0001-01-01T00:00:00+14:00", False),
    ],
)
def test_time_needs_its_zone(moment: str, good: bool) -> None:
    if good:
        validate_body(card(), "action", {"at": moment}, action="touch")
    else:
        with pytest.raises(ValidationFailedError, match="a time with its zone"):
            validate_body(card(), "action", {"at": moment}, action="touch")


def test_parameters_of_an_action_are_checked() -> None:
    validate_body(card(), "action", {"note": "fine", "on": "2026-10-05"}, action="approve")
    with pytest.raises(ValidationFailedError) as caught:
        validate_body(card(), "action", {"on": "soon"}, action="approve")
    assert [error.code for error in caught.value.errors] == ["INVALID_VALUE", "REQUIRED"]
    with pytest.raises(BadRequestError):
        validate_body(card(), "action", {"force": True}, action="touch")
