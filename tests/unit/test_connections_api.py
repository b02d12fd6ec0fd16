"""The endpoints of systems, connections and mappings: who sees what, what is told, what never is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.urls import include, path
from django_scopes import scope
from rest_framework.response import Response

from connections.models import Connection
from connections.services import record_trouble
from connections.views import ConnectionScopedView
from core import ids
from core.errors import UnreachableError
from tests.connectors import API_KEY, SLUG, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.tenants import api, make_token, make_workspace
from workspaces.choices import Scope
from workspaces.models import Workspace

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
    pytest.mark.urls(__name__),
]


class Which(ConnectionScopedView):
    """Tells which connection another room's view would get."""

    scopes = {"GET": Scope.RECORDS_READ}
    parameters = {"GET": {"connection"}}

    def get(self, request: Any) -> Response:
        return Response({"connection": ids.show("con", self.connection.pk)})


urlpatterns = [
    path("api/v1/", include("connections.urls")),
    path("api/v1/which", Which.as_view()),
]
handler404 = "core.problems.handler404"


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace("acme")


@pytest.fixture
def client(workspace: Workspace) -> Any:
    return caller(workspace)


def caller(workspace: Workspace, *, scopes: Any = tuple(Scope.values), **facts: Any) -> Any:
    """A client with a token of the workspace."""
    _, clear = make_token(workspace, scopes=scopes, **facts)
    return api(clear)


def shown(connection: Connection) -> str:
    return str(ids.show("con", connection.pk))


def url(connection: Connection, *rest: str) -> str:
    return "/".join(["/api/v1/connections", shown(connection), *rest])


def body_of(server: TestErpServer, **values: Any) -> dict[str, Any]:
    given = {
        "system": SLUG,
        "name": "Plant 1",
        "config": {"base_url": server.base_url},
        "secrets": {"api_key": API_KEY},
    }
    return {**given, **values}


def post(client: Any, address: str, body: Any = None) -> Any:
    return client.post(address, body, content_type="application/json") if body is not None else client.post(address)


def problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    found: dict[str, Any] = response.json()
    return found


# --- catalogue --------------------------------------------------------------------------------------------------------


def test_systems_list_and_one(client: Any) -> None:
    listed = client.get("/api/v1/systems").json()
    one = client.get(f"/api/v1/systems/{SLUG}").json()

    assert [system["slug"] for system in listed["data"]] == [SLUG] and listed["next_cursor"] is None
    assert listed["data"][0]["entities"] == ["purchase_order", "vendor"]
    settings = {setting["name"]: setting for setting in one["config"]}
    assert settings["base_url"]["is_host"] and settings["base_url"]["help"] and settings["api_key"]["kind"] == "secret"
    assert settings["site"]["choices"][0] == {"value": "north", "label": "North plant"}
    assert one["limits"]["page_size"] == 500 and one["capabilities"]["vendor"]["supported"]
    assert not one["capabilities"]["asset"]["supported"]


def test_system_that_is_not_there_is_404(client: Any) -> None:
    assert problem(client.get("/api/v1/systems/sap"), 404)["code"] == "NOT_FOUND"


# --- connections ------------------------------------------------------------------------------------------------------


def test_create_when_all_is_right_answers_active_with_its_check(client: Any, erp_server: TestErpServer) -> None:
    response = post(client, "/api/v1/connections", body_of(erp_server, metadata={"region": "north"}))

    assert response.status_code == 201, response.content
    made = response.json()
    assert response["Location"] == f"/api/v1/connections/{made['id']}"
    assert (made["status"], made["environment"], made["check"]["ok"]) == ("active", "live", True)
    assert made["secrets"] == ["api_key"] and made["has_client_key"] is False
    assert API_KEY not in response.content.decode()
    again = client.get(response["Location"])
    assert again.json() == {name: value for name, value in made.items() if name != "check"}
    assert API_KEY not in again.content.decode()


def test_create_when_the_check_fails_is_201_pending_with_the_reason(client: Any, erp_server: TestErpServer) -> None:
    response = post(client, "/api/v1/connections", body_of(erp_server, secrets={"api_key": "wrong-password"}))

    made = response.json()
    assert (response.status_code, made["status"]) == (201, "pending")
    assert made["check"]["error"]["code"] == made["error"]["code"] == "AUTHENTICATION_FAILED"
    assert "wrong-password" not in response.content.decode()


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"config": {}}, 422, "/config/base_url"),
        ({"system": "sap"}, 422, "/system"),
        ({"system": None}, 422, "/system"),
        ({"secrets": {"api_key": None}}, 422, "/secrets/api_key"),
        ({"secrets": {"api_key": {"x": 1}}}, 422, "/secrets/api_key"),
        ({"secrets": []}, 422, "/secrets"),
        ({"config": "x"}, 422, "/config"),
        ({"metadata": []}, 422, "/metadata"),
        ({"page_size": "many"}, 422, "/page_size"),
        ({"colour": "red"}, 400, "/colour"),
        ({"environment": "test"}, 400, "/environment"),
        ({"status": "active"}, 400, "/status"),
    ],
    ids=str,
)
def test_create_when_a_value_is_wrong_points_at_it(
    client: Any, erp_server: TestErpServer, workspace: Workspace, change: dict[str, Any], status: int, pointer: str
) -> None:
    response = post(client, "/api/v1/connections", body_of(erp_server, **change))

    assert [error["pointer"] for error in problem(response, status)["errors"]] == [pointer]
    with scope(workspace=workspace.pk):
        assert not Connection.objects.exists()


