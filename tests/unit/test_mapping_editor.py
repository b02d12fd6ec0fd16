"""Editing a mapping: tried on stored records, published with a reason, compared, brought back, carried elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django_scopes import scope

from connections.models import Connection, Mapping
from connections.services import set_mapping
from connections.services.mapping_versions import compare_versions, mapping_versions, restore_version
from connections.services.mappings import MappingChangedError
from core import ids
from core.errors import NotFoundError, PermissionDeniedError, ValidationFailedError
from syncs.models import Record
from syncs.services.mapping_trials import raw_findings, try_rows
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import api, make_token, make_workspace
from workspaces.models import AuditEvent

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
ENTITY = "purchase_order"
GATE = {"target": "custom.gate", "source": "notes", "type": "text", "title": "Gate"}


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    """With fourteen orders copied, of which two could not be."""
    erp_server.add_orders(12)
    erp_server.add_orders(2, first=1013, total="twelve")
    found = connect(erp_server, workspace=make_workspace())
    run_sync(sync_of(found))
    erp_server.forget_calls()
    return found


@pytest.fixture
def scoped(connection: Connection) -> Any:
    with scope(workspace=connection.workspace_id):
        yield connection


@pytest.fixture
def client(connection: Connection) -> Any:
    return api(make_token(connection.workspace)[1])


def address(connection: Connection, *rest: str, entity: str = "purchase-orders") -> str:
    return "/".join([f"/api/v1/connections/con_{connection.pk.hex}/mappings/{entity}", *rest])


def put(client: Any, to: str, body: Any) -> Any:
    return client.put(to, body, content_type="application/json")


def post(client: Any, to: str, body: Any) -> Any:
    return client.post(to, body, content_type="application/json")


# --- what stands there ------------------------------------------------------------------------------------------------


def test_findings_are_of_stored_objects_and_of_those_set_aside(scoped: Connection, erp_server: TestErpServer) -> None:
    found = raw_findings(scoped, ENTITY)

    by_path = {one.field.text: one for one in found.suggestions}
    assert (found.seen, found.quarantined, found.complete) == (14, 2, True)
    assert by_path["notes"].coverage == 100.0 and by_path["notes"].used_by == ["notes"]
    assert by_path["lines[].price"].used_by == ["lines.unit_price"]
    assert "twelve" in by_path["total"].field.examples
    assert not erp_server.calls, "nothing is asked upstream"


def test_findings_when_the_entity_is_not_shared_are_refused(scoped: Connection) -> None:
    scoped.shared = {"vendor": "read"}
    for refused in (lambda: raw_findings(scoped, ENTITY), lambda: try_rows(scoped, ENTITY, [])):
        with pytest.raises(PermissionDeniedError, match="does not share"):
            refused()


# --- tried ------------------------------------------------------------------------------------------------------------


def test_rows_are_tried_on_the_newest_and_on_what_is_set_aside(scoped: Connection, erp_server: TestErpServer) -> None:
    tried = try_rows(scoped, ENTITY, [GATE, {"target": "total_amount"}, {"target": "notes"}])

    assert len(tried) == 10 and [one.stored.is_quarantined for one in tried[:3]] == [True, True, False]
    mended, plain = tried[0], tried[2]
    assert mended.is_mended and "twelve" in (mended.before.error or "")
    assert plain.changed == ["total_amount", "notes", "custom.gate"]
    assert plain.before.unified is not None and plain.after.unified is not None
    assert plain.after.unified["custom"] == {"gate": "Deliver to gate 3."} and plain.after.unified["notes"] is None
    assert not erp_server.calls
    assert not Mapping.objects.filter(connection=scoped).exists()


def test_rows_that_fail_say_for_which_record_and_field(scoped: Connection) -> None:
    rows = [{"target": "order_date", "source": "number"}, {"target": "notes", "source": "lines[0].nothing[0].x"}]

    tried = [one for one in try_rows(scoped, ENTITY, rows) if not one.stored.is_quarantined]

    assert all(one.is_broken and one.after.field == "order_date" for one in tried)
    assert "is not a date" in (tried[0].after.error or "")


def test_rows_without_effect_change_nothing(scoped: Connection) -> None:
    assert {tuple(one.changed) for one in try_rows(scoped, ENTITY, [])} == {()}


def test_rows_are_tried_on_chosen_records_in_their_order(scoped: Connection) -> None:
    wanted = list(
        Record.objects.filter(remote_id__in=["1002", "1007"]).order_by("-remote_id").values_list("pk", flat=True)
    )

    assert [one.stored.remote_id for one in try_rows(scoped, ENTITY, [GATE], record_ids=wanted)] == ["1007", "1002"]


def test_trying_costs_no_query_a_record(scoped: Connection) -> None:
    try_rows(scoped, ENTITY, [GATE])
    with CaptureQueriesContext(database) as queries:
        try_rows(scoped, ENTITY, [GATE])
    assert len(queries) <= 9, [query["sql"][:150] for query in queries]


# --- published, compared, brought back --------------------------------------------------------------------------------


def test_publishing_on_a_version_that_is_not_current_tells_who_was_first(scoped: Connection) -> None:
    set_mapping(scoped, ENTITY, [GATE], by="ann", base_version=0, reason="The yard asked")

    with pytest.raises(MappingChangedError, match="ann published version 1 meanwhile") as caught:
        set_mapping(scoped, ENTITY, [{"target": "notes"}], by="bob", base_version=0)

    told = caught.value.extra
    assert (told["current_version"], told["published_by"]) == (1, "ann") and told["published_at"].endswith("Z")
    assert set_mapping(scoped, ENTITY, [{"target": "notes"}], by="bob", base_version=1).version == 2  # type: ignore[union-attr]
    with pytest.raises(MappingChangedError, match="send base_version 0"):
        set_mapping(scoped, "vendor", [{"target": "email"}], by="bob", base_version=3)


def test_versions_are_listed_compared_and_brought_back(scoped: Connection) -> None:
    set_mapping(scoped, ENTITY, [GATE], by="ann", reason="The yard asked")
    set_mapping(scoped, ENTITY, [{**GATE, "source": "text"}, {"target": "notes"}], by="bob")

    changes = {change.target: change for change in compare_versions(scoped, ENTITY, 1, 2)}
    restored = restore_version(scoped, ENTITY, 1, by="ann", reason="The text was no gate", base_version=2)

    assert (changes["custom.gate"].kind, changes["custom.gate"].parts) == ("changed", ("source",))
    assert (changes["notes"].kind, changes["notes"].before, changes["notes"].after) == (
        "removed", {"source": "notes"}, None,
    )  # fmt: skip
    assert restored is not None and (restored.version, restored.restores) == (3, 1)
    assert compare_versions(scoped, ENTITY, 1, 3) == []
    told = [
        (one.mapping.version, one.mapping.created_by, one.mapping.reason, one.row_count, one.mapping.is_current)
        for one in mapping_versions(scoped, ENTITY)
    ]
    assert told == [
        (3, "ann", "The text was no gate", 1, True),
        (2, "bob", "", 2, False),
        (1, "ann", "The yard asked", 1, False),
    ]
    assert [change.target for change in compare_versions(scoped, ENTITY, 3, 0)] == ["custom.gate"]
    assert restore_version(scoped, ENTITY, 0, by="ann").version == 4  # type: ignore[union-attr]
    with pytest.raises(NotFoundError, match="no version 9"):
        restore_version(scoped, ENTITY, 9, by="ann")


def test_versions_are_audited_with_reason_and_without_values(scoped: Connection) -> None:
    set_mapping(scoped, ENTITY, [GATE], by="ann", reason="The yard asked")
    restore_version(scoped, ENTITY, 0, by="ann")

    told = AuditEvent.objects.filter(action="mapping.changed").order_by("pk").values_list("details", flat=True)
    assert list(told) == [
        {"entity": ENTITY, "version": 1, "changed": ["custom.gate"], "reason": "The yard asked"},
        {"entity": ENTITY, "version": 2, "changed": ["custom.gate"], "restores": 0},
    ]


def test_restoring_rows_that_cannot_be_used_any_more_is_refused(
    scoped: Connection, erp_connector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_mapping(scoped, ENTITY, [{"target": "notes", "source": "text"}], by="ann")
    set_mapping(scoped, ENTITY, [], by="ann")
    from connections.services import mapping_rows

    monkeypatch.setattr(mapping_rows, "MAX_ROWS", 0)
    with pytest.raises(ValidationFailedError):
        restore_version(scoped, ENTITY, 1, by="ann")


@pytest.mark.parametrize(
    ("row", "pointer", "code"),
    [
        ({"target": "custom.x", "source": "x", "type": "money"}, "/rows/0/type", "UNKNOWN_TYPE"),
        ({"target": "custom.x", "source": "x", "title": "y" * 90}, "/rows/0/title", "TOO_LONG"),
        ({"target": "notes", "source": "x", "title": "Notes"}, "/rows/0/title", "CUSTOM_ONLY"),
        ({"target": "custom.x", "source": "x", "items": [{"target": "y"}]}, "/rows/0/items", "NO_ITEMS"),
        ({"target": "notes", "source": "x", "transforms": [{"name": ["x"]}]}, "/rows/0/transforms/0/name", "WRONG_TYPE"),
        ({"target": "notes", "source": "x", "transforms": [{}]}, "/rows/0/transforms/0/name", "WRONG_TYPE"),
        ({"target": "notes", "source": "x", "transforms": [{"name": "split", "index": "a"}]}, "/rows/0/transforms/0/index", "WRONG_PARAMETERS"),
        ({"target": "notes", "source": "x", "transforms": [{"name": "join", "separator": 5}]}, "/rows/0/transforms/0/separator", "WRONG_PARAMETERS"),
        ({"target": "notes", "source": "x", "transforms": [{"name": "multiply"}]}, "/rows/0/transforms/0/by", "REQUIRED"),
        ({"target": "notes", "source": "x", "transforms": [{"name": "multiply", "by": "NaN"}]}, "/rows/0/transforms/0/by", "WRONG_PARAMETERS"),
        ({"target": "notes", "source": "x", "transforms": [{"name": "datetime", "zone": "../etc"}]}, "/rows/0/transforms/0/zone", "WRONG_PARAMETERS"),
        ({"target": "notes", "source": "x", "transforms": [{"name": "datetime", "epoch": 5}]}, "/rows/0/transforms/0/epoch", "WRONG_PARAMETERS"),
        ({"target": "lines", "source": "l", "items": [{"target": "id", "source": "id", "transforms": [{"name": "values", "map": 5}]}]}, "/rows/0/items/0/transforms/0/map", "WRONG_PARAMETERS"),
        ({"target": "notes", "source": "x" * 501 + "[0]"}, "/rows/0", "EXPRESSION_TOO_LONG"),
        ({"target": "notes", "source": "a|" * 9 + "a"}, "/rows/0", "EXPRESSION_TOO_DEEP"),
        ({"target": "notes", "source": "map(&x, y)"}, "/rows/0", "EXPRESSION_FUNCTION"),
    ],
    ids=lambda value: str(value)[:50] if isinstance(value, str) else "",
)  # fmt: skip
def test_rows_that_cannot_be_used_are_named(scoped: Connection, row: Any, pointer: str, code: str) -> None:
    for use in (lambda: try_rows(scoped, ENTITY, [row]), lambda: set_mapping(scoped, ENTITY, [row], by="ann")):
        with pytest.raises(ValidationFailedError) as caught:
            use()
        assert [(error.pointer, error.code) for error in caught.value.errors] == [(pointer, code)]


def test_every_target_that_stands_twice_is_named(scoped: Connection) -> None:
    rows = [GATE, {"target": "notes"}, GATE, {"target": "notes"}]

    with pytest.raises(ValidationFailedError) as caught:
        try_rows(scoped, ENTITY, rows)

    assert [error.pointer for error in caught.value.errors] == ["/rows/2/target", "/rows/3/target"]


# --- custom fields ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type", "raw", "made"),
    [
        ("text", 4711, "4711"),
        ("integer", "12", 12),
        ("decimal", 2.5, "2.5"),
        ("boolean", "yes", True),
        ("date", "2026-10-05T08:00:00Z", "2026-10-05"),
        ("datetime", "2026-10-05T08:00:00+02:00", "2026-10-05T06:00:00Z"),
    ],
)
def test_custom_fields_are_of_the_type_they_name(erp_server: TestErpServer, type: str, raw: Any, made: Any) -> None:
    erp_server.add_orders(1, x=raw)
    connection = connect(erp_server, workspace=make_workspace())
    with scope(workspace=connection.workspace_id):
        set_mapping(connection, ENTITY, [{"target": "custom.x", "source": "x", "type": type}], by="ann")
        run_sync(sync_of(connection))
        before = try_rows(connection, ENTITY, [])[0].before.unified

    assert before is not None and before["custom"] == {"x": made}


def test_a_title_alone_maps_nothing_anew_in_earnest(scoped: Connection) -> None:
    from connections.services import effective_mapping

    set_mapping(scoped, ENTITY, [GATE], by="ann")
    first = effective_mapping(scoped, ENTITY).digest
    set_mapping(scoped, ENTITY, [{**GATE, "title": "Dock"}], by="ann")

    assert effective_mapping(scoped, ENTITY).digest == first


# --- API --------------------------------------------------------------------------------------------------------------


def test_api_suggests_tries_publishes_and_brings_back(client: Any, connection: Connection) -> None:
    told = client.get(address(connection, "suggestions")).json()
    assert told["sampled"] == 14 and {"path", "proposal", "used_by", "coverage_percent"} <= set(told["fields"][0])

    tried = post(client, address(connection, "trial"), {"rows": [GATE]}).json()["data"]
    plain = next(one for one in tried if not one["quarantined"])
    assert plain["changed"] == ["custom.gate"] and plain["before"] == {"custom": {}}
    assert plain["after"] == {"custom": {"gate": "Deliver to gate 3."}}
    chosen = post(client, address(connection, "trial"), {"rows": [GATE], "record_ids": [plain["record_id"]]})
    assert [one["remote_id"] for one in chosen.json()["data"]] == [plain["remote_id"]]

    published = put(client, address(connection), {"rows": [GATE], "base_version": 0, "reason": "Yard"}).json()
    assert (published["base_version"], published["override"]["reason"]) == (1, "Yard")
    row = next(row for row in published["rows"] if row["target"] == "custom.gate")
    assert (row["type"], row["title"]) == ("text", "Gate")
    refused = put(client, address(connection), {"rows": [], "base_version": 0})
    assert refused.status_code == 409 and refused.json()["code"] == "MAPPING_CHANGED"
    assert refused.json()["current_version"] == 1 and refused.json()["published_by"].startswith("token tok_")

    progress = client.get(address(connection, "progress")).json()
    assert (progress["state"], progress["override_version"]) == ("due", 1)
    assert [one["version"] for one in client.get(address(connection, "versions")).json()["data"]] == [1]
    one = client.get(address(connection, "versions", "1")).json()
    assert one["against"] == 0 and [change["target"] for change in one["changes"]] == ["custom.gate"]
    back = post(client, address(connection, "versions", "0", "restore"), {"base_version": 1}).json()
    assert back["base_version"] == 2 and back["override"] is None
    assert post(client, address(connection, "versions", "7", "restore"), {}).status_code == 404
    assert client.get(address(connection, "versions", "7")).status_code == 404


def test_api_exports_what_another_connection_takes(
    client: Any, connection: Connection, erp_server: TestErpServer
) -> None:
    put(client, address(connection), {"rows": [GATE, {"target": "notes"}]})
    other = connect(erp_server, workspace=connection.workspace)

    document = client.get(address(connection, "export")).json()
    taken = put(client, address(other), {**document, "reason": "As in plant 1", "base_version": 0})

    assert document == {"format": "lineshaft.mapping/1", "system": "test-erp", "entity": ENTITY, "rows": [GATE, {"target": "notes"}]}  # fmt: skip
    assert taken.status_code == 200
    assert client.get(address(other, "export")).json() == document
    wrong = put(client, address(other, entity="vendors"), document)
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["pointer"] == "/entity"
    assert put(client, address(other), {**document, "system": "tryton"}).json()["code"] == "WRONG_DOCUMENT"


def test_api_refuses_what_is_no_trial(client: Any, connection: Connection) -> None:
    for body, status, pointer in (
        ({"rows": [], "record_ids": ["con_x"]}, 422, "/record_ids/0"),
        ({"rows": [{"target": "colour", "source": "x"}]}, 422, "/rows/0"),
        ({"rows": [], "colour": 1}, 400, "/colour"),
        ({}, 422, "/rows"),
    ):
        response = post(client, address(connection, "trial"), body)
        assert response.status_code == status, response.content
        assert response.json()["errors"][0]["pointer"] == pointer
    foreign = ids.show("po", ids.new_id())
    assert post(client, address(connection, "trial"), {"rows": [], "record_ids": [foreign]}).json() == {"data": []}


def test_api_cuts_secrets_from_examples_and_trials(erp_server: TestErpServer) -> None:
    secret = "Bearer abcdef0123456789abcdef"
    erp_server.add_orders(1, api_token="t0ps3cr3t", notes=secret)
    connection = connect(erp_server, workspace=make_workspace())
    client = api(make_token(connection.workspace)[1])
    run_sync(sync_of(connection))

    rows = [{"target": "custom.api_token", "source": "api_token"}, {"target": "description", "source": "notes"}]
    answers = [
        client.get(address(connection, "suggestions")).content.decode(),
        post(client, address(connection, "trial"), {"rows": rows}).content.decode(),
    ]

    for answer in answers:
        assert "[cut]" in answer and "t0ps3cr3t" not in answer and "abcdef0123456789" not in answer
