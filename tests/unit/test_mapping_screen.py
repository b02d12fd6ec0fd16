"""The screen on which a mapping is edited, without its script: who sees it, what it asks, what it stores."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.urls import reverse
from django_scopes import scope

from connections.models import Connection
from connections.services import set_mapping
from core.ids import new_id
from tests.admin_pages import html, words
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import make_person, make_workspace, signed_in

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
ENTITY = "purchase_order"
GATE = {"target": "custom.gate", "source": "notes", "type": "text"}


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    erp_server.add_orders(3)
    found = connect(erp_server, workspace=make_workspace())
    run_sync(sync_of(found))
    return found


@pytest.fixture
def client(connection: Connection) -> Any:
    return signed_in(make_person("developer", connection.workspace))


def address(connection: Connection, name: str = "mapping", entity: str = ENTITY) -> str:
    return reverse(f"admin:connections_connection_{name}", args=[connection.pk, entity])


def publish(client: Any, connection: Connection, rows: Any, **more: Any) -> str:
    response = client.post(address(connection), {"rows": json.dumps(rows), **more}, follow=True)
    return words(response)


def script(page: str, name: str) -> Any:
    return json.loads(page.split(f'<script id="{name}" type="application/json">')[1].split("</script>")[0])


def test_page_knows_raw_fields_rows_and_transforms(client: Any, connection: Connection) -> None:
    page = html(client.get(address(connection)))

    data, fields = script(page, "mapping-data"), script(page, "mapping-fields")
    assert {row["target"] for row in data["defaults"]} >= {"number", "lines"} and data["override"] == []
    assert data["transforms"]["minor_units"]["parameters"][0]["name"] == "digits"
    notes = next(field for field in fields if field["path"] == "notes")
    assert notes["used_by"] == ["notes"] and notes["examples"] == ["Deliver to gate 3."]
    assert "Seen in all 3 stored objects." in page and "Every stored record is mapped" in page


def test_page_is_published_with_a_reason_compared_and_brought_back(client: Any, connection: Connection) -> None:
    told = publish(client, connection, [GATE], base_version="0", reason="The yard asked")
    assert "Version 1 of the override is in force with 1 row" in told and "The yard asked" in told
    assert "Published. A run that maps what is stored anew starts within seconds." in told
    publish(client, connection, [GATE, {"target": "notes"}], base_version="1")

    shown = words(client.get(address(connection), {"compare": "2"}))
    assert "What version 2 changed" in shown and "notes removed" in shown and "left out" in shown
    back = client.post(address(connection), {"restore": "1", "base_version": "2"}, follow=True)
    assert "Version 3 of the override is in force" in words(back) and "brings back version 1" in words(back)
    html(client.get(address(connection), {"compare": "9"}), 404)
    assert "base_version" in html(client.get(address(connection), {"compare": "junk"}))


def test_page_when_somebody_was_first_keeps_what_was_typed_and_shows_theirs(
    client: Any, connection: Connection
) -> None:
    with scope(workspace=connection.workspace_id):
        set_mapping(connection, ENTITY, [{"target": "notes"}], by="ann")

    response = client.post(address(connection), {"rows": json.dumps([GATE]), "base_version": "0"})

    told = words(response)
    assert "ann published version 1 meanwhile" in told and "What version 1 changed" in told
    page = html(response)
    assert "custom.gate" in page and 'name="base_version" value="1"' in page


def test_export_is_taken_by_import(client: Any, connection: Connection) -> None:
    publish(client, connection, [GATE])
    response = client.get(address(connection), {"export": ""})
    document = json.loads(response.content)

    assert response["Content-Disposition"] == 'attachment; filename="test-erp-purchase_order.mapping.json"'
    assert document["rows"] == [GATE]
    client.post(address(connection), {"reset": "1"})
    assert "Version 3 of the override" in publish(client, connection, document)
    refused = client.post(address(connection, entity="vendor"), {"rows": json.dumps(document)})
    assert "here it is" in words(refused)


def test_preview_answers_what_records_become_or_what_is_wrong(client: Any, connection: Connection) -> None:
    def ask(rows: Any, remote_ids: str = "") -> Any:
        return client.post(
            address(connection, "mapping_preview"), {"rows": json.dumps(rows), "remote_ids": remote_ids}
        ).json()

    assert [one["changed"] for one in ask([GATE])["data"]] == [["custom.gate"]] * 3
    assert [one["remote_id"] for one in ask([GATE], "1002, 1001,4711")["data"]] == ["1002", "1001"]
    assert ask([{"target": "colour", "source": "x"}])["errors"][0]["pointer"] == "/rows/0"
    assert ask({"a": 1})["errors"][0]["detail"].startswith("The override is a JSON list")
    assert "JSON" in client.post(address(connection, "mapping_preview"), {"rows": "[{"}).json()["errors"][0]["detail"]
    assert client.get(address(connection, "mapping_preview"), {"rows": "[]"}).json()["data"][0]["changed"] == []


def test_progress_is_told_in_words(client: Any, connection: Connection) -> None:
    told = client.get(address(connection, "mapping_progress")).json()
    assert (told["state"], told["active"]) == ("applied", False)
    publish(client, connection, [GATE])
    told = client.get(address(connection, "mapping_progress")).json()
    assert (told["state"], told["active"], told["override_version"]) == ("due", True, 1)


def test_only_who_may_change_the_connection_sees_it(connection: Connection) -> None:
    for person, status in (
        (make_person("auditor", connection.workspace), 403),
        (make_person("owner", make_workspace("Other")), 404),
    ):
        browser = signed_in(person)
        for name in ("mapping", "mapping_preview", "mapping_progress"):
            assert browser.get(address(connection, name)).status_code == status, name
        assert browser.post(address(connection, "mapping_preview"), {"rows": "[]"}).status_code == status
    owner = signed_in(make_person("owner", connection.workspace))
    assert owner.get(address(connection, entity="asset")).status_code == 404
    assert owner.get(address(connection).replace(str(connection.pk), str(new_id()))).status_code == 404


def test_page_when_nothing_is_copied_or_shared_says_so(erp_server: TestErpServer) -> None:
    connection = connect(erp_server, workspace=make_workspace(), shared={"vendor": "read"})
    client = signed_in(make_person("owner", connection.workspace))

    assert "does not share purchase order" in words(client.get(address(connection)))
    told = words(client.get(address(connection, entity="vendor")))
    assert "Nothing is copied yet" in told and "the first sync maps with what is in force" in told


def test_page_costs_the_same_queries_however_much_there_is(
    client: Any,
    connection: Connection,
    django_assert_max_num_queries: Any,
    django_assert_num_queries: Any,
    erp_server: TestErpServer,
) -> None:
    publish(client, connection, [GATE])
    html(client.get(address(connection)))
    with django_assert_max_num_queries(22) as few:
        html(client.get(address(connection)))
    count = len(few)
    for number in range(8):
        publish(client, connection, [GATE, {"target": "notes", "source": f"notes{number}"}])
    with django_assert_num_queries(count):
        html(client.get(address(connection)))
    with django_assert_max_num_queries(14):
        client.post(address(connection, "mapping_preview"), {"rows": json.dumps([GATE])})
