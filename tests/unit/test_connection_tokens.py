"""What hangs on one connection: its tokens, made within the caller's bounds, and its mappings in short."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django_scopes import scope

from connections import services
from connections.models import Connection
from core import ids
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.tenants import api, make_token, make_workspace
from workspaces.choices import Scope
from workspaces.models import ApiToken, Workspace

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
WANTED = {"name": "Portal", "scopes": ["records:read"]}


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace("acme")


@pytest.fixture
def connection(workspace: Workspace, erp_server: TestErpServer) -> Connection:
    return connect(erp_server, workspace=workspace)


@pytest.fixture
def client(workspace: Workspace) -> Any:
    return api(make_token(workspace)[1])


def url(connection: Connection, rest: str = "tokens") -> str:
    return f"/api/v1/connections/{ids.show('con', connection.pk)}/{rest}"


def post(client: Any, address: str, body: Any) -> Any:
    return client.post(address, body, content_type="application/json")


def count_of(connection: Connection) -> int:
    with scope(workspace=connection.workspace_id):
        return int(ApiToken.objects.filter(connection_id=connection.pk).count())


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_create_token_when_allowed_then_it_sees_this_connection_alone(client, workspace, connection, erp_server):
    other = connect(erp_server, workspace=workspace)
    wanted = {"expires_at": "2100-01-01T00:00:00Z", "allowed_networks": ["127.0.0.0/8"], "scopes": ["connections:read"]}

    response = post(client, url(connection), {**WANTED, **wanted})
    made = response.json()

    assert response.status_code == 201, made
    assert response["Location"] == f"/api/v1/tokens/{made['id']}" and response["Cache-Control"] == "no-store"
    assert made["connection"] == ids.show("con", connection.pk) and made["environment"] == "live"
    assert (made["scopes"], made["allowed_networks"]) == (["connections:read"], ["127.0.0.0/8"])
    own = api(made["token"])
    listed = own.get("/api/v1/connections").json()["data"]
    assert [one["id"] for one in listed] == [made["connection"]]
    assert own.get(url(other, "health")).status_code == 404
    assert client.get(response["Location"]).json() == {
        **{name: value for name, value in made.items() if name != "token"},
        "last_used_at": client.get(response["Location"]).json()["last_used_at"],
    }


def test_create_token_when_the_connection_is_of_test_then_so_is_the_token(workspace, erp_server):
    trial = connect(erp_server, workspace=workspace, environment="test")
    tester = api(make_token(workspace, environment="test")[1])

    assert post(tester, url(trial), WANTED).json()["token"].startswith("lsh_test_")


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        ({**WANTED, "colour": "red"}, 400, "UNKNOWN_FIELD", "/colour"),
        ({**WANTED, "environment": "live"}, 400, "UNKNOWN_FIELD", "/environment"),
        ({**WANTED, "connection": "con_1"}, 400, "UNKNOWN_FIELD", "/connection"),
        ({"scopes": ["records:read"]}, 422, "VALIDATION_FAILED", "/name"),
        ({**WANTED, "scopes": ["everything"]}, 422, "VALIDATION_FAILED", "/scopes/0"),
        ({**WANTED, "scopes": []}, 422, "VALIDATION_FAILED", "/scopes"),
        ({**WANTED, "expires_at": "2020-01-01T00:00:00Z"}, 422, "VALIDATION_FAILED", "/expires_at"),
        ({**WANTED, "allowed_networks": ["10.0.0.1/8"]}, 422, "VALIDATION_FAILED", "/allowed_networks/0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_create_token_when_the_body_is_wrong_says_where(client, connection, body, status, code, pointer):
    response = post(client, url(connection), body)

    found = response.json()
    assert (response.status_code, found["code"]) == (status, code)
    assert [error["pointer"] for error in found["errors"]] == [pointer]
    assert count_of(connection) == 0


def test_create_token_never_reaches_beyond_the_callers_own(workspace, connection):
    narrow = api(make_token(workspace, scopes=["tokens:write", "records:read"], allowed_networks=["127.0.0.0/8"])[1])

    refused = post(narrow, url(connection), {**WANTED, "scopes": ["records:read", "syncs:write"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "MISSING_SCOPE")
    assert refused.json()["required_scope"] == "syncs:write"
    outside = post(narrow, url(connection), {**WANTED, "allowed_networks": ["10.0.0.0/8"]})
    assert (outside.status_code, outside.json()["code"]) == (403, "NETWORK_NOT_ALLOWED")
    assert count_of(connection) == 0
    assert post(narrow, url(connection), WANTED).json()["allowed_networks"] == ["127.0.0.0/8"], "those of the caller"


def test_tokens_when_the_scope_is_missing_are_refused(workspace, connection):
    reader = api(make_token(workspace, scopes=["connections:write"])[1])

    for response in (reader.get(url(connection)), post(reader, url(connection), WANTED)):
        assert (response.status_code, response.json()["required_scope"]) == (403, "tokens:write")


def test_list_tokens_shows_those_of_this_connection_page_by_page(client, workspace, connection, erp_server):
    other = connect(erp_server, workspace=workspace)
    made = [post(client, url(connection), {**WANTED, "name": f"Portal {number}"}).json() for number in range(3)]
    post(client, url(other), {**WANTED, "name": "Of another"})

    first = client.get(url(connection), {"limit": 2}).json()
    second = client.get(url(connection), {"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [token["name"] for token in first["data"] + second["data"]] == ["Portal 2", "Portal 1", "Portal 0"]
    assert second["next_cursor"] is None
    assert not any(one["token"] in json.dumps([first, second]) for one in made), "shown once"
    elsewhere = client.get(url(other), {"cursor": first["next_cursor"]})
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (400, "INVALID_CURSOR")


def test_tokens_of_another_connection_are_not_there(workspace, connection, erp_server):
    other = connect(erp_server, workspace=workspace)
    with scope(workspace=workspace.pk):
        own = api(make_token(workspace, connection_id=connection.pk)[1])

    assert len(own.get(url(connection)).json()["data"]) == 1
    assert post(own, url(connection), WANTED).status_code == 201
    for response in (own.get(url(other)), post(own, url(other), WANTED)):
        assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
    assert count_of(other) == 0


def test_create_token_when_the_connection_was_ended_is_a_conflict(client, connection):
    made = post(client, url(connection), WANTED).json()
    services.disconnect_connection(connection, by="test")

    refused = post(client, url(connection), WANTED)

    assert (refused.status_code, refused.json()["code"]) == (409, "CONNECTION_DISCONNECTED")
    assert [(one["id"], one["status"]) for one in client.get(url(connection)).json()["data"]] == [
        (made["id"], "revoked")
    ]


# --- mappings ---------------------------------------------------------------------------------------------------------


def test_mappings_without_an_override_are_the_defaults(client, connection):
    page = client.get(url(connection, "mappings")).json()

    assert page["next_cursor"] is None
    assert [one["entity"] for one in page["data"]] == ["purchase_order", "vendor"]
    for one in page["data"]:
        assert (one["override_version"], one["overridden_targets"]) == (None, [])
        whole = client.get(one["url"]).json()
        assert (one["default_version"], one["row_count"]) == (whole["default"]["version"], len(whole["rows"]))


def test_mappings_with_an_override_tell_what_it_changes(client, connection):
    before = client.get(url(connection, "mappings")).json()["data"][0]["row_count"]
    rows = [{"target": "custom.colour", "source": "colour"}, {"target": "number"}]
    services.set_mapping(connection, "purchase_order", rows[:1], by="test")
    services.set_mapping(connection, "purchase_order", rows, by="test")

    order, vendor = client.get(url(connection, "mappings")).json()["data"]

    assert (order["override_version"], order["overridden_targets"]) == (2, ["custom.colour", "number"])
    assert order["row_count"] == before, "one more, one less"
    assert vendor["override_version"] is None
    services.set_mapping(connection, "purchase_order", None, by="test")
    again = client.get(url(connection, "mappings")).json()["data"][0]
    assert (again["override_version"], again["overridden_targets"], again["row_count"]) == (None, [], before)


def test_mappings_are_read_with_few_queries(client, connection):
    client.get(url(connection, "mappings"))

    with CaptureQueriesContext(database) as seen:
        assert client.get(url(connection, "mappings")).status_code == 200

    # Token, connection, a default for each of two entities, the overrides, all rows.
    assert len(seen) <= 6, [one["sql"][:120] for one in seen]


def test_mappings_of_another_connection_are_not_there(workspace, connection, erp_server):
    other = connect(erp_server, workspace=workspace)
    own = api(make_token(workspace, connection_id=connection.pk, scopes=[Scope.CONNECTIONS_READ])[1])
    syncer = api(make_token(workspace, scopes=["syncs:write"])[1])

    assert own.get(url(connection, "mappings")).status_code == 200
    assert own.get(url(other, "mappings")).status_code == 404
    assert own.get(f"/api/v1/connections/con_{uuid4().hex}/mappings").status_code == 404
    assert syncer.get(url(connection, "mappings")).json()["required_scope"] == "connections:read"
