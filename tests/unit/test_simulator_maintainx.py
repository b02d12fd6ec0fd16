"""The CMMS in the manner of MaintainX: who may ask, objects, business rules, seed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from integrations.simulators import running
from integrations.simulators.kit.server import Simulator
from integrations.simulators.maintainx.purchasing import TRANSITIONS
from tests.simulated_maintainx import SINGULAR, Api, Body, api, sim, stored  # noqa: F401

# --- who may ask ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic {key}", "{key}"])
def test_wrong_key_is_401(sim: Simulator, header: str) -> None:
    headers = {"Authorization": header.format(key=sim.api_key)}

    answer = requests.get(f"{sim.base_url}/users", headers=headers, timeout=10)

    assert (answer.status_code, answer.json()) == (401, {"error": "Invalid token"})


def test_users_are_a_cheap_sign_in_check(api: Api) -> None:
    (user,) = api("GET", "users", params={"limit": 1}).json()["users"]

    assert (user["firstName"], user["role"]) == ("API", "SERVICE_ACCOUNT")
    assert api("POST", "users", {}).status_code == 405


def test_organization_when_required_then_its_header_is_missed(sim: Simulator, api: Api) -> None:
    assert api("GET", "parts").status_code == 200
    sim.control.settings(require_organization=True)

    refused = api("GET", "parts")

    assert refused.status_code == 400 and "x-organization-id" in refused.json()["errors"][0]["error"]
    assert api("GET", "parts", headers={"x-organization-id": "501"}).json()["parts"]


def test_another_organization_looks_empty(sim: Simulator, api: Api) -> None:
    other = {"x-organization-id": "502"}

    assert api("GET", "parts", headers=other).json() == {"parts": [], "nextCursor": None, "nextPageUrl": None}
    assert api("GET", f"parts/{stored(sim, 'parts')[0]['id']}", headers=other).status_code == 404


# --- objects ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entity", SINGULAR)
def test_deleted_object_leaves_the_list_but_is_still_shown(sim: Simulator, api: Api, entity: str) -> None:
    number = stored(sim, entity)[0]["id"]

    assert api("DELETE", f"{entity}/{number}").content == b""

    assert api.one(entity, number)["deletedAt"]
    assert [api(method, f"{entity}/{number}", {}).status_code for method in ("PATCH", "DELETE")] == [404, 404]
    assert number not in [row["id"] for row in api.all(entity)]


@pytest.mark.parametrize("entity", SINGULAR)
def test_unknown_object_is_404(api: Api, entity: str) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        answer = api(method, f"{entity}/999999999", {})
        assert answer.status_code == 404 and "Not Found" in answer.json()["error"]


@pytest.mark.parametrize("entity", ["locations", "vendors", "assets", "parts"])
def test_create_and_change(api: Api, entity: str) -> None:
    number = api.make(entity, name="New", description="As made", color="ignored")
    made = api.one(entity, number)

    time.sleep(0.002)  # times have milliseconds
    changed = api.change(f"{entity}/{number}", description=None, color="ignored")

    assert (made["name"], made["description"], made["deletedAt"]) == ("New", "As made", None)
    assert made["createdAt"] == made["updatedAt"] < changed["updatedAt"]
    assert changed == made | {"description": None, "updatedAt": changed["updatedAt"]}
    assert api.one(entity, number) == changed


@pytest.mark.parametrize("entity", ["locations", "vendors", "assets", "parts", "workorders"])
def test_name_is_required(api: Api, entity: str) -> None:
    name = "title" if entity == "workorders" else "name"

    assert api.refused("POST", entity, {}) == [name]
    assert api.refused("POST", entity, {name: None}) == [name]
    assert api.refused("POST", entity, {name: " "}) == [name]


@pytest.mark.parametrize(
    ("entity", "body"),
    [
        ("workorders", {"title": 5, "dueDate": "soon", "dueDateIsFullDay": "no", "priority": "URGENT"}),
        ("workorders", {"vendorIds": ["a"], "assignees": [1]}),
        ("parts", {"unitCost": 12.5, "availableQuantity": "many", "locationId": True}),
        ("vendors", {"extraFields": {"Rank": 5}}),
        ("purchaseorders", {"dueDate": 5, "costs": {}}),
    ],
)
def test_values_of_a_wrong_type_are_named(sim: Simulator, api: Api, entity: str, body: Body) -> None:
    before = stored(sim, entity)[0]

    named = api.refused("PATCH", f"{entity}/{before['id']}", body)

    assert named and set(named) <= set(body)
    assert stored(sim, entity)[0] == before


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"text"'])
def test_body_that_is_no_object_is_refused(api: Api, body: bytes) -> None:
    answer = api("POST", "parts", data=body)

    assert answer.status_code == 400 and "JSON object" in answer.json()["error"]


@pytest.mark.parametrize("name", ["assetId", "locationId", "requesterId", "vendorIds"])
def test_reference_to_nothing_is_refused(sim: Simulator, api: Api, name: str) -> None:
    value = [999] if name == "vendorIds" else 999

    assert api.refused("POST", "workorders", {"title": "T", name: value}) == [name]


def test_reference_to_a_deleted_object_is_refused(sim: Simulator, api: Api) -> None:
    asset = stored(sim, "assets")[0]["id"]
    api("DELETE", f"assets/{asset}")

    assert api.refused("POST", "workorders", {"title": "T", "assetId": asset}) == ["assetId"]


@pytest.mark.parametrize("entity", ["workorders", "parts", "assets", "vendors"])
def test_extra_fields_are_merged_by_label(sim: Simulator, api: Api, entity: str) -> None:
    name = "title" if entity == "workorders" else "name"
    number = api.make(entity, **{name: "New"}, extraFields={"External key": "k1", "Cost center": "CC-1"})

    changed = api.change(f"{entity}/{number}", extraFields={"Cost center": None, "Class": "A"})

    assert changed["extraFields"] == {"External key": "k1", "Class": "A"}


@pytest.mark.parametrize("entity", ["locations", "purchaseorders"])
def test_extra_fields_are_ignored_where_there_are_none(sim: Simulator, api: Api, entity: str) -> None:
    number = stored(sim, entity)[0]["id"]

    assert "extraFields" not in api.change(f"{entity}/{number}", extraFields={"External key": "k1"})


def test_wrapping_can_be_switched_off(sim: Simulator, api: Api) -> None:
    sim.control.settings(wrap_objects=False)
    number = stored(sim, "parts")[0]["id"]

    assert api("GET", f"parts/{number}").json()["id"] == number
    assert api("PATCH", f"parts/{number}", {}).json()["id"] == number


# --- work orders and assets -------------------------------------------------------------------------------------------


def test_new_work_order_is_open_and_numbered(sim: Simulator, api: Api) -> None:
    last = max(row["sequentialId"] for row in stored(sim, "workorders"))

    made = api.one(
        "workorders", api.make("workorders", title="New", status="DONE", dueDate="2026-12-01T08:00:00+02:00")
    )

    assert (made["status"], made["priority"], made["sequentialId"]) == ("OPEN", "NONE", last + 1)
    assert made["dueDate"] == "2026-12-01T06:00:00.000Z"


def test_plain_patch_ignores_the_status(sim: Simulator, api: Api) -> None:
    number = stored(sim, "workorders", status="OPEN")[0]["id"]

    assert api.change(f"workorders/{number}", status="DONE", priority="HIGH")["status"] == "OPEN"


def test_work_order_status(sim: Simulator, api: Api) -> None:
    path = f"workorders/{stored(sim, 'workorders', status='OPEN')[0]['id']}/status"

    started, done, again = (api.change(path, status=status) for status in ("IN_PROGRESS", "DONE", "OPEN"))

    assert (started["status"], started["completedAt"]) == ("IN_PROGRESS", None) and started["startedAt"]
    assert done["completedAt"] == done["updatedAt"] and done["completerId"] == 1
    assert (again["status"], again["completedAt"], again["completerId"]) == ("OPEN", None, None)


@pytest.mark.parametrize("status", ["SKIPPED", "FINISHED", None, 3])
def test_work_order_status_that_cannot_be_set(sim: Simulator, api: Api, status: Any) -> None:
    number = stored(sim, "workorders")[0]["id"]

    assert api.refused("PATCH", f"workorders/{number}/status", {"status": status}) == ["status"]


def test_cycle_count_cannot_be_made_but_is_shown(sim: Simulator, api: Api) -> None:
    assert api.refused("POST", "workorders", {"title": "Count", "type": "CYCLE_COUNT"}) == ["type"]
    assert "CYCLE_COUNT" in {row["type"] for row in api.all("workorders")}


def test_asset_status(sim: Simulator, api: Api) -> None:
    number = stored(sim, "assets")[0]["id"]

    answer = api("POST", f"assets/{number}/status", {"status": "OFFLINE", "downtimeType": "PLANNED"})

    assert answer.status_code == 201
    asset = api.one("assets", number)
    assert (asset["status"], asset["downtimeType"]) == ("OFFLINE", "PLANNED")
    assert api.refused("POST", f"assets/{number}/status", {"status": "BROKEN"}) == ["status"]
    assert api.refused("POST", f"assets/{number}/status", {"status": "OFFLINE", "downtimeType": "X"}) == [
        "downtimeType"
    ]


def test_stock_of_a_part_can_be_corrected(sim: Simulator, api: Api) -> None:
    part = stored(sim, "parts")[0]

    changed = api.change(f"parts/{part['id']}", availableQuantity=77, unitCost=1234)

    assert (changed["availableQuantity"], changed["inStockQuantity"], changed["unitCost"]) == (77, 77, 1234)
    assert changed["locations"][0]["availableQuantity"] == 77


# --- seed -------------------------------------------------------------------------------------------------------------


def test_seed_is_a_plausible_plant(sim: Simulator) -> None:
    assert sim.control.status()["objects"] == {
        "locations": 40, "vendors": 40, "assets": 120, "parts": 200, "workorders": 300, "purchaseorders": 120,
        "users": 12, "subscriptions": 0,
    }  # fmt: skip
    assert {row["status"] for row in stored(sim, "purchaseorders")} == set(TRANSITIONS)
    assert {row["status"] for row in stored(sim, "workorders")} == {
        "OPEN", "IN_PROGRESS", "ON_HOLD", "DONE", "CANCELED", "SKIPPED",
    }  # fmt: skip
    now = datetime.now(UTC).isoformat()
    for entity in SINGULAR:
        assert all(row["createdAt"] <= row["updatedAt"] < now for row in stored(sim, entity))
    for row in stored(sim, "purchaseorders"):
        received = [line["quantityReceived"] for line in row["items"]]
        assert any(received) is (row["status"] in ("PARTIALLY_FULFILLED", "COMPLETED")), row
    work = stored(sim, "workorders")
    assert [row["sequentialId"] for row in work] == list(range(1, 301))


def test_seed_leads_somewhere_with_every_reference(sim: Simulator) -> None:
    ids = {entity: {row["id"] for row in stored(sim, entity)} for entity in (*SINGULAR, "users")}
    for row in stored(sim, "workorders"):
        assert row["assetId"] in ids["assets"] and row["locationId"] in ids["locations"]
        assert set(row["vendorIds"]) <= ids["vendors"]
    for row in stored(sim, "purchaseorders"):
        assert row["vendorId"] in ids["vendors"] and {line["partId"] for line in row["items"]} <= ids["parts"]
    for row in [*stored(sim, "assets"), *stored(sim, "locations")]:
        entity = "assets" if "serialNumber" in row else "locations"
        assert row["parentId"] is None or row["parentId"] in ids[entity]


def test_seed_is_the_same_for_the_same_number() -> None:
    def names(seed: int) -> list[str]:
        with running("maintainx", seed=seed, scale=0.1) as sim:
            return [row["title"] for row in stored(sim, "workorders")] + [row["name"] for row in stored(sim, "parts")]

    assert names(5) == names(5) != names(6)


def test_records_scale_the_work_orders() -> None:
    with running("maintainx", records=5_000) as sim:
        counts = sim.control.status()["objects"]

    assert (counts["workorders"], counts["parts"]) == (5_000, 200)
