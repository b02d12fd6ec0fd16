"""Link as a product's backend uses it by API, and as people use it in the admin."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.urls import reverse
from django_scopes import scope, scopes_disabled

from connections.choices import LinkStatus
from connections.models import Connection, LinkSession
from connections.services import linking
from core import ids
from tests.connectors import API_KEY, SLUG, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.tenants import api, make_person, make_token, make_workspace, signed_in
from workspaces.models import ApiToken, AuditEvent, Workspace
from workspaces.tokens import create_token

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
URL = "/api/v1/link-sessions"
RETURN = "https://app.example.com/connected"
SHARED = {"purchase_order": "read_write", "vendor": "read"}


@pytest.fixture
def workspace() -> Workspace:
    made = make_workspace("acme")
    with scope(workspace=made.pk):
        made.link_redirect_uris = [RETURN]
        made.save(update_fields=["link_redirect_uris"])
    return made


@pytest.fixture
def client(workspace: Workspace) -> Any:
    return api(make_token(workspace)[1])


def post(client: Any, path: str, body: Any = None) -> Any:
    return client.post(f"{URL}{path}", body or {}, content_type="application/json")


def finish(token: str, erp: TestErpServer, shared: Any = SHARED) -> str:
    """The customer's part; answers the code."""
    session = linking.find_session(token)
    with scope(workspace=session.workspace_id):
        linking.begin(session, None)
        linking.choose_system(session, SLUG)
        assert linking.submit(session, {"base_url": erp.base_url}, {"api_key": API_KEY}).ok
        return linking.finish(session, shared=shared, passthrough=False, renew=session.is_renewal).code


# --- by API -----------------------------------------------------------------------------------------------------------


def test_link_session_from_start_to_token(client, erp_server):
    wanted = {"customer_reference": "c1", "metadata": {"plan": "gold"}, "redirect_uri": RETURN, "state": " s "}
    response = post(client, "", {**wanted, "valid_minutes": 60})
    made = response.json()
    assert response.status_code == 201, made
    assert response["Cache-Control"] == "no-store" and response["Location"] == f"{URL}/{made['id']}"
    assert made["url"].endswith(f"/link/{made['token']}") and made["status"] == "open" and "state" not in made

    shown = client.get(response["Location"]).json()
    assert shown == {name: value for name, value in made.items() if name not in ("url", "token")}
    code = finish(made["token"], erp_server)
    assert client.get(response["Location"]).json()["status"] == "finished"

    exchanged = post(client, "/exchange", {"code": code})
    body = exchanged.json()
    assert exchanged.status_code == 201 and exchanged["Cache-Control"] == "no-store", body
    assert body["connection"]["customer_reference"] == "c1" and body["connection"]["status"] == "active"
    assert body["token_details"]["connection"] == body["connection"]["id"]
    assert API_KEY not in exchanged.content.decode()
    own = api(body["token"])
    assert own.get(f"/api/v1/connections/{body['connection']['id']}").status_code == 200
    assert own.get(URL).status_code == 403 and own.get(response["Location"]).status_code == 404
    last = client.get(f"{URL}?status=exchanged&customer_reference=c1").json()["data"]
    assert [(one["id"], one["connection"]) for one in last] == [(made["id"], body["connection"]["id"])]

    again = post(client, "/exchange", {"code": code})
    assert (again.status_code, again.json()["code"]) == (409, "CODE_USED")


def test_exchange_when_the_token_is_of_another_workspace_or_environment_then_404(client, workspace, erp_server):
    code = finish(post(client, "", {}).json()["token"], erp_server)
    for other in (make_token(make_workspace("other")), make_token(workspace, environment="test")):
        answer = post(api(other[1]), "/exchange", {"code": code})
        assert (answer.status_code, answer.json()["code"]) == (404, "CODE_UNKNOWN")
    assert post(client, "/exchange", {"code": code}).status_code == 201


def test_exchange_when_the_caller_may_less_then_the_token_may_no_more(workspace, client, erp_server):
    narrow = api(make_token(workspace, scopes=["connections:write"], allowed_networks=["127.0.0.0/8"])[1])
    code = finish(post(client, "", {}).json()["token"], erp_server)
    asked = post(narrow, "/exchange", {"code": code, "scopes": ["records:read"]})
    assert (asked.status_code, asked.json()["code"]) == (403, "MISSING_SCOPE")
    details = post(narrow, "/exchange", {"code": code}).json()["token_details"]
    assert (details["scopes"], details["allowed_networks"]) == (["connections:read"], ["127.0.0.0/8"])