@pytest.mark.parametrize("body", [b"[]", b"null", b"{", b'{"name": "\\u0000"}', b'{"name": "a", "name": "b"}'])
def test_create_when_the_body_is_hostile_is_400(client: Any, body: bytes) -> None:
    assert problem(client.post("/api/v1/connections", body, content_type="application/json"), 400)


def test_list_when_filtered_finds_what_is_asked(client: Any, workspace: Workspace, erp_server: TestErpServer) -> None:
    kiel = connect(erp_server, workspace=workspace, name="Kiel", metadata={"region": "north", "rank": 1})
    bonn = connect(erp_server, workspace=workspace, name="Bonn", customer_reference="c-1", health="offline")
    rome = connect(erp_server, workspace=workspace, name="Rome", paused=True, metadata={"region": "south", "7": True})

    def found(query: str) -> set[str]:
        return {row["name"] for row in client.get(f"/api/v1/connections?{query}").json()["data"]}

    assert found("") == {kiel.name, bonn.name, rome.name}
    assert found("metadata.region=north") == found("metadata.rank=1") == {"Kiel"}
    assert found("metadata.7=true") == {"Rome"} and found("metadata.region=west") == set()
    assert found("customer_reference=c-1") == found("q=BON") == found("q=C-1") == {"Bonn"}
    assert found("status=offline") == {"Bonn"} and found("status=paused") == {"Rome"}
    assert found("status=active") == {"Kiel"} and found("status=disconnected") == set()
    assert found(f"system={SLUG}&status=active") == {"Kiel"} and found("system=sap") == set()


@pytest.mark.parametrize("query", ["colour=red", "metadata.=x", "status=fine", "limit=0", "metadata=x", "q="])
def test_list_when_a_parameter_is_wrong_is_400(client: Any, query: str) -> None:
    assert problem(client.get(f"/api/v1/connections?{query}"), 400)


