"""What tokens may do: scopes of single entities, and the bounds of a person's role."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from core.errors import ValidationFailedError
from integrations.entities import ENTITIES
from syncs.choices import OperationKind, OperationStatus
from syncs.models import Operation
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import api, make_person, make_token, make_workspace, signed_in
from workspaces import scopes, tokens
from workspaces.choices import Role, Scope
from workspaces.models import ApiToken, Membership
from workspaces.roles import ROLE_SCOPES, narrowed

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]
TOKENS, JSON = "/api/v1/tokens", "application/json"
ORDERS = "records.purchase_order"


@pytest.mark.parametrize(
    ("held", "needed", "granted"),
    [
        ("records:write", f"{ORDERS}:read", True),
        ("records:write", f"{ORDERS}:write", True),
        ("records:read", f"{ORDERS}:read", True),
        ("records:read", f"{ORDERS}:write", False),
        (f"{ORDERS}:write", f"{ORDERS}:read", True),
        (f"{ORDERS}:read", f"{ORDERS}:read", True),
        (f"{ORDERS}:read", f"{ORDERS}:write", False),
        (f"{ORDERS}:write", "records.vendor:read", False),
        (f"{ORDERS}:write", "records:read", False),
        ("operations:write", f"{ORDERS}:read", False),
    ],
)
def test_grants(held: str, needed: str, granted: bool) -> None:
    assert tokens.grants([held], needed) is granted


def test_every_entity_has_scopes_of_its_own_and_nothing_else_has() -> None:
    names = {f"records.{entity}:{action}" for entity in ENTITIES for action in ("read", "write")}

    assert set(scopes.entity_scopes()) == names
    assert all(scopes.is_scope(name) for name in names)
    for wrong in (
        "records.nothing:read",
        f"{ORDERS}:delete",
        "syncs.purchase_order:read",
        f"{ORDERS}:read ",
        "records.",
    ):
        assert not scopes.is_scope(wrong)
        with pytest.raises(ValidationFailedError):
            make_token(make_workspace(), scopes=[wrong])


# --- entities ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def connection(erp_connector: Any, erp_server: TestErpServer) -> Connection:
    """With an order and its vendor in the copy."""
    found = connect(erp_server)
    erp_server.add_vendors(7)
    erp_server.add_orders(1)
    for entity in ("vendor", "purchase_order"):
        assert run_sync(sync_of(found, entity)).status == "completed"
    return found


def client_of(connection: Connection, *held: str) -> Any:
    return api(make_token(connection.workspace, scopes=held, connection_id=connection.pk)[1])


def failed_create(connection: Connection, entity: str) -> Operation:
    facts = {"entity": entity, "kind": OperationKind.CREATE, "status": OperationStatus.FAILED, "request": {}}
    with scope(workspace=connection.workspace_id):
        made: Operation = Operation.objects.create(
            workspace_id=connection.workspace_id,
            connection=connection,
            error={"code": "X", "message": "x", "category": "bug", "retryable": False, "who_must_act": "developer"},
            **facts,
        )
    return made


def missing(response: Any) -> str:
    assert response.status_code == 403, response.content
    return str(response.json()["required_scope"])


@pytest.mark.django_db(transaction=True)
def test_token_of_one_entity_reads_that_alone(connection: Connection) -> None:
    client = client_of(connection, f"{ORDERS}:read")

    record = client.get("/api/v1/purchase-orders").json()["data"][0]
    address = f"/api/v1/purchase-orders/{record['id']}"
    for path in (address, f"{address}/capabilities", "/api/v1/purchase-orders/meta"):
        assert client.get(path).status_code == 200, path
    assert missing(client.get("/api/v1/vendors")) == "records.vendor:read"
    for method, path in (("patch", address), ("delete", address), ("post", "/api/v1/purchase-orders/bulk")):
        assert missing(getattr(client, method)(path, {}, content_type=JSON)) == f"{ORDERS}:write"
    assert missing(client.get("/api/v1/operations")) == "operations:read"
    told = client.get(f"{address}/capabilities").json()["operations"]["update"]
    assert told["allowed"] is False


@pytest.mark.django_db(transaction=True)
def test_token_of_one_entity_cannot_expand_into_another(connection: Connection) -> None:
    path = "/api/v1/purchase-orders?expand=vendor"

    assert missing(client_of(connection, f"{ORDERS}:read").get(path)) == "records.vendor:read"
    both = client_of(connection, f"{ORDERS}:read", "records.vendor:read").get(path)
    assert both.status_code == 200 and both.json()["data"][0]["vendor"]["entity"] == "vendor"


@pytest.mark.django_db(transaction=True)
def test_operations_are_those_of_the_entities_a_token_may_write(connection: Connection) -> None:
    order, vendor = (failed_create(connection, entity) for entity in ("purchase_order", "vendor"))
    limited, reading = (
        client_of(connection, f"{ORDERS}:write"),
        client_of(connection, f"{ORDERS}:write", "operations:read"),
    )

    def seen(client: Any) -> set[str]:
        return {one["entity"] for one in client.get("/api/v1/operations").json()["data"]}

    assert seen(limited) == {"purchase_order"}
    assert seen(reading) == seen(client_of(connection, "records:write")) == {"purchase_order", "vendor"}
    assert limited.get(f"/api/v1/operations/op_{order.pk.hex}").status_code == 200
    assert limited.get(f"/api/v1/operations/op_{vendor.pk.hex}").status_code == 404
    retry = limited.post(f"/api/v1/operations/op_{order.pk.hex}/retry", {}, content_type=JSON)
    assert missing(retry) == "operations:write"


@pytest.mark.django_db(transaction=True)
def test_list_of_records_takes_no_more_queries_by_a_scope_of_its_entity(connection: Connection) -> None:
    counts = []
    for held in ("records:read", f"{ORDERS}:read"):
        client = client_of(connection, held)
        client.get("/api/v1/purchase-orders")
        with CaptureQueriesContext(database) as seen:
            assert client.get("/api/v1/purchase-orders").status_code == 200
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 3


def test_tokens_are_made_within_the_scopes_of_entities() -> None:
    workspace = make_workspace()
    narrow = api(make_token(workspace, scopes=["tokens:write", f"{ORDERS}:write"])[1])
    wide = api(make_token(workspace, scopes=["tokens:write", "records:read"])[1])

    def make(client: Any, *held: str) -> Any:
        return client.post(TOKENS, {"name": "new", "scopes": held}, content_type=JSON)

    assert make(narrow, f"{ORDERS}:read").json()["scopes"] == [f"{ORDERS}:read"]
    assert make(wide, "records.vendor:read").status_code == 201
    for client, scope_ in ((narrow, "records:read"), (narrow, "records.vendor:read"), (wide, f"{ORDERS}:write")):
        assert missing(make(client, scope_)) == scope_
    wrong = make(wide, "records.nothing:read")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/scopes/0")


def test_schema_tells_the_scopes_of_entities() -> None:
    created = api(None).get("/api/schema").json()["components"]["schemas"]["CreateTokenRequest"]["properties"]["scopes"]

    listed, pattern = created["items"]["anyOf"]
    assert listed["enum"] == Scope.values and "records" in pattern["pattern"]


# --- people -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "held", "left"),
    [
        (
            "owner",
            ["tokens:write", "audit:read", "passthrough:write"],
            ["tokens:write", "audit:read", "passthrough:write"],
        ),
        ("operator", ["tokens:write", "audit:read", "syncs:write"], ["syncs:write"]),
        ("developer", ["syncs:write", "records:write", "audit:read"], ["syncs:write", "records:write"]),
        ("auditor", ["records:write", "audit:read", "tokens:write"], ["records:read", "audit:read"]),
        ("auditor", [f"{ORDERS}:write", "passthrough:read"], [f"{ORDERS}:read"]),
    ],
)
def test_a_role_narrows_scopes(role: str, held: list[str], left: list[str]) -> None:
    assert narrowed(held, role) == sorted(left)


def test_every_role_has_scopes() -> None:
    assert set(ROLE_SCOPES) == set(Role.values)
    assert all(set(held) <= set(Scope.values) for held in ROLE_SCOPES.values())


def test_token_of_a_person_follows_their_role() -> None:
    workspace = make_workspace()
    person = make_person("owner", workspace)
    row, clear = make_token(workspace, person_id=person.pk)
    client = api(clear)
    assert client.get(TOKENS).status_code == 200

    for role, status in (("operator", 403), ("developer", 200), ("auditor", 403), ("owner", 200)):
        with scopes_disabled():
            Membership.objects.filter(user=person).update(role=role)
        assert client.get(TOKENS).status_code == status, role
    assert client.get(TOKENS).json()["data"][0]["person"] == person.get_username()
    row.refresh_from_db()
    assert row.scopes == sorted(Scope.values), "what was given stays on record"


@pytest.mark.parametrize("end", ["inactive", "no member", "member elsewhere"])
def test_token_of_a_person_who_left_is_refused(end: str) -> None:
    workspace = make_workspace()
    person = make_person("owner", workspace)
    _, clear = make_token(workspace, person_id=person.pk)
    with scopes_disabled():
        if end == "inactive":
            person.is_active = False
            person.save()
        elif end == "no member":
            Membership.objects.filter(user=person).delete()
        else:
            Membership.objects.filter(user=person).update(workspace=make_workspace())

    assert api(clear).get(TOKENS).status_code == 401


def test_token_of_a_superuser_may_do_all_without_a_membership() -> None:
    _, clear = make_token(make_workspace(), person_id=make_person(is_superuser=True).pk)

    assert api(clear).get(TOKENS).status_code == 200


def test_token_of_a_person_is_checked_in_one_statement() -> None:
    workspace = make_workspace()
    _, clear = make_token(workspace, person_id=make_person("owner", workspace).pk)
    tokens.authenticate(clear, address=None)

    with CaptureQueriesContext(database) as seen:
        tokens.authenticate(clear, address=None)
    assert len(seen) == 1


def test_token_of_a_person_makes_tokens_of_that_person_and_rotates_itself() -> None:
    workspace = make_workspace()
    person = make_person("developer", workspace)
    own, clear = make_token(workspace, person_id=person.pk)

    made = api(clear).post(TOKENS, {"name": "new", "scopes": ["records:read"]}, content_type=JSON).json()
    beyond = api(clear).post(TOKENS, {"name": "new", "scopes": ["audit:read"]}, content_type=JSON)
    rotated = api(clear).post(f"{TOKENS}/tok_{own.pk.hex}/rotate", {"overlap_seconds": 3600}, content_type=JSON).json()

    assert made["person"] == person.get_username() and missing(beyond) == "audit:read"
    assert rotated["person"] == person.get_username() and rotated["scopes"] == sorted(Scope.values)
    assert api(rotated["token"]).get("/api/v1/syncs").status_code == 200
    with scopes_disabled():
        Membership.objects.filter(user=person).delete()
    assert [api(one["token"]).get(TOKENS).status_code for one in (made, rotated)] == [401, 401]


@pytest.mark.parametrize("ticked", [True, False])
def test_admin_makes_a_token_for_oneself_when_ticked(ticked: bool) -> None:
    workspace = make_workspace()
    person = make_person("developer", workspace)
    browser, address = signed_in(person), "/admin/workspaces/apitoken/add/"
    assert "For myself" in browser.get(address).content.decode()

    values = {"workspace": workspace.pk, "name": "mine", "environment": "live"}
    values |= {"scopes": ["syncs:write", f"{ORDERS}:read"], **({"for_myself": "on"} if ticked else {})}
    told = browser.post(address, values).content.decode()

    with scopes_disabled():
        token = ApiToken.objects.get()
    assert token.person_id == (person.pk if ticked else None)
    assert token.scopes == [f"{ORDERS}:read", "syncs:write"]
    assert f"{ORDERS}:read, syncs:write." in told, "what it may do in this role"
    shown = browser.get(f"/admin/workspaces/apitoken/{token.pk}/change/").content.decode()
    assert (person.get_username() if ticked else "A service") in shown