def test_exchange_when_a_persons_token_asks_then_the_new_one_is_that_persons(workspace, client, erp_server):
    person = make_person("developer", workspace)
    code = finish(post(client, "", {}).json()["token"], erp_server)
    with scope(workspace=workspace.pk):
        _, clear = create_token(
            workspace=workspace, name="mine", scopes=["connections:write", "records:read"], environment="live",
            person_id=person.pk, created_by="me",
        )  # fmt: skip
    answer = post(api(clear), "/exchange", {"code": code})
    assert answer.status_code == 201, answer.content
    with scopes_disabled():
        assert ApiToken.objects.get(connection_id__isnull=False).person_id == person.pk


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"redirect_uri": "https://evil.example"}, 422, "/redirect_uri"),
        ({"origin": "https://evil.example"}, 422, "/origin"),
        ({"valid_minutes": 4}, 422, "/valid_minutes"),
        ({"valid_days": 8}, 422, "/valid_days"),
        ({"valid_days": 1, "valid_minutes": 30}, 422, "/valid_days"),
        ({"metadata": [1]}, 422, "/metadata"),
        ({"entities": {"vendor": "own"}}, 422, "/entities/vendor"),
        ({"entities": ["vendor"]}, 422, "/entities"),
        ({"system": "nothing"}, 422, "/system"),
        ({"is_magic": True}, 400, "/is_magic"),
    ],
)
def test_create_link_session_when_a_value_is_wrong_then_it_is_named(client, workspace, body, status, pointer):
    response = post(client, "", body)
    assert response.status_code == status, response.content
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    with scope(workspace=workspace.pk):
        assert not LinkSession.objects.exists()


def test_create_link_session_when_by_a_connection_token_then_403(workspace, erp_server):
    connection = connect(erp_server, workspace=workspace)
    client = api(make_token(workspace, connection_id=connection.pk)[1])
    assert post(client, "", {}).status_code == 403 and post(client, "/exchange", {"code": "x"}).status_code == 403


def test_renewal_when_made_by_api_then_the_connection_is_the_same(client, workspace, erp_server):
    connection = connect(erp_server, workspace=workspace, customer_reference="c9")
    shown = ids.show("con", connection.pk)
    made = post(client, "", {"connection": shown, "valid_days": 2}).json()
    assert (made["is_renewal"], made["is_magic"], made["connection"]) == (True, True, shown)
    assert made["customer_reference"] == "c9" and made["system"] == SLUG
    code = finish(made["token"], erp_server)
    assert post(client, "/exchange", {"code": code}).json()["connection"]["id"] == shown
    test = api(make_token(workspace, environment="test")[1])
    assert post(test, "", {"connection": shown}).status_code == 404


def test_cancel_when_open_then_the_address_leads_nowhere(client):
    made = post(client, "", {}).json()
    for _ in range(2):
        assert post(client, f"/{made['id']}/cancel").json()["status"] == "cancelled"
    with pytest.raises(linking.LinkError) as caught:
        linking.find_session(made["token"])
    assert caught.value.code == "LINK_CANCELLED"
    assert post(client, "/lnk_nothing/cancel").status_code == 404