def test_list_page_by_page_shows_each_once_newest_first(
    client: Any, workspace: Workspace, erp_server: TestErpServer
) -> None:
    made = [shown(connect(erp_server, workspace=workspace, name=f"Plant {number}")) for number in range(5)]
    seen, cursor = [], ""
    while True:
        page = client.get(f"/api/v1/connections?limit=2{cursor}").json()
        seen += [row["id"] for row in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert seen == made[::-1]


def test_list_of_many_needs_few_queries(
    client: Any, workspace: Workspace, erp_server: TestErpServer, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        connect(erp_server, workspace=workspace, name=f"Plant {number}")
    with django_assert_max_num_queries(4):
        client.get("/api/v1/connections")


def test_change_when_it_needs_no_check_says_null(client: Any, workspace: Workspace, erp_server: TestErpServer) -> None:
    connection = connect(erp_server, workspace=workspace)

    changed = client.patch(url(connection), {"name": "Plant 9"}, content_type="application/json").json()

    assert (changed["name"], changed["check"]) == ("Plant 9", None)


def test_change_when_the_host_moves_without_secrets_is_422(
    client: Any, workspace: Workspace, erp_server: TestErpServer
) -> None:
    connection = connect(erp_server, workspace=workspace)

    response = client.patch(
        url(connection), {"config": {"base_url": "https://evil.example"}}, content_type="application/json"
    )

    told = problem(response, 422)
    assert told["code"] == "SECRETS_REQUIRED" and told["errors"][0]["pointer"] == "/secrets/api_key"


def test_change_when_the_secret_works_again_is_active(
    client: Any, workspace: Workspace, erp_server: TestErpServer
) -> None:
    connection = connect(erp_server, workspace=workspace, health="needs_reauth", api_key="old")

    response = client.patch(url(connection), {"secrets": {"api_key": API_KEY}}, content_type="application/json")

    assert response.json()["status"] == "active" and response.json()["check"]["ok"]
    assert API_KEY not in response.content.decode()


@pytest.mark.parametrize(
    ("action", "status"), [("pause", "paused"), ("resume", "active"), ("disconnect", "disconnected")]
)
def test_actions_change_the_status(
    client: Any, workspace: Workspace, erp_server: TestErpServer, action: str, status: str
) -> None:
    connection = connect(erp_server, workspace=workspace)

    assert post(client, url(connection, action)).json()["status"] == status
    assert post(client, url(connection, action)).json()["status"] == status
    assert client.get(f"/api/v1/connections?status={status}").json()["data"][0]["id"] == shown(connection)


def test_resume_when_disconnected_is_409(client: Any, workspace: Workspace, erp_server: TestErpServer) -> None:
    connection = connect(erp_server, workspace=workspace, health="disconnected")

    assert problem(post(client, url(connection, "resume")), 409)["code"] == "CONNECTION_DISCONNECTED"
    assert problem(post(client, url(connection, "check")), 409)["code"] == "CONNECTION_DISCONNECTED"


def test_check_when_it_fails_is_200_and_says_why(client: Any, workspace: Workspace, erp_server: TestErpServer) -> None:
    connection = connect(erp_server, workspace=workspace)
    erp_server.fail("html")

    told = post(client, url(connection, "check")).json()

    assert told["ok"] is False and "HTML" in told["checks"][-1]["detail"]
    assert client.get(url(connection)).json()["error"]["code"] == "NOT_JSON"


def test_health_when_offline_says_until_when(client: Any, workspace: Workspace, erp_server: TestErpServer) -> None:
    connection = connect(erp_server, workspace=workspace)
    for _ in range(5):
        record_trouble(connection.pk, workspace.pk, UnreachableError("erp.example refused the connection."))

    told = client.get(url(connection, "health")).json()

    assert (told["status"], told["failures_in_row"]) == ("offline", 5)
    assert told["circuit_open_until"].endswith("Z") and told["error"]["who_must_act"] == "source"


def test_capabilities_of_a_connection(client: Any, workspace: Workspace, erp_server: TestErpServer) -> None:
    told = client.get(url(connect(erp_server, workspace=workspace), "capabilities")).json()

    assert told["purchase_order"]["operations"]["delete"]["delete_kind"] == "cancel"


# --- mappings ---------------------------------------------------------------------------------------------------------


def test_mapping_set_seen_and_reset(client: Any, workspace: Workspace, erp_server: TestErpServer) -> None:
    address = url(connect(erp_server, workspace=workspace), "mappings", "purchase-orders")
    default = client.get(address).json()
    rows = [{"target": "custom.gate", "source": "notes"}, {"target": "notes"}]

    overridden = client.put(address, {"rows": rows}, content_type="application/json").json()

    assert default["override"] is None and {row["origin"] for row in default["rows"]} == {"default"}
    assert overridden["override"]["version"] == 1 and overridden["override"]["created_by"].startswith("token tok_")
    by_target = {row["target"]: row for row in overridden["rows"]}
    assert by_target["custom.gate"]["origin"] == "override" and by_target["notes"]["removed"]
    assert by_target["lines"]["items"][0]["target"] == "id"
    assert client.get(address.replace("purchase-orders", "purchase_order")).json() == overridden
    assert client.delete(address).json() == {**default, "base_version": 2}


def test_mapping_when_a_row_is_wrong_points_at_it(client: Any, workspace: Workspace, erp_server: TestErpServer) -> None:
    address = url(connect(erp_server, workspace=workspace), "mappings", "purchase-orders")

    for body, status, pointer in (
        ({"rows": [{"target": "colour", "source": "x"}]}, 422, "/rows/0"),
        ({"rows": {"target": "number"}}, 422, "/rows"),
        ({}, 422, "/rows"),
        ({"rows": [], "x": 1}, 400, "/x"),
    ):
        response = client.put(address, body, content_type="application/json")
        assert problem(response, status)["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(("entity", "status"), [("spaceships", 404), ("assets", 422)])
def test_mapping_of_an_entity_that_is_not_there(
    client: Any, workspace: Workspace, erp_server: TestErpServer, entity: str, status: int
) -> None:
    assert problem(client.get(url(connect(erp_server, workspace=workspace), "mappings", entity)), status)


def test_preview_maps_real_objects_and_stores_nothing(
    client: Any, workspace: Workspace, erp_server: TestErpServer
) -> None:
    erp_server.add_orders(5)
    erp_server.add_orders(1, first=1002, total="twelve")
    connection = connect(erp_server, workspace=workspace)
    rows = [{"target": "custom.gate", "source": "notes"}]

    told = post(client, url(connection, "mappings", "purchase-orders", "preview"), {"rows": rows}).json()["data"]

    assert [row["remote_id"] for row in told] == ["1001", "1002", "1003"]
    assert told[0]["unified"]["custom"] == {"gate": "Deliver to gate 3."} and told[0]["raw"]["number"] == "PO-1001"
    assert told[1]["unified"] is None and "total_amount" in told[1]["error"]
    assert client.get(url(connection, "mappings", "purchase-orders")).json()["override"] is None


def test_preview_when_the_system_refuses_does_not_accuse_the_callers_token(
    client: Any, workspace: Workspace, erp_server: TestErpServer
) -> None:
    erp_server.fail("http_401")
    connection = connect(erp_server, workspace=workspace)

    response = post(client, url(connection, "mappings", "purchase-orders", "preview"), {"rows": []})

    assert problem(response, 424)["who_must_act"] == "customer"


# --- who sees what ----------------------------------------------------------------------------------------------------

EVERY = [
    ("get", ()),
    ("patch", ()),
    ("post", ("check",)),
    ("post", ("pause",)),
    ("post", ("resume",)),
    ("post", ("disconnect",)),
    ("get", ("health",)),
    ("get", ("capabilities",)),
    ("get", ("mappings", "vendors")),
    ("put", ("mappings", "vendors")),
    ("delete", ("mappings", "vendors")),
    ("post", ("mappings", "vendors", "preview")),
]


@pytest.mark.parametrize(("method", "rest"), EVERY, ids=str)
@pytest.mark.parametrize("whose", ["foreign", "other environment", "malformed", "another of the same workspace"])
def test_connection_that_is_not_the_callers_is_404(
    client: Any, workspace: Workspace, erp_server: TestErpServer, method: str, rest: tuple[str, ...], whose: str
) -> None:
    address = {
        "foreign": url(connect(erp_server), *rest),
        "other environment": url(connect(erp_server, workspace=workspace, environment="test"), *rest),
        "malformed": "/".join(["/api/v1/connections", "con_xyz", *rest]),
        "another of the same workspace": url(connect(erp_server, workspace=workspace), *rest),
    }[whose]
    if whose.startswith("another"):
        own = connect(erp_server, workspace=workspace)
        client = caller(workspace, connection_id=own.pk)

    body = json.dumps({"rows": []} if "mappings" in rest else {})
    response = client.generic(method.upper(), address, body, content_type="application/json")

    assert problem(response, 404)["code"] == "NOT_FOUND"
    assert erp_server.calls == []


@pytest.mark.parametrize(("method", "rest"), EVERY, ids=str)
def test_token_without_the_scope_is_403(
    workspace: Workspace, erp_server: TestErpServer, method: str, rest: tuple[str, ...]
) -> None:
    client = caller(workspace, scopes=["records:read"])

    response = getattr(client, method)(
        url(connect(erp_server, workspace=workspace), *rest), content_type="application/json"
    )

    assert problem(response, 403)["code"] == "MISSING_SCOPE"


def test_connection_token_sees_its_own_only_and_makes_none(workspace: Workspace, erp_server: TestErpServer) -> None:
    own = connect(erp_server, workspace=workspace)
    connect(erp_server, workspace=workspace)
    client = caller(workspace, connection_id=own.pk)

    assert [row["id"] for row in client.get("/api/v1/connections").json()["data"]] == [shown(own)]
    assert client.get(url(own)).status_code == 200
    assert problem(post(client, "/api/v1/connections", body_of(erp_server)), 403)


def test_disconnect_by_a_connection_token_ends_the_token_too(workspace: Workspace, erp_server: TestErpServer) -> None:
    own = connect(erp_server, workspace=workspace)
    client = caller(workspace, connection_id=own.pk)

    assert post(client, url(own, "disconnect")).json()["status"] == "disconnected"
    assert client.get(url(own)).status_code == 401


def test_which_connection_is_meant(client: Any, workspace: Workspace, erp_server: TestErpServer) -> None:
    mine, other = connect(erp_server, workspace=workspace), connect(erp_server, workspace=workspace)
    theirs = connect(erp_server)
    test = connect(erp_server, workspace=workspace, environment="test")
    own = caller(workspace, scopes=["records:read"], connection_id=mine.pk)
    which = "/api/v1/which"

    assert problem(client.get(which), 400)["code"] == "CONNECTION_REQUIRED"
    assert client.get(which, headers={"X-Connection-Id": shown(mine)}).json() == {"connection": shown(mine)}
    assert client.get(f"{which}?connection={shown(mine)}").json() == {"connection": shown(mine)}
    assert problem(client.get(f"{which}?connection={shown(mine)}", headers={"X-Connection-Id": shown(other)}), 400)
    for wrong in (shown(theirs), shown(test), "con_xyz", "con_" + "0" * 32):
        assert problem(client.get(which, headers={"X-Connection-Id": wrong}), 404)
    assert own.get(which).json() == own.get(f"{which}?connection={shown(mine)}").json() == {"connection": shown(mine)}
    assert problem(own.get(f"{which}?connection={shown(other)}"), 404)
    assert problem(own.get(which, headers={"X-Connection-Id": shown(other)}), 404)
