"""Capabilities over the API: of a connection, of a write, of one record, and what an administrator forbids."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from jsonschema import Draft202012Validator

from connections.models import CapabilityOverride, Connection
from connections.services import card_of, check_connection, set_mapping
from core import ids
from core.errors import AuthError, PermissionDeniedError
from core.ids import derived_id, namespace_of
from tests.admin_pages import html, words
from tests.capable_erp import CapableErp, capable_erp  # noqa: F401
from tests.connectors import TestErpServer, connect, erp_server  # noqa: F401
from tests.documents import code_of
from tests.syncing import run_sync, sync_of
from tests.tenants import api, make_person, make_token, make_workspace, signed_in
from workspaces.choices import Scope

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("capable_erp")]
API = "/api/v1"
READS = (
    Scope.RECORDS_READ,
    Scope.CONNECTIONS_READ,
    Scope.CONNECTIONS_WRITE,
    Scope.CAPABILITIES_WRITE,
    Scope.SYSTEMS_READ,
)


@pytest.fixture
def connection(capable_erp: Any, erp_server: TestErpServer) -> Connection:
    return connect(erp_server)


@pytest.fixture
def client(connection: Connection) -> Client:
    return client_of(connection, (*READS, Scope.RECORDS_WRITE))


def client_of(connection: Connection, scopes: Any) -> Client:
    return api(make_token(connection.workspace, scopes=scopes, connection_id=connection.pk)[1])


def url(connection: Connection, rest: str) -> str:
    return f"{API}/connections/con_{connection.pk.hex}/{rest}"


def order_url(connection: Connection, remote_id: str) -> str:
    return f"{API}/purchase-orders/po_{derived_id(namespace_of(connection.pk, 'purchase_order'), remote_id).hex}"


def overrides(client: Client, connection: Connection, *rows: dict[str, Any]) -> Any:
    body = json.dumps({"overrides": rows})
    return client.put(url(connection, "capabilities/overrides"), body, content_type="application/json")


def refusal(response: Any) -> tuple[int, str, list[tuple[str, str]]]:
    problem = response.json()
    return response.status_code, problem["code"], [(e["pointer"], e["code"]) for e in problem.get("errors", [])]


# --- of a connection --------------------------------------------------------------------------------------------------


def test_connection_tells_operations_actions_and_fields(client: Client, connection: Connection) -> None:
    orders = client.get(url(connection, "capabilities")).json()["purchase_order"]
    operations = orders["operations"]
    assert [operations[name]["supported"] for name in ("read", "create", "update", "delete")] == [True] * 4
    assert operations["delete"]["kinds"] == [
        {"kind": "hard", "only_status": ["draft"], "note": ""},
        {"kind": "cancel", "only_status": ["open", "part"], "note": ""},
    ]
    assert operations["update"]["rules"][1]["fields"] == ["lines.quantity"]
    approve = orders["actions"]["approve"]
    assert approve["supported"] and (approve["only_status"], approve["to_status"]) == (["draft"], ["open"])
    assert [parameter["name"] for parameter in approve["parameters"]] == ["note", "on"]
    fields = orders["fields"]
    assert fields["vendor"]["required"] and fields["vendor"]["writable_in"] == ["create"]
    assert fields["vendor"]["reasons"]["update"]["code"] == "platform"
    assert fields["notes"]["writable_in_status"] == ["draft", "open", "part"] and fields["notes"]["reasons"] == {}
    assert fields["lines"]["items"]["quantity"]["writable_in_status"] == ["draft"]
    assert fields["number"]["reasons"]["create"] == {
        "code": "source",
        "detail": "number cannot be written in this system.",
    }


def test_connection_has_its_own_mapping_in_it_and_the_catalogue_has_not(client: Client, connection: Connection) -> None:
    set_mapping(
        connection, "purchase_order", [{"target": "notes"}, {"target": "custom.colour", "source": "colour"}], by="me"
    )
    fields = client.get(url(connection, "capabilities")).json()["purchase_order"]["fields"]
    assert fields["notes"]["reasons"]["update"]["detail"] == "notes is not mapped to anything in this system."
    assert fields["custom.colour"]["writable_in"] == ["create", "update"]
    token = make_token(connection.workspace, scopes=READS)[1]
    declared = api(token).get(f"{API}/systems/test-erp").json()["capabilities"]["purchase_order"]["fields"]
    assert declared["notes"]["writable"] and "custom.colour" not in declared


def test_all_cards_take_two_statements(client: Client, connection: Connection) -> None:
    client.get(url(connection, "capabilities"))
    with CaptureQueriesContext(database) as queries:
        client.get(url(connection, "capabilities"))
    touched = [query["sql"] for query in queries if "connections_mapping" in query["sql"]]
    assert len(touched) == 1, touched
    assert sum("capabilityoverride" in query["sql"] for query in queries) == 1


# --- what the account may ---------------------------------------------------------------------------------------------


def test_check_finds_out_what_the_account_may(client: Client, connection: Connection) -> None:
    CapableErp.may = {"purchase_order": {"update": False, "create": True, "fly": True}, "spaceship": {"read": False}}
    outcome = check_connection(connection, by="me")
    assert outcome.ok and outcome.checks[-1].name == "permissions"
    assert outcome.checks[-1].detail == "The account may not: update purchase order."
    connection.refresh_from_db()
    assert connection.probed == {"purchase_order": {"update": False, "create": True}} and connection.probed_at

    orders = client.get(url(connection, "capabilities")).json()["purchase_order"]
    assert orders["operations"]["update"]["reason"]["code"] == "permission"
    assert orders["actions"]["touch"]["reason"]["code"] == "permission" and orders["operations"]["create"]["supported"]


@pytest.mark.parametrize("error", [PermissionDeniedError("Not for this role."), AuthError("Who are you?")])
def test_check_is_as_good_when_rights_cannot_be_found_out(connection: Connection, error: Any) -> None:
    CapableErp.may = {"purchase_order": {"update": False}}
    check_connection(connection, by="me")
    CapableErp.may = error
    outcome = check_connection(connection, by="me")
    connection.refresh_from_db()
    assert outcome.ok and outcome.error is None and connection.status == "active" and connection.error is None
    assert outcome.checks[-1].ok and outcome.checks[-1].code == error.code
    assert connection.probed is None, "not known any more"
    assert card_of(connection, "purchase_order").operation("update") is None


def test_system_that_cannot_tell_forbids_nothing(connection: Connection) -> None:
    outcome = check_connection(connection, by="me")
    connection.refresh_from_db()
    assert "permissions" not in [check.name for check in outcome.checks] and connection.probed is None


# --- what an administrator forbids ------------------------------------------------------------------------------------


def test_overrides_narrow_and_are_taken_back(client: Client, connection: Connection) -> None:
    field = {"entity": "purchase_order", "operation": "update", "field": "lines.quantity", "reason": "Ask the buyer."}
    whole = {"entity": "purchase_order", "operation": "delete"}
    made = overrides(client, connection, field, whole)
    assert made.status_code == 200, made.content
    rows = made.json()["data"]
    assert [(row["operation"], row["field"], row["reason"]) for row in rows] == [
        ("delete", "", ""),
        ("update", "lines.quantity", "Ask the buyer."),
    ]
    assert rows[0]["created_by"] and ids.read("cov", rows[0]["id"])
    told = client.get(url(connection, "capabilities")).json()["purchase_order"]
    assert told["operations"]["delete"]["reason"]["code"] == "override"
    assert told["fields"]["lines"]["items"]["quantity"]["reasons"]["update"] == {
        "code": "override",
        "detail": "An administrator forbade lines.quantity for this connection: Ask the buyer.",
    }
    assert overrides(client, connection, field).json()["data"] == rows[1:], "the same row, not another"
    assert client.get(url(connection, "capabilities/overrides")).json()["data"] == rows[1:]
    assert overrides(client, connection).json() == {"data": [], "next_cursor": None}
    assert client.get(url(connection, "capabilities")).json()["purchase_order"]["operations"]["delete"]["supported"]


@pytest.mark.parametrize(
    ("row", "pointer", "code"),
    [
        ({"entity": "asset", "operation": "update"}, "entity", "UNKNOWN_ENTITY"),
        ({"entity": "spaceship", "operation": "update"}, "entity", "UNKNOWN_ENTITY"),
        ({"entity": "purchase_order", "operation": "read"}, "operation", "UNKNOWN_OPERATION"),
        ({"entity": "purchase_order", "operation": "fly"}, "operation", "UNKNOWN_OPERATION"),
        ({"entity": "purchase_order", "operation": "update", "field": "colour"}, "field", "UNKNOWN_FIELD"),
        ({"entity": "purchase_order", "operation": "update", "field": "custom.x"}, "field", "UNKNOWN_FIELD"),
        ({"entity": "purchase_order", "operation": "delete", "field": "notes"}, "field", "UNKNOWN_FIELD"),
        ({"entity": "purchase_order", "operation": "action", "field": "explode"}, "field", "UNKNOWN_FIELD"),
        ({"entity": "purchase_order", "operation": "create", "field": "vendor"}, "field", "UNKNOWN_FIELD"),
    ],
)
def test_override_of_what_there_is_not_is_refused(
    client: Client, connection: Connection, row: dict[str, str], pointer: str, code: str
) -> None:
    good = {"entity": "vendor", "operation": "update"}
    answer = refusal(overrides(client, connection, good, row))
    assert answer == (422, "VALIDATION_FAILED", [(f"/overrides/1/{pointer}", code)])
    assert client.get(url(connection, "capabilities/overrides")).json()["data"] == [], "nothing was stored"


def test_override_bodies_are_read_strictly(client: Client, connection: Connection) -> None:
    row = {"entity": "purchase_order", "operation": "update"}
    assert refusal(overrides(client, connection, row, row))[2] == [("/overrides/1/field", "DUPLICATE")]
    assert refusal(overrides(client, connection, {**row, "allow": True}))[:2] == (400, "UNKNOWN_FIELD")
    assert refusal(overrides(client, connection, *([row] * 201)))[0] == 422
    assert refusal(overrides(client, connection, {**row, "reason": "x" * 301}))[0] == 422
    assert (
        refusal(client.put(url(connection, "capabilities/overrides"), "{}", content_type="application/json"))[0] == 422
    )


def test_who_may_only_read_forbids_nothing(connection: Connection) -> None:
    reader = client_of(connection, (Scope.CONNECTIONS_READ,))
    assert reader.get(url(connection, "capabilities/overrides")).status_code == 200
    assert refusal(overrides(reader, connection))[:2] == (403, "MISSING_SCOPE")
    stranger = api(make_token(make_workspace("Other"))[1])
    assert overrides(stranger, connection).status_code == 404


# --- the schema of a write --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["op=create", "op=update", "op=delete", "op=approve"])
def test_meta_is_a_json_schema_of_this_connection(client: Client, connection: Connection, query: str) -> None:
    response = client.get(f"{API}/purchase-orders/meta?{query}")
    assert response.status_code == 200, response.content
    schema = response.json()
    Draft202012Validator.check_schema(schema)
    assert schema["x-allowed"] is True and schema["additionalProperties"] is False


def test_meta_without_an_operation_tells_all(client: Client, connection: Connection) -> None:
    told = client.get(f"{API}/purchase-orders/meta").json()
    assert list(told["operations"]) == ["create", "update", "delete"] and list(told["actions"]) == ["approve", "touch"]
    assert told["connection_id"] == told["operations"]["update"]["x-connection-id"] == f"con_{connection.pk.hex}"
    assert told["operations"]["update"] == client.get(f"{API}/purchase-orders/meta?op=update").json()


def test_meta_says_why_not(client: Client, connection: Connection) -> None:
    vendors = client.get(f"{API}/vendors/meta?op=update").json()
    assert (vendors["x-allowed"], vendors["x-reason-code"]) == (False, "platform")
    assert vendors["x-reason"] == "The connector of Test ERP does not update a vendor."
    overrides(client, connection, {"entity": "purchase_order", "operation": "update", "field": "notes"})
    notes = client.get(f"{API}/purchase-orders/meta?op=update").json()["properties"]["notes"]
    assert notes["readOnly"] and notes["x-reason-code"] == "override"
    reader = client_of(connection, (Scope.RECORDS_READ,))
    told = reader.get(f"{API}/purchase-orders/meta?op=update").json()
    assert told["x-reason-code"] == "scope" and "records:write" in told["x-reason"]
    assert reader.get(f"{API}/vendors/meta?op=update").json()["x-reason-code"] == "platform", "the scope would not help"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("op=fly", 422, "OPERATION_NOT_SUPPORTED"),
        ("op=create&fields=notes", 400, "UNKNOWN_PARAMETER"),
    ],
)
def test_meta_refuses_what_it_does_not_know(client: Client, query: str, status: int, code: str) -> None:
    assert refusal(client.get(f"{API}/purchase-orders/meta?{query}"))[:2] == (status, code)


def test_meta_of_an_entity_the_system_lacks(client: Client) -> None:
    assert refusal(client.get(f"{API}/assets/meta?op=create"))[:2] == (422, "OPERATION_NOT_SUPPORTED")


# --- one record -------------------------------------------------------------------------------------------------------


@pytest.fixture
def synced(erp_server: TestErpServer, connection: Connection) -> None:
    for number, status in ((1, "draft"), (2, "open"), (3, "done")):
        erp_server.add_orders(1, first=number, status=status)
    run_sync(sync_of(connection))


@pytest.mark.usefixtures("synced")
@pytest.mark.parametrize(
    ("remote_id", "status", "update", "kind", "approve", "quantity"),
    [
        ("1", "draft", None, "hard", None, None),
        ("2", "open", None, "cancel", "status", "status"),
        ("3", "done", "status", None, "status", "status"),
    ],
)
def test_record_tells_what_may_be_done_now(
    client: Client,
    connection: Connection,
    remote_id: str,
    status: str,
    update: str | None,
    kind: str | None,
    approve: str | None,
    quantity: str | None,
) -> None:
    response = client.get(f"{order_url(connection, remote_id)}/capabilities")
    assert response.status_code == 200, response.content
    told = response.json()
    assert (told["entity"], told["status"], told["id"]) == (
        "purchase_order",
        status,
        order_url(connection, remote_id).rpartition("/")[2],
    )
    assert _code(told["operations"]["update"]) == update and told["operations"]["delete"]["kind"] == kind
    assert _code(told["actions"]["approve"]) == approve and _code(told["actions"]["touch"]) is None
    assert _code(told["fields"]["lines.quantity"]) == quantity
    assert _code(told["fields"]["notes"]) == update
    assert _code(told["fields"]["number"]) == (update or "source")
    assert told["fields"]["number"]["may_change"] is False


def _code(told: dict[str, Any]) -> str | None:
    assert told.get("allowed", told.get("may_change")) is (told["reason"] is None)
    return told["reason"]["code"] if told["reason"] else None


@pytest.mark.usefixtures("synced")
def test_record_names_the_scope_only_where_nothing_else_is_in_the_way(connection: Connection) -> None:
    reader = client_of(connection, (Scope.RECORDS_READ,))
    told = reader.get(f"{order_url(connection, '2')}/capabilities").json()
    assert _code(told["operations"]["update"]) == "scope" and _code(told["fields"]["notes"]) == "scope"
    assert told["operations"]["update"]["reason"]["detail"] == "The token needs the scope records:write."
    assert _code(told["fields"]["number"]) == "source" and _code(told["actions"]["approve"]) == "status"


@pytest.mark.usefixtures("synced")
def test_record_that_is_not_there_has_no_capabilities(
    client: Client, connection: Connection, erp_server: TestErpServer
) -> None:
    for path in (
        order_url(connection, "99"),
        f"{API}/purchase-orders/1",
        f"{API}/vendors/{order_url(connection, '1')}",
    ):
        assert client.get(f"{path}/capabilities").status_code == 404
    workspace = make_workspace("Other")
    stranger = api(make_token(workspace)[1])
    own = connect(erp_server, workspace=workspace)
    path = f"{order_url(connection, '1')}/capabilities"
    assert stranger.get(path, headers={"X-Connection-Id": f"con_{connection.pk.hex}"}).status_code == 404
    assert stranger.get(path, headers={"X-Connection-Id": f"con_{own.pk.hex}"}).status_code == 404


# --- as the guide says ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("synced")
def test_guide_shows_what_is_answered(client: Client, connection: Connection) -> None:
    record, schema, request, refusal = map(json.loads, code_of("docs/guides/capabilities.md", "json"))
    path = f"{order_url(connection, '2')}/capabilities"
    _holds(client.get(path).json(), record)
    _holds(client.get(f"{API}/purchase-orders/meta?op=update").json(), schema)
    assert overrides(client, connection, *request["overrides"]).status_code == 200
    draft = client.get(f"{order_url(connection, '1')}/capabilities").json()
    _holds(draft["fields"]["lines.quantity"], refusal)


def _holds(answer: Any, told: Any) -> None:
    """What a page shows stands in the answer; the page may leave members out."""
    if isinstance(told, dict):
        assert not set(told) - set(answer), told
        for name, value in told.items():
            _holds(answer[name], value)
    else:
        assert answer == told


# --- by command -------------------------------------------------------------------------------------------------------


def test_command_shows_the_matrix_and_json(connection: Connection, capsys: Any) -> None:
    name = f"con_{connection.pk.hex}"
    call_command("capabilities", name)
    shown = capsys.readouterr().out
    assert "Purchase order" in shown and "Vendor" in shown and "approve" in shown
    call_command("capabilities", name, "--entity", "purchase_order")
    shown = " ".join(capsys.readouterr().out.split())
    assert "lines.quantity" in shown and "draft" in shown
    call_command("capabilities", name, "--entity", "purchase_order", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["purchase_order"]["operations"]["update"]["supported"] is True and list(told) == ["purchase_order"]


def test_overrides_die_with_their_connection(client: Client, connection: Connection) -> None:
    overrides(client, connection, {"entity": "vendor", "operation": "update"})
    stored = CapabilityOverride.objects.with_scopes_disabled()
    assert stored.count() == 1
    Connection.objects.with_scopes_disabled().filter(pk=connection.pk).delete()
    assert stored.count() == 0


# --- in the admin -----------------------------------------------------------------------------------------------------

CHANGE = "/admin/connections/connection/{}/change/"
PAGE = "/admin/connections/connection/{}/capabilities/purchase_order/"


def person_of(connection: Connection, role: str) -> Client:
    return signed_in(make_person(role, connection.workspace))


@pytest.mark.filterwarnings("ignore:No directory at")
def test_admin_shows_the_matrix_with_its_reasons(connection: Connection) -> None:
    CapableErp.may = {"purchase_order": {"create": False}}
    check_connection(connection, by="me")
    shown = words(person_of(connection, "auditor").get(CHANGE.format(connection.pk)))
    assert "may not be done: The account of this connection may not create purchase orders in Test ERP" in shown
    assert "may not be done: The connector of Test ERP does not update a vendor." in shown
    assert "hard, cancel" in shown and "Approve" in shown and "was found out" in shown
    assert "Test ERP has no asset that can be read." in shown
    page = words(person_of(connection, "auditor").get(PAGE.format(connection.pk)))
    assert "lines.quantity: only while draft (the vendor has the order)" in page and "hard while draft" in page
    assert "Release it to the vendor." in page and "number cannot be written in this system." in page
    assert html(
        person_of(connection, "auditor").get(PAGE.format(connection.pk).replace("purchase_order", "asset")), 404
    )


@pytest.mark.filterwarnings("ignore:No directory at")
@pytest.mark.parametrize("role", ["owner", "operator"])
def test_admin_forbids_and_allows_again(connection: Connection, role: str) -> None:
    client, address = person_of(connection, role), PAGE.format(connection.pk)
    form = {"operation": "update", "field": "lines.quantity", "reason": "Ask the buyer.\x00"}
    assert "Forbidden: update lines.quantity of purchase order." in words(client.post(address, form, follow=True))
    assert "Ask the buyer." in words(client.get(CHANGE.format(connection.pk)))
    again = words(client.post(address, {**form, "reason": "Because."}, follow=True))
    assert "Because." in again and "Ask the buyer." not in again, "one row, with the newer reason"
    for wrong, told in [
        ({"operation": "fly"}, "fly cannot be forbidden"),
        ({"field": "colour"}, "no field colour"),
        ({"reason": "x" * 301}, "at most 300 characters"),
    ]:
        page = client.post(address, {**form, **wrong})
        assert told in words(page)
        assert all(f'value="{value}"' in html(page) for name, value in wrong.items() if name != "operation")
    row = CapabilityOverride.objects.with_scopes_disabled().get()
    assert row.created_by.startswith("person") and row.workspace_id == connection.workspace_id
    assert "Not forbidden any more" in words(client.post(address, {"allow": str(row.pk)}, follow=True))
    assert "not forbidden (any more)" in words(client.post(address, {"allow": str(row.pk)}))
    assert html(client.post(address, {"allow": "x"}), 404)


@pytest.mark.filterwarnings("ignore:No directory at")
@pytest.mark.parametrize("role", ["auditor", "developer"])
def test_admin_lets_others_only_look(connection: Connection, role: str) -> None:
    client, address = person_of(connection, role), PAGE.format(connection.pk)
    assert 'name="operation"' not in html(client.get(address))
    assert html(client.post(address, {"operation": "update"}), 403)
    assert not CapabilityOverride.objects.with_scopes_disabled().exists()


@pytest.mark.filterwarnings("ignore:No directory at")
def test_admin_page_takes_the_same_queries_however_much_is_forbidden(
    client: Client, connection: Connection, django_assert_max_num_queries: Any, django_assert_num_queries: Any
) -> None:
    person = person_of(connection, "owner")
    for address in (CHANGE.format(connection.pk), PAGE.format(connection.pk)):
        overrides(client, connection, {"entity": "vendor", "operation": "update"})
        html(person.get(address))
        with django_assert_max_num_queries(32) as few:
            html(person.get(address))
        count = len(few)
        rows = [{"entity": "purchase_order", "operation": one} for one in ("create", "update", "delete", "action")]
        overrides(client, connection, *rows, {"entity": "vendor", "operation": "delete"})
        with django_assert_num_queries(count):
            html(person.get(address))
