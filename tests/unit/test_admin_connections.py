"""The screens of connections: added in two steps, changed, tried out, mapped, paused and ended."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django_scopes import scopes_disabled

from connections.models import Connection, Credential, Mapping
from connections.services import current_override, disconnect_connection
from core import ids
from syncs.models import SyncRun
from tests.admin_pages import change, connection_form, html, press, words
from tests.connectors import API_KEY, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import make_person, make_token, make_workspace, signed_in

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
LIST = "/admin/connections/connection/"
ADD = f"{LIST}add/"
ADD_ERP = f"{ADD}?system=test-erp"


def one() -> Any:
    with scopes_disabled():
        return Connection.objects.get()


def test_system_is_chosen_first_from_the_catalogue_alone() -> None:
    client = signed_in(make_person("owner", make_workspace()))

    page = html(client.get(ADD))
    assert "Test ERP" in page and "?system=test-erp" in page and "config__base_url" not in page
    html(client.get(f"{ADD}?system=unknown"), 404)


def test_form_is_drawn_from_what_the_connector_declares() -> None:
    client = signed_in(make_person("developer", make_workspace("Own")))
    make_workspace("Other")

    page = html(client.get(ADD_ERP))
    assert 'type="password" name="secret__api_key"' in page
    assert 'name="config__base_url"' in page and "Address of the server" in page
    assert '<option value="north" selected>North plant</option>' in page
    assert 'type="number" name="config__fiscal_year"' in page and 'type="checkbox" name="config__archived"' in page
    assert ">Own</option>" in page and "Other" not in page, "only workspaces where one may write"
    assert "<details" in page and 'name="client_key"' in page


@pytest.mark.parametrize("role", ["owner", "operator", "developer"])
def test_connection_is_stored_and_tried_out_at_once(role: str, erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    client = signed_in(make_person(role, workspace))
    erp_server.add_orders(1)

    values = connection_form(workspace, erp_server.base_url, metadata='{"plan": "gold"}', config__fiscal_year="2026")
    shown = words(client.post(ADD_ERP, values, follow=True))

    for told in (
        "Reachable: The system answers.",
        "Signed in: Signed in as integration@erp.example",
        "Purchase order: Readable.",
        "Vendor: Readable, but there is nothing.",
    ):
        assert told in shown
    made = one()
    assert (made.status, made.metadata, made.workspace_id) == ("active", {"plan": "gold"}, workspace.pk)
    assert made.config == {
        "base_url": erp_server.base_url, "site": "north", "fiscal_year": 2026, "archived": False,
    }  # fmt: skip


def test_connection_with_a_wrong_key_is_kept_and_says_what_to_do(erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    client = signed_in(make_person("owner", workspace))

    values = connection_form(workspace, erp_server.base_url, secret__api_key="wrong-key-1234")
    page = client.post(ADD_ERP, values, follow=True)

    assert "Not signed in:" in words(page) and "Who must act: the customer" in words(page)
    assert one().status == "pending" and "wrong-key-1234" not in html(page)

    shown = words(
        client.post(change(one()), connection_form(None, erp_server.base_url, secret__api_key=API_KEY), follow=True)
    )
    assert "Signed in as integration@erp.example" in shown and one().status == "active"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": ""}, "This field is required"),
        ({"config__base_url": ""}, "This field is required"),
        ({"config__base_url": "ftp://erp.example"}, "http"),
        ({"config__fiscal_year": "soon"}, "Enter a whole number"),
        ({"config__site": "moon"}, "Select a valid choice"),
        ({"secret__api_key": ""}, "This field is required"),
        ({"metadata": "[1]"}, "It must be a JSON object"),
        ({"metadata": '{"a": 1, "a": 2}'}, "twice"),
        ({"page_size": "0"}, "Must be a whole number from 1"),
        ({"time_zone": "Mars/Base"}, "Select a valid choice"),
        ({"proxy": "http://me:secret@proxy.example"}, "no user name or password"),
        ({"ca_certificate": "nonsense"}, "It cannot be read"),
        ({"client_key": "nonsense"}, "needs its client certificate"),
    ],
)
def test_wrong_value_is_told_at_its_field_and_nothing_is_stored(
    values: dict[str, Any], message: str, erp_server: TestErpServer
) -> None:
    workspace = make_workspace()
    client = signed_in(make_person("owner", workspace))

    page = html(client.post(ADD_ERP, connection_form(workspace, erp_server.base_url, **values)))

    (field,) = values
    place = page[page.index(f'name="{field}"') :]
    assert message in place[: place.find('name="', 10)], "beside its field"
    if values.get("secret__api_key") != "":
        assert "secrets are not sent back" in page and API_KEY not in page
    with scopes_disabled():
        assert not Connection.objects.exists()
    assert erp_server.calls == []


def test_secret_is_never_shown_and_stays_when_left_empty(erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    connection = connect(erp_server, workspace=workspace)
    client = signed_in(make_person("owner", workspace))

    page = html(client.get(change(connection)))
    assert API_KEY not in page and "Leave it empty to keep it" in page

    shown = words(
        client.post(change(connection), connection_form(None, erp_server.base_url, name="New name"), follow=True)
    )
    assert one().name == "New name" and erp_server.calls == [], "a name takes no check"
    assert "Signed in:" not in shown
    client.post(change(connection), connection_form(None, erp_server.base_url, config__company="7"))
    assert one().config["company"] == "7" and one().status == "active"
    assert erp_server.calls[-1].headers["x-api-key"] == API_KEY


def test_changing_the_host_demands_the_secret_again(erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    connection = connect(erp_server, workspace=workspace)
    client = signed_in(make_person("owner", workspace))
    elsewhere = f"{erp_server.base_url}/"

    page = html(client.post(change(connection), connection_form(None, elsewhere)))
    assert "Enter Api key again." in page and one().config["base_url"] == erp_server.base_url
    response = client.post(change(connection), connection_form(None, elsewhere, secret__api_key=API_KEY))
    assert response.status_code == 302 and one().config["base_url"] == elsewhere


def test_form_changes_only_what_was_changed_in_it(erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    connection = connect(erp_server, workspace=workspace, metadata={"a": 1, "b": 2}, ca_certificate="")
    client = signed_in(make_person("owner", workspace))
    values = connection_form(None, erp_server.base_url, metadata='{"a": 1}')

    client.post(change(connection), values)

    assert one().metadata == {"a": 1} and one().name == "Plant 1" and erp_server.calls == []


def test_page_answers_what_is_broken_and_offers_what_fits(erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    connection = connect(erp_server, workspace=workspace)
    run_sync(sync_of(connection))
    client = signed_in(make_person("operator", workspace))

    shown = words(client.get(change(connection)))
    for text in ("Active", "Sync all now", "Full sync", "Pause", "Disconnect", "Purchase order", "default version 1"):
        assert text in shown
    assert "By change time, read again 10 min" in shown and "Test ERP has no asset that can be read." in shown
    assert "/mapping/purchase_order/" in html(client.get(change(connection)))

    with scopes_disabled():
        Connection.objects.update(
            health="needs_reauth",
            error={
                "code": "AUTHENTICATION_FAILED",
                "message": "Refused.",
                "who_must_act": "customer",
                "action": "Ask.",
            },
        )
    shown = words(client.get(change(connection)))
    assert "Needs re-authorisation" in shown and "Who must act: the customer" in shown and "Sync all now" not in shown


def test_buttons_call_the_services_and_tell_in_words(erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    connection = connect(erp_server, workspace=workspace)
    sync_of(connection)
    client = signed_in(make_person("operator", workspace))

    assert "Signed in as" in words(client.post(press(connection, "check"), follow=True))
    assert "2 runs queued." in words(client.post(press(connection, "sync_all"), follow=True))
    assert "2 syncs were running already" in words(client.post(press(connection, "full_sync_all"), follow=True))
    assert "is paused" in words(client.post(press(connection, "pause"), follow=True)) and one().paused
    assert "goes on" in words(client.post(press(connection, "resume"), follow=True)) and not one().paused
    with scopes_disabled():
        assert set(SyncRun.objects.values_list("trigger", "mode")) == {("admin", "initial")}
    assert LogEntry.objects.filter(object_id=str(connection.pk)).count() == 5


def test_disconnecting_asks_with_numbers_first(erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    connection = connect(erp_server, workspace=workspace)
    make_token(workspace, connection_id=connection.pk)
    client = signed_in(make_person("owner", workspace))
    address = press(connection, "disconnect")

    shown = words(client.get(address))
    assert "1 secret will be deleted and 1 token" in shown and one().status == "active"
    assert "1 secret deleted" in words(client.post(address, follow=True))
    assert one().status == "disconnected"
    page = html(client.get(change(connection)))
    assert 'name="name"' not in page and "/press/pause/" not in page and "To connect again" in page
    html(client.post(change(connection), connection_form(None, erp_server.base_url, name="X")), 403)


def test_reconnecting_asks_for_the_secrets_and_tries_it_out(erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    connection = connect(erp_server, workspace=workspace)
    client, address = signed_in(make_person("owner", workspace)), press(connection, "reconnect")
    assert "is not disconnected" in words(client.get(address, follow=True)), "its form is there when it is needed only"
    disconnect_connection(connection, by="ann")

    form = html(client.get(address))
    assert 'name="secret__api_key"' in form and erp_server.base_url in form
    assert 'name="name"' not in form and 'name="metadata"' not in form
    values = {"config__base_url": erp_server.base_url, "config__site": "north", "secret__api_key": ""}
    refused = html(client.post(address, values))
    assert one().status == "disconnected" and "errors" in refused
    told = words(client.post(address, {**values, "secret__api_key": API_KEY}, follow=True))
    assert "Signed in as integration@erp.example" in told and one().status == "active"


@pytest.mark.parametrize("name", ["check", "sync_all", "pause", "resume"])
def test_button_without_a_question_takes_post_only(name: str, erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    connection = connect(erp_server, workspace=workspace)
    client = signed_in(make_person("owner", workspace))

    assert client.get(press(connection, name)).status_code == 405
    assert erp_server.calls == [] and not one().paused
    client.handler.enforce_csrf_checks = True
    assert client.post(press(connection, name)).status_code == 403


def test_button_leads_back_to_our_own_pages_only(erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    connection = connect(erp_server, workspace=workspace)
    client = signed_in(make_person("owner", workspace))

    assert client.post(press(connection, "pause"), {"next": "/admin/?page=2"})["Location"] == "/admin/?page=2"
    for wrong in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
        assert client.post(press(connection, "pause"), {"next": wrong})["Location"] == change(connection)


def test_mapping_is_overridden_and_brought_back(erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    connection = connect(erp_server, workspace=workspace)
    client = signed_in(make_person("developer", workspace))
    address = f"{LIST}{connection.pk}/mapping/purchase_order/"
    rows = [{"target": "notes", "source": "text"}, {"target": "description"}]
    assert "ordered_on" in html(client.get(address))

    shown = words(client.post(address, {"rows": json.dumps(rows)}, follow=True))
    assert "Version 1 of the override is in force with 2 rows" in shown and "left out" in shown
    with scopes_disabled():
        assert current_override(connection, "purchase_order").created_by.startswith("person")
    assert "override version 1" in words(client.get(change(connection)))
    for wrong, told in [
        ("[{", "JSON"),
        ('{"target": "notes"}', "a JSON list of rows"),
        ('[{"target": "nonsense", "source": "text"}]', "/rows/0"),
        ('[{"target": "notes", "sauce": "text"}]', "/rows/0/sauce"),
    ]:
        page = client.post(address, {"rows": wrong})
        assert told in words(page) and wrong in words(page), "what was typed stays"
    assert "default is in force" in words(client.post(address, {"reset": "1"}, follow=True))
    html(client.get(f"{LIST}{connection.pk}/mapping/asset/"), 404)


def test_list_shows_states_and_is_filtered_and_searched(erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    first = connect(erp_server, workspace=workspace, name="Alpha plant", customer_reference="c-1")
    second = connect(erp_server, workspace=workspace, name="Beta plant", paused=True, environment="test")
    run_sync(sync_of(first))
    client = signed_in(make_person("auditor", workspace))

    def found(**query: str) -> list[str]:
        page = html(client.get(LIST, query))
        return [row.name for row in (first, second) if change(row) in page]

    shown = words(client.get(LIST))
    assert "Alpha plant" in shown and "Never synced" in shown and "Paused" in shown and "c-1" in shown
    assert found() == ["Alpha plant", "Beta plant"]
    assert (
        found(q="alpha")
        == found(q="c-1")
        == found(status="active")
        == found(environment__exact="live")
        == ["Alpha plant"]
    )
    assert (
        found(q=str(ids.show("con", second.pk))) == found(q=str(second.pk)) == found(status="paused") == ["Beta plant"]
    )
    assert found(system="test-erp") == ["Alpha plant", "Beta plant"] and found(system="other") == []
    assert found(q=str(uuid4())) == []


def test_list_takes_the_same_queries_however_long(
    erp_server: TestErpServer, django_assert_max_num_queries: Any, django_assert_num_queries: Any
) -> None:
    workspace = make_workspace()
    client = signed_in(make_person("owner", workspace))

    def fill(count: int) -> None:
        for number in range(count):
            sync_of(connect(erp_server, workspace=workspace, name=f"Plant {number}"))

    fill(2)
    html(client.get(LIST))
    with django_assert_max_num_queries(13) as few:
        html(client.get(LIST))
    fill(20)
    with django_assert_num_queries(len(few)):
        html(client.get(LIST))


def test_auditor_reads_and_changes_nothing(erp_server: TestErpServer) -> None:
    workspace = make_workspace()
    connection = connect(erp_server, workspace=workspace)
    client = signed_in(make_person("auditor", workspace))

    page = html(client.get(change(connection)))
    assert "Plant 1" in page and "/press/" not in page and 'name="name"' not in page and API_KEY not in page
    html(client.get(ADD), 403)
    html(client.post(ADD_ERP, connection_form(workspace, erp_server.base_url)), 403)
    html(client.post(change(connection), connection_form(None, erp_server.base_url, name="X")), 403)
    for name in ("check", "pause", "resume", "disconnect", "sync_all", "full_sync_all"):
        html(client.post(press(connection, name)), 403)
    html(client.get(press(connection, "disconnect")), 403)
    html(client.post(f"{LIST}{connection.pk}/mapping/vendor/", {"rows": "[]"}), 403)
    html(client.post(f"{LIST}{connection.pk}/delete/", {"post": "yes"}), 403)
    assert one().name == "Plant 1" and erp_server.calls == []


def test_member_of_another_workspace_finds_nothing(erp_server: TestErpServer) -> None:
    connection = connect(erp_server, workspace=make_workspace("Hidden"), name="Hidden plant")
    own = make_workspace("Own")
    client = signed_in(make_person("owner", own))

    assert "Hidden" not in html(client.get(LIST)) and "Hidden" not in html(client.get(LIST, {"q": str(connection.pk)}))
    html(client.get(change(connection)), 404)
    html(client.post(change(connection), connection_form(None, erp_server.base_url, name="X")), 404)
    html(client.get(f"{LIST}{connection.pk}/mapping/vendor/"), 404)
    html(client.get(f"{LIST}{connection.pk}/history/"), 404)
    for name in ("check", "pause", "disconnect", "sync_all"):
        html(client.post(press(connection, name)), 404)
    workspace = connection.workspace
    page = html(client.post(ADD_ERP, connection_form(workspace, erp_server.base_url)))
    assert "Select a valid choice" in page
    assert one().name == "Hidden plant" and one().status == "active" and erp_server.calls == []


def test_operator_of_the_installation_may_do_all(erp_server: TestErpServer) -> None:
    connection = connect(erp_server, workspace=make_workspace("Theirs"))
    client = signed_in(make_person(is_superuser=True))

    assert "Theirs" in html(client.get(LIST)) and "Check now" in html(client.get(change(connection)))
    assert "is paused" in words(client.post(press(connection, "pause"), follow=True))
    assert (
        client.post(change(connection), connection_form(None, erp_server.base_url, name="Renamed")).status_code == 302
    )
    assert one().name == "Renamed"
    new = make_workspace("New")
    assert client.post(ADD_ERP, connection_form(new, erp_server.base_url, name="Second")).status_code == 302


def test_connection_of_a_connector_that_is_gone_can_be_looked_at(erp_server: TestErpServer, settings: Any) -> None:
    workspace = make_workspace()
    connection = connect(erp_server, workspace=workspace)
    client = signed_in(make_person("owner", workspace))
    settings.CONNECTORS = []

    assert "not installed" in words(client.get(change(connection))) and "not installed" in words(client.get(LIST))
    assert client.get("/admin/").status_code == 200
    with scopes_disabled():
        disconnect_connection(connection, by="test")
        assert not Credential.objects.exists() and not Mapping.objects.exists()
