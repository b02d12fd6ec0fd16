"""The API's gate (token, browser, scope, parameters, tenant) and the token endpoints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils import timezone
from django_scopes import ScopeError, get_scope, scope
from rest_framework import serializers
from rest_framework.response import Response

from core import ids
from core.api_errors import BadRequestError
from core.errors import ConflictError
from core.serializers import StrictSerializer
from tests.tenants import api, make_token, make_workspace
from workspaces.choices import Scope
from workspaces.models import ApiToken, Workspace
from workspaces.views import ApiView

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]
JSON = "application/json"


class Probe(ApiView):
    """Tells the scope it runs in, or fails as told."""

    scopes = {"GET": Scope.RECORDS_READ, "POST": Scope.SYNCS_READ}
    parameters = {"GET": {"fail"}}

    def get(self, request: Any) -> Response:
        match request.GET.get("fail"):
            case "bug":
                raise RuntimeError("the inside")
            case "conflict":
                raise ConflictError("Somebody was faster.")
        return Response(
            {"workspace": str(get_scope()["workspace"]), "same": self.workspace.pk == self.token.workspace_id}
        )

    def post(self, request: Any) -> Response:
        return Response({"got": request.data})

    def delete(self, request: Any) -> Response:
        raise AssertionError("a method without a scope is never reached")


urlpatterns = [path("api/v1/probe", Probe.as_view())]
handler404 = "core.problems.handler404"
handler500 = "core.problems.handler500"
probed = pytest.mark.urls(__name__)


def problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    return body


@probed
def test_view_runs_in_the_tokens_workspace_and_leaves_it() -> None:
    workspace = make_workspace()
    client = api(make_token(workspace)[1])

    assert client.get("/api/v1/probe").json() == {"workspace": str(workspace.pk), "same": True}
    for failure, status in [("bug", 500), ("conflict", 409)]:
        body = problem(client.get(f"/api/v1/probe?fail={failure}"), status)
        assert "the inside" not in str(body) and body["request_id"]
        assert get_scope() == {}
        with pytest.raises(ScopeError):
            Workspace.objects.count()


@probed
def test_view_enters_the_tokens_workspace_even_inside_another_scope() -> None:
    workspace = make_workspace()
    client = api(make_token(workspace)[1])

    with scope(workspace=make_workspace().pk):
        assert client.get("/api/v1/probe").json()["workspace"] == str(workspace.pk)


@probed
@pytest.mark.parametrize("header", [None, "Basic abc", "Bearer", "Bearer lsh_live_nonsense", "bearer \x7f"])
def test_without_a_valid_token_is_401(header: str | None) -> None:
    response = api(None).get("/api/v1/probe", headers={"Authorization": header} if header else {})

    assert problem(response, 401)["code"] == "AUTHENTICATION_FAILED"
    assert response["WWW-Authenticate"].startswith("Bearer")


@probed
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://testserver.evil.example"}, 403),
        ({"Origin": "https://testserver"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://127.0.0.1:8000"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({}, 200),
    ],
)
def test_browser_of_another_origin_is_refused(headers: dict[str, str], status: int) -> None:
    response = api(make_token(make_workspace())[1]).get("/api/v1/probe", headers=headers)

    assert response.status_code == status
    if status == 403:
        assert problem(response, 403)["code"] == "BROWSER_NOT_ALLOWED"


@probed
def test_scope_is_demanded_by_method_and_named() -> None:
    client = api(make_token(make_workspace(), scopes=["syncs:write"])[1])

    body = problem(client.get("/api/v1/probe"), 403)
    assert (body["code"], body["required_scope"]) == ("MISSING_SCOPE", "records:read")
    assert client.head("/api/v1/probe").status_code == 403
    assert client.post("/api/v1/probe", {"a": 1}, content_type=JSON).json() == {"got": {"a": 1}}


@probed
def test_method_without_a_scope_is_refused_to_everybody() -> None:
    client = api(make_token(make_workspace())[1])

    assert problem(client.delete("/api/v1/probe"), 403)["code"] == "SCOPE_NOT_DECLARED"
    assert problem(client.put("/api/v1/probe"), 405)["code"] == "METHOD_NOT_ALLOWED"
    assert problem(client.options("/api/v1/probe"), 405)


@probed
@pytest.mark.parametrize("query", ["limti=3", "fail=no&format=xml", "format=json"])
def test_unknown_parameter_is_400(query: str) -> None:
    body = problem(api(make_token(make_workspace())[1]).get(f"/api/v1/probe?{query}"), 400)

    assert body["code"] == "UNKNOWN_PARAMETER"


@probed
@pytest.mark.parametrize("accept", ["text/html", "application/xml;q=0.9", "nonsense", "*/*"])
def test_answer_is_json_whatever_is_accepted(accept: str) -> None:
    response = api(make_token(make_workspace())[1]).get("/api/v1/probe", headers={"Accept": accept})

    assert (response.status_code, response["Content-Type"]) == (200, JSON)


def test_unknown_api_address_is_a_problem() -> None:
    problem(api(None).get("/api/v1/nothing"), 404)


def wanted(**values: Any) -> dict[str, Any]:
    return {"name": "new", "scopes": ["records:read"], **values}


def post(client: Any, body: Any, address: str = "/api/v1/tokens") -> Any:
    return client.post(address, body, content_type=JSON)


def test_create_token_shows_it_once() -> None:
    client = api(make_token(make_workspace())[1])

    response = post(client, wanted(expires_at="2099-01-01T00:00:00Z", allowed_networks=["127.0.0.0/8"]))

    assert response.status_code == 201 and response["Cache-Control"] == "no-store"
    made = response.json()
    assert made["token"].startswith(made["prefix"]) and made["status"] == "active"
    assert made["created_by"].startswith("token tok_") and made["expires_at"] == "2099-01-01T00:00:00Z"
    shown = client.get(response["Location"]).json()
    assert shown == {name: value for name, value in made.items() if name != "token"}
    assert api(made["token"]).get("/api/v1/events").status_code == 403, "it has only the scope it was given"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (wanted(scopes=["records:read", "connections:write"]), "MISSING_SCOPE"),
        (wanted(environment="test"), "ENVIRONMENT_NOT_ALLOWED"),
        (wanted(allowed_networks=["0.0.0.0/0"]), "NETWORK_NOT_ALLOWED"),
        (wanted(allowed_networks=["2001:db8::/32"]), "NETWORK_NOT_ALLOWED"),
    ],
)
def test_create_token_when_it_would_reach_further_than_its_maker_is_refused(body: Any, code: str) -> None:
    scopes = ["tokens:write", "records:read", "connections:read"]
    client = api(make_token(make_workspace(), scopes=scopes, allowed_networks=["127.0.0.0/8"])[1])

    assert problem(post(client, body), 403)["code"] == code


def test_create_token_inherits_connection_and_networks() -> None:
    connection_id = uuid4()
    _, clear = make_token(make_workspace(), connection_id=connection_id, allowed_networks=["127.0.0.0/8"])

    made = post(api(clear), wanted()).json()

    assert made["connection"] == ids.show("con", connection_id)
    assert made["allowed_networks"] == ["127.0.0.0/8"]


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (wanted(conection="con_1"), 400, "/conection"),
        ({"scopes": ["records:read"]}, 422, "/name"),
        (wanted(scopes=[]), 422, "/scopes"),
        (wanted(scopes=["all"]), 422, "/scopes/0"),
        (wanted(expires_at="yesterday"), 422, "/expires_at"),
        (wanted(expires_at="2001-01-01T00:00:00Z"), 422, "/expires_at"),
        (wanted(allowed_networks=["10.0.0.1/8"]), 422, "/allowed_networks/0"),
    ],
)
def test_create_token_when_a_value_is_wrong_names_it(body: Any, status: int, pointer: str) -> None:
    client = api(make_token(make_workspace())[1])

    assert [error["pointer"] for error in problem(post(client, body), status)["errors"]] == [pointer]


@pytest.mark.parametrize("body", ["[]", "1", '{"name": "\\u0000"}', '{"name": 1, "name": 2}', "{"])
def test_create_token_when_the_body_is_hostile_is_400(body: str) -> None:
    problem(post(api(make_token(make_workspace())[1]), body), 400)


class Line(StrictSerializer):
    quantity = serializers.CharField()
    id = serializers.CharField(read_only=True)


class Order(StrictSerializer):
    lines = Line(many=True)
    custom = serializers.DictField(required=False)


def test_strict_serializer_names_every_unknown_field_at_its_depth() -> None:
    lines = [{"quantity": "1"}, {"quantity": "1", "quantiy": "2", "a/b": 1, "id": "x"}]
    with pytest.raises(BadRequestError) as caught:
        Order(data={"lines": lines, "custom": {"free": 1}, "extra": 1}).is_valid(raise_exception=True)

    found = {error.pointer: error.detail for error in caught.value.errors}
    assert set(found) == {"/lines/1/quantiy", "/lines/1/a~1b", "/lines/1/id", "/extra"}
    assert found["/lines/1/quantiy"] == "Did you mean quantity?" and "set by us" in found["/lines/1/id"]
    assert Order(data={"lines": lines[:1], "custom": {"free": 1}}).is_valid()


def test_list_tokens_pages_through_ones_own_environment() -> None:
    workspace = make_workspace()
    own, clear = make_token(workspace)
    others = [make_token(workspace, name=f"t{number}")[0] for number in range(4)]
    make_token(workspace, environment="test")
    make_token(make_workspace())
    client, seen, cursor = api(clear), [], ""

    while cursor is not None:
        page = client.get(f"/api/v1/tokens?limit=2{f'&cursor={cursor}' if cursor else ''}").json()
        seen += [token["id"] for token in page["data"]]
        cursor = page["next_cursor"]

    assert seen == [ids.show("tok", token.pk) for token in [*reversed(others), own]]
    assert "digest" not in str(page) and "token" not in page["data"][0]


def test_foreign_token_is_404() -> None:
    workspace, connection_id = make_workspace(), uuid4()
    mine, clear = make_token(workspace, connection_id=connection_id)
    foreign = [make_token(make_workspace())[0], make_token(workspace)[0], make_token(workspace, environment="test")[0]]
    client = api(clear)

    shown = [ids.show("tok", token.pk) for token in foreign]
    for name in [*shown, "tok_" + "0" * 32, "nonsense", str(mine.pk)]:
        assert problem(client.get(f"/api/v1/tokens/{name}"), 404)["code"] == "NOT_FOUND"
        assert problem(post(client, {}, f"/api/v1/tokens/{name}/revoke"), 404)
    assert [token["id"] for token in client.get("/api/v1/tokens").json()["data"]] == [ids.show("tok", mine.pk)]


def test_revoke_token_ends_it_at_once() -> None:
    workspace = make_workspace()
    _, clear = make_token(workspace)
    doomed, doomed_clear = make_token(workspace)
    address = f"/api/v1/tokens/{ids.show('tok', doomed.pk)}/revoke"

    first, again = post(api(clear), {}, address).json(), post(api(clear), {}, address).json()

    assert first["status"] == "revoked" and first == again
    problem(api(doomed_clear).get("/api/v1/tokens"), 401)


def test_token_endpoints_demand_their_scope() -> None:
    token, clear = make_token(make_workspace(), scopes=[name for name in Scope.values if name != "tokens:write"])
    client, address = api(clear), f"/api/v1/tokens/{ids.show('tok', token.pk)}"

    for response in [
        client.get("/api/v1/tokens"),
        post(client, wanted()),
        client.get(address),
        post(client, {}, f"{address}/revoke"),
    ]:
        assert problem(response, 403)["required_scope"] == "tokens:write"


def test_expired_token_is_shown_as_expired() -> None:
    workspace = make_workspace()
    old, _ = make_token(workspace, expires_at=timezone.now() + timedelta(days=1))
    with scope(workspace=workspace.pk):
        ApiToken.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(days=1))

    client = api(make_token(workspace)[1])
    assert client.get(f"/api/v1/tokens/{ids.show('tok', old.pk)}").json()["status"] == "expired"


def test_schema_and_docs_are_served_from_our_own_origin() -> None:
    client = api(None)
    schema = client.get("/api/schema")
    assert schema.status_code == 200 and schema.json()["openapi"].startswith("3.1")
    assert {"/api/v1/events", "/api/v1/tokens"} <= set(schema.json()["paths"])
    feed = schema.json()["paths"]["/api/v1/events"]["get"]
    assert feed["security"] == [{"token": []}] and feed["responses"]["200"]["content"][JSON]["examples"]

    page = client.get("/api/docs", headers={"Accept": "text/html"})
    html = page.content.decode()
    assert page.status_code == 200 and "/static/drf_spectacular_sidecar/swagger-ui-dist/" in html
    assert "//" not in html.replace("<!--", "").replace("</", "<"), "nothing comes from another host"
    assert "script-src 'self'" in page["Content-Security-Policy"]
    assert "<script>" not in html, "no script stands in the page"
    script = client.get("/api/docs?script=")
    assert script.status_code == 200 and "schema" in script.content.decode()


def test_home_leads_to_the_admin() -> None:
    assert api(None).get("/")["Location"] == "/admin/"


# --- within the bounds of who asks ------------------------------------------------------------------------------------


def test_create_token_when_a_network_is_none_says_so_also_where_networks_are_bound() -> None:
    _, clear = make_token(make_workspace(), allowed_networks=["127.0.0.0/8"])
    body = {"name": "ci", "scopes": ["records:read"], "allowed_networks": ["127.0.0.1", "nonsense"]}
    answer = problem(api(clear).post("/api/v1/tokens", body, content_type=JSON), 422)
    assert answer["errors"][0]["pointer"] == "/allowed_networks/1"


def test_create_token_inherits_the_rate_limit_of_its_maker() -> None:
    workspace = make_workspace()
    own, clear = make_token(workspace)
    with scope(workspace=workspace.pk):
        ApiToken.objects.filter(pk=own.pk).update(rate_limit_per_minute=7)
        made = api(clear).post("/api/v1/tokens", {"name": "ci", "scopes": ["records:read"]}, content_type=JSON)
        assert made.status_code == 201, made.content
        assert ApiToken.objects.exclude(pk=own.pk).get().rate_limit_per_minute == 7


def test_list_tokens_reads_one_page_of_rows() -> None:
    workspace = make_workspace()
    clear = [make_token(workspace)[1] for _ in range(3)][-1]
    with CaptureQueriesContext(connection) as queries:
        assert len(api(clear).get("/api/v1/tokens?limit=1").json()["data"]) == 1
    (listed,) = [
        query["sql"] for query in queries if "ORDER BY" in query["sql"] and "workspaces_apitoken" in query["sql"]
    ]
    assert "LIMIT 2" in listed


def test_rotate_token_that_ends_with_the_calendar_works() -> None:
    workspace = make_workspace()
    token, clear = make_token(workspace, expires_at=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    with scope(workspace=workspace.pk):
        ApiToken.objects.filter(pk=token.pk).update(created_at=timezone.now() - timedelta(days=3))
    address = f"/api/v1/tokens/{ids.show('tok', token.pk)}/rotate"
    answer = api(clear).post(address, {"overlap_seconds": 0}, content_type=JSON)
    assert answer.status_code == 201, answer.content
    assert answer.json()["expires_at"].startswith("9999-12-31")