def test_cancel_when_finished_then_409(client, erp_server):
    made = post(client, "", {}).json()
    finish(made["token"], erp_server)
    answer = post(client, f"/{made['id']}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "LINK_FINISHED")


def test_list_when_there_are_many_then_it_is_paged(client):
    made = [post(client, "", {"name": f"n{number}"}).json()["id"] for number in range(3)]
    first = client.get(f"{URL}?limit=2&status=open").json()
    second = client.get(f"{URL}?limit=2&status=open&cursor={first['next_cursor']}").json()
    assert [one["id"] for one in first["data"] + second["data"]] == made[::-1] and second["next_cursor"] is None
    assert client.get(f"{URL}?status=expired").json()["data"] == []


# --- in the admin -----------------------------------------------------------------------------------------------------


def address_on(page: str) -> str:
    found = re.search(r'id="new-link">[^<]*/link/([\w-]{43})<', page)
    assert found, page[:2000]
    return found[1]


def test_admin_when_a_link_is_made_then_its_address_is_shown_once(workspace):
    browser = signed_in(make_person("operator", workspace))
    add = reverse("admin:connections_linksession_add")
    assert browser.get(add).status_code == 200
    data = {
        "workspace": str(workspace.pk), "environment": "live", "system": SLUG, "name": "Plant", "reads": ["vendor"],
        "writes": ["purchase_order"], "customer_reference": "c1", "valid": "3d",
    }  # fmt: skip

    response = browser.post(add, data)

    assert response.status_code == 200 and "no-store" in response["Cache-Control"]
    session = linking.find_session(address_on(response.content.decode()))
    assert session.entities == {"vendor": "read", "purchase_order": "read_write"} and session.is_magic
    with scope(workspace=workspace.pk):
        assert AuditEvent.objects.get(action="link.created").actor_kind == "person"
    page = browser.get(reverse("admin:connections_linksession_change", args=[session.pk])).content.decode()
    assert "Vendors (read)" in page and "/link/" not in page and "Cancel" in page
    assert "Plant" in browser.get(reverse("admin:connections_linksession_changelist")).content.decode()


def test_admin_when_a_value_is_wrong_then_it_is_told_beside_the_field(workspace):
    browser = signed_in(make_person("operator", workspace))
    data = {"workspace": str(workspace.pk), "environment": "live", "system": SLUG, "reads": ["asset"], "valid": "30"}
    response = browser.post(reverse("admin:connections_linksession_add"), data)
    assert response.status_code == 200 and "has none of these" in response.content.decode()


def test_admin_when_a_connection_needs_a_sign_in_then_its_page_leads_to_a_link(workspace, erp_server):
    connection = connect(erp_server, workspace=workspace)
    browser = signed_in(make_person("operator", workspace))
    page = browser.get(reverse("admin:connections_connection_change", args=[connection.pk])).content.decode()
    add = f"{reverse('admin:connections_linksession_add')}?connection={connection.pk}"
    assert add in page and "Sign in again by link" in page
    assert connection.name in browser.get(add).content.decode()

    session = linking.find_session(address_on(browser.post(add, {"valid": "240"}).content.decode()))

    assert session.is_renewal and session.connection_id == connection.pk
    stranger = signed_in(make_person("owner", make_workspace("other")))
    assert stranger.get(add).status_code == 404 and stranger.post(add, {"valid": "240"}).status_code == 404
    auditor = signed_in(make_person("auditor", workspace))
    assert auditor.post(add, {"valid": "240"}).status_code == 403


def test_admin_when_cancelled_then_nothing_is_left_to_press(workspace):
    session, token = linking.create_link_session(workspace=workspace, environment="live", created_by="me")
    browser = signed_in(make_person("operator", workspace))
    press = reverse("admin:connections_linksession_press", args=[session.pk, "cancel"])
    assert "Cancel this link?" in browser.get(press).content.decode()
    assert browser.post(press).status_code == 302
    with scope(workspace=workspace.pk):
        assert LinkSession.objects.get().status == LinkStatus.CANCELLED
    page = browser.get(reverse("admin:connections_linksession_change", args=[session.pk])).content.decode()
    assert press not in page and token not in page


def test_admin_list_when_there_are_more_rows_then_no_more_queries(workspace, erp_server, django_assert_max_num_queries):
    connection = connect(erp_server, workspace=workspace)
    for number in range(12):
        wanted = connection if number % 2 else None
        linking.create_link_session(workspace=workspace, environment="live", created_by="me", connection=wanted)
    browser = signed_in(make_person("operator", workspace))
    with django_assert_max_num_queries(8):
        assert browser.get(reverse("admin:connections_linksession_changelist")).status_code == 200


def test_tokens_when_link_is_finished_but_not_exchanged_then_there_are_none(client, workspace, erp_server):
    finish(post(client, "", {}).json()["token"], erp_server)
    with scope(workspace=workspace.pk):
        assert Connection.objects.count() == 1 and not ApiToken.objects.exclude(connection_id=None).exists()
