"""The CMMS in the manner of MaintainX: lists, objects, business rules, seed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from integrations.simulators import running
from integrations.simulators.kit.server import Simulator
from integrations.simulators.maintainx.purchasing import TRANSITIONS

Body = dict[str, Any]
SINGULAR = {
    "workorders": "workOrder",
    "purchaseorders": "purchaseOrder",
    "parts": "part",
    "assets": "asset",
    "locations": "location",
    "vendors": "vendor",
}
PLURAL = {path: f"{name}s" for path, name in SINGULAR.items()}


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with running("maintainx") as simulator:
        yield simulator


@pytest.fixture
def api(sim: Simulator) -> Iterator[Api]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {sim.api_key}"
        yield Api(sim, session)


class Api:
    def __init__(self, sim: Simulator, session: requests.Session) -> None:
        self.sim, self.session = sim, session

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        return self.session.request(method, f"{self.sim.base_url}/{path}", json=body, timeout=10, **options)

    def one(self, entity: str, number: int, **query: Any) -> Body:
        answer = self("GET", f"{entity}/{number}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()[SINGULAR[entity]]

    def make(self, entity: str, **body: Any) -> int:
        answer = self("POST", entity, body)
        assert answer.status_code == 201, answer.text
        assert set(answer.json()) == {"id"}
        return answer.json()["id"]

    def change(self, path: str, **body: Any) -> Body:
        answer = self("PATCH", path, body)
        assert answer.status_code == 200, answer.text
        (changed,) = answer.json().values()
        return changed

    def refused(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        answer = self(method, path, body, **options)
        assert answer.status_code == 400, answer.text
        content = answer.json()
        return content["error"] if "error" in content else [one["fieldPath"] for one in content["errors"]]

    def walk(self, entity: str, **query: Any) -> Iterator[list[Body]]:
        cursor = None
        while True:
            content = self("GET", entity, params={**query, **({"cursor": cursor} if cursor else {})}).json()
            yield content[PLURAL[entity]]
            if not (cursor := content["nextCursor"]):
                return

    def all(self, entity: str, **query: Any) -> list[Body]:
        return [row for page in self.walk(entity, **query) for row in page]


def stored(sim: Simulator, entity: str, **wanted: Any) -> list[Body]:
    """Live objects with these values, as they are stored."""
    rows = [row for row in sim.control.objects(entity) if row["deletedAt"] is None]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def order(api: Api, *lines: tuple[int, float]) -> int:
    """A new purchase order of (part, quantity) lines."""
    vendor = stored(api.sim, "vendors")[0]["id"]
    items = [{"partId": part, "quantityOrdered": quantity} for part, quantity in lines]
    return api.make("purchaseorders", title="Seals", vendorId=vendor, items=items)


def approved(api: Api, *lines: tuple[int, float]) -> int:
    number = order(api, *lines)
    for status in ("PENDING", "APPROVED"):
        api.change(f"purchaseorders/{number}/status", status=status)
    return number


# --- who may ask -----------------------------------------------------------------------------------------------------


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


# --- lists -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entity", PLURAL)
@pytest.mark.parametrize("limit", [7, 100])
def test_list_to_the_end_has_every_live_object_once(sim: Simulator, api: Api, entity: str, limit: int) -> None:
    gone = stored(sim, entity)[3]["id"]
    assert api("DELETE", f"{entity}/{gone}").status_code == 204

    pages = list(api.walk(entity, limit=limit))

    ids = [row["id"] for page in pages for row in page]
    assert ids == sorted(row["id"] for row in stored(sim, entity)) and gone not in ids
    assert all(len(page) == limit for page in pages[:-1])


def test_list_while_objects_are_added_and_removed_misses_none_that_stayed(sim: Simulator, api: Api) -> None:
    before = {row["id"] for row in stored(sim, "workorders")}
    gone: set[int] = set()
    seen: list[int] = []
    for place, page in enumerate(api.walk("workorders", limit=20)):
        seen += [row["id"] for row in page]
        api.make("workorders", title=f"New {place}")
        first = page[0]["id"]
        api("DELETE", f"workorders/{first}")
        gone.add(first)
        if place > 30:
            break  # each page adds one, so the end comes soon after

    assert len(seen) == len(set(seen))
    assert before - gone <= set(seen)
    assert len(set(seen) - before) > 10


def test_list_sorted_by_change_while_objects_change_shows_them_again_at_the_end(sim: Simulator, api: Api) -> None:
    seen: list[int] = []
    for page in api.walk("workorders", sort="updatedAt", limit=50):
        if not seen:
            api.change(f"workorders/{page[0]['id']}", title="Changed")
        seen += [row["id"] for row in page]

    assert set(seen) == {row["id"] for row in stored(sim, "workorders")}
    assert seen[0] == seen[-1]


def test_offset_paging_skips_a_row_when_one_before_it_goes(sim: Simulator, api: Api) -> None:
    """The trap the vendor tells of for parts, assets and purchase orders."""
    wanted = [row["id"] for row in stored(sim, "parts")]

    def seen() -> list[int]:
        pages = api.walk("parts", limit=50)
        first = [row["id"] for row in next(pages)]
        api("DELETE", f"parts/{first[0]}")
        return first + [row["id"] for page in pages for row in page]

    assert set(wanted) - set(seen()) == {wanted[50]}
    sim.control.settings(offset_paging=[])
    assert set(wanted[1:]) - set(seen()) == set()


@pytest.mark.parametrize("limit", ["0", "201", "-1", "ten"])
def test_limit_out_of_range_is_refused(api: Api, limit: str) -> None:
    assert "limit" in api.refused("GET", "workorders", params={"limit": limit})


def test_limits_at_their_ends(api: Api) -> None:
    counts = [len(api("GET", "workorders", params=query).json()["workOrders"]) for query in ({}, {"limit": 200})]

    assert counts == [100, 200]


@pytest.mark.parametrize("cursor", ["x", "bm90IGpzb24", "WyJvZmZzZXQiLDFd"])
def test_cursor_of_somebody_else_is_refused(api: Api, cursor: str) -> None:
    assert api.refused("GET", "workorders", params={"cursor": cursor}) == "Invalid cursor"


def test_cursor_of_another_sort_is_refused(api: Api) -> None:
    cursor = api("GET", "workorders", params={"sort": "updatedAt"}).json()["nextCursor"]

    assert api.refused("GET", "workorders", params={"cursor": cursor}) == "Invalid cursor"


def test_next_page_url_leads_to_the_next_page(sim: Simulator, api: Api) -> None:
    first = api("GET", "workorders", params={"limit": 10, "statuses": ["OPEN", "DONE"], "sort": "-updatedAt"}).json()

    by_url = api.session.get(sim.origin + first["nextPageUrl"], timeout=10).json()
    by_cursor = api("GET", "workorders", params={
        "limit": 10, "statuses": ["OPEN", "DONE"], "sort": "-updatedAt", "cursor": first["nextCursor"],
    }).json()  # fmt: skip

    assert by_url["workOrders"] == by_cursor["workOrders"] != []


@pytest.mark.parametrize("entity", ["workorders", "purchaseorders", "parts", "assets"])
@pytest.mark.parametrize("name", ["updatedAt", "createdAt"])
@pytest.mark.parametrize("sort", [None, "updatedAt", "-createdAt"])
def test_range_of_times_includes_its_ends(sim: Simulator, api: Api, entity: str, name: str, sort: str | None) -> None:
    times = sorted(row[name] for row in stored(sim, entity))
    low, high = times[len(times) // 3], times[2 * len(times) // 3]

    rows = api.all(entity, **{f"{name}[gte]": low, f"{name}[lte]": high, "sort": sort, "limit": 20})

    wanted = [row for row in stored(sim, entity) if low <= row[name] <= high]
    assert Counter(row["id"] for row in rows) == Counter(row["id"] for row in wanted)
    assert {low, high} <= {row[name] for row in rows}


@pytest.mark.parametrize("entity", ["locations", "vendors"])
def test_range_and_sort_are_ignored_where_the_api_has_none(sim: Simulator, api: Api, entity: str) -> None:
    rows = api.all(entity, **{"updatedAt[gte]": "2100-01-01T00:00:00Z", "sort": "-updatedAt"})

    assert [row["id"] for row in rows] == [row["id"] for row in stored(sim, entity)]


def test_range_takes_any_zone_and_refuses_what_is_no_time(sim: Simulator, api: Api) -> None:
    change = stored(sim, "parts")[0]["updatedAt"]
    there = datetime.fromisoformat(change.replace("Z", "+00:00")).astimezone().isoformat()

    rows = api.all("parts", **{"updatedAt[gte]": there, "updatedAt[lte]": change})

    assert [row["updatedAt"] for row in rows] == [change]
    assert "updatedAt[gte]" in api.refused("GET", "parts", params={"updatedAt[gte]": "yesterday"})


@pytest.mark.parametrize(
    ("entity", "sort"),
    [
        ("workorders", "updatedAt"), ("workorders", "-dueDate"), ("workorders", "completedAt"), ("workorders", "-id"),
        ("parts", "-updatedAt"), ("assets", "createdAt"), ("purchaseorders", "-createdAt"),
    ],
)  # fmt: skip
def test_sort(sim: Simulator, api: Api, entity: str, sort: str) -> None:
    name, descending = sort.removeprefix("-"), sort.startswith("-")

    ids = [row["id"] for row in api.all(entity, sort=sort, limit=30)]

    rows = sorted(stored(sim, entity), key=lambda row: (row[name] or "", row["id"]), reverse=descending)
    assert ids == [row["id"] for row in rows]


def test_sort_by_something_else_is_refused(api: Api) -> None:
    assert "sort" in api.refused("GET", "parts", params={"sort": "name"})


@pytest.mark.parametrize(
    ("parameter", "field"),
    [
        ("statuses", "status"), ("priorities", "priority"), ("assets", "assetId"), ("locations", "locationId"),
    ],
)  # fmt: skip
def test_filter_of_work_orders(sim: Simulator, api: Api, parameter: str, field: str) -> None:
    values = sorted({str(row[field]) for row in stored(sim, "workorders")})[:2]

    rows = api.all("workorders", **{parameter: values, "limit": 50})

    wanted = [row["id"] for row in stored(sim, "workorders") if str(row[field]) in values]
    assert [row["id"] for row in rows] == wanted and 0 < len(wanted) < 300


def test_filter_of_work_orders_by_members_of_lists(sim: Simulator, api: Api) -> None:
    work = stored(sim, "workorders")
    user = next(row for row in work if row["assignees"])["assignees"][0]["id"]
    vendor = next(row for row in work if row["vendorIds"])["vendorIds"][0]

    by_user = api.all("workorders", assignees=user, expand="assignees")
    by_vendor = api.all("workorders", vendors=vendor, categories="Mechanical", expand=["vendor_ids", "categories"])

    assert by_user and all({"type": "USER", "id": user} in row["assignees"] for row in by_user)
    assert all(vendor in row["vendorIds"] and row["categories"] == ["Mechanical"] for row in by_vendor)


def test_filter_of_purchase_orders_by_status(sim: Simulator, api: Api) -> None:
    rows = api.all("purchaseorders", statuses=["PENDING", "APPROVED"])

    assert {row["status"] for row in rows} == {"PENDING", "APPROVED"}


# --- what lists show -------------------------------------------------------------------------------------------------


def test_list_of_purchase_orders_is_four_fields(api: Api) -> None:
    assert {frozenset(row) for row in api.all("purchaseorders", expand="items")} == {
        frozenset({"id", "status", "createdAt", "updatedAt"})
    }


def test_list_of_vendors_is_slim(sim: Simulator, api: Api) -> None:
    assert set(api.all("vendors")[0]) == {"id", "name"}
    assert set(api.all("vendors", expand="extra_fields")[0]) == {"id", "name", "extraFields"}
    assert {"emails", "updatedAt"} <= set(api.one("vendors", stored(sim, "vendors")[0]["id"]))


def test_list_of_work_orders_is_slim_and_expands(sim: Simulator, api: Api) -> None:
    slim = api.all("workorders")[0]
    expand = ["asset", "location", "assignees", "extra_fields", "unknown"]
    full = api.all("workorders", expand=expand)[0]
    work = stored(sim, "workorders")[0]

    assert not {"assetId", "asset", "assignees", "extraFields", "vendorIds"} & set(slim)
    assert set(full) - set(slim) == {"asset", "location", "assignees", "extraFields"}
    assert (full["asset"]["id"], full["location"]["id"]) == (work["assetId"], work["locationId"])
    assert api.one("workorders", work["id"])["assetId"] == work["assetId"]
    assert api.one("workorders", work["id"], expand="asset")["asset"] == full["asset"]


def test_expanded_asset_is_never_an_old_one(sim: Simulator, api: Api) -> None:
    work = stored(sim, "workorders")[0]
    api.all("workorders", expand="asset")

    api.change(f"assets/{work['assetId']}", name="Renamed")

    assert api.all("workorders", expand="asset")[0]["asset"]["name"] == "Renamed"


def test_list_shows_changes_at_once(sim: Simulator, api: Api) -> None:
    number = api.all("locations")[0]["id"]

    api.change(f"locations/{number}", name="Moved")

    assert api.all("locations")[0]["name"] == api.one("locations", number)["name"] == "Moved"


# --- objects ---------------------------------------------------------------------------------------------------------


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


# --- work orders and assets ------------------------------------------------------------------------------------------


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


# --- purchase orders -------------------------------------------------------------------------------------------------


def test_new_purchase_order(sim: Simulator, api: Api) -> None:
    part = stored(sim, "parts")[0]
    last = max(row["autoGeneratedNumber"] for row in stored(sim, "purchaseorders"))
    number = api.make(
        "purchaseorders",
        title="Seals",
        vendorId=stored(sim, "vendors")[0]["id"],
        overrideNumber="PO-X1",
        items=[
            {"partId": part["id"], "quantityOrdered": 3, "unitCost": 1250},
            {"name": "Freight", "quantityOrdered": 1},
        ],
        costs=[{"name": "Tax", "type": "PERCENT_TAXABLE", "amount": 19}],
    )

    made = api.one("purchaseorders", number)

    assert (made["status"], made["autoGeneratedNumber"], made["overrideNumber"]) == ("REQUESTED", last + 1, "PO-X1")
    seal, freight = made["items"]
    assert (seal["name"], seal["unitCost"], seal["unitCostDecimal"]) == (part["name"], 1250, "12.500000")
    assert (seal["price"], seal["priceDecimal"], seal["quantityReceived"]) == (3750, "37.500000", 0)
    assert (freight["partId"], freight["unitCost"], freight["price"]) == (None, None, None)
    assert api.one("parts", part["id"])["orderedQuantity"] == part["orderedQuantity"] + 3


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"items": None}, ["items"]),
        ({"items": [{"quantityOrdered": "3"}]}, ["items[0].quantityOrdered"]),
        ({"items": [{"quantityOrdered": 0}]}, ["items[0].quantityOrdered"]),
        ({"items": [{"quantityOrdered": 1, "partId": 999}]}, ["items[0].partId"]),
        ({"items": [{"quantityOrdered": 1, "unitCost": 1.5}]}, ["items[0].unitCost"]),
        ({"vendorId": 999}, ["vendorId"]),
        ({"costs": [{"name": "Tax", "type": "VAT", "amount": 1}]}, ["costs"]),
    ],
)
def test_purchase_order_that_cannot_be_made(sim: Simulator, api: Api, change: Body, named: list[str]) -> None:
    body = {"vendorId": stored(sim, "vendors")[0]["id"], "items": [], **change}
    before = sim.control.status()["objects"]

    assert api.refused("POST", "purchaseorders", body) == named
    assert sim.control.status()["objects"] == before


def test_purchase_order_needs_vendor_and_items(api: Api) -> None:
    assert api.refused("POST", "purchaseorders", {"title": "T"}) == ["vendorId", "items"]


def test_purchase_order_title_when_the_organisation_makes_its_own_then_ignored(sim: Simulator, api: Api) -> None:
    sim.control.settings(purchase_order_titles=False)
    number = order(api)

    assert api.one("purchaseorders", number)["title"] is None
    assert api.change(f"purchaseorders/{number}", title="Again", note="Kept")["title"] is None


@pytest.mark.parametrize("before", TRANSITIONS)
@pytest.mark.parametrize("after", TRANSITIONS)
@pytest.mark.parametrize("path", ["/status", ""])
def test_purchase_order_transition(sim: Simulator, api: Api, before: str, after: str, path: str) -> None:
    number = stored(sim, "purchaseorders", status=before)[0]["id"]

    answer = api("PATCH", f"purchaseorders/{number}{path}", {"status": after})

    is_allowed = after in TRANSITIONS[before] or (before == after != "REQUESTED")
    assert answer.status_code == (200 if is_allowed else 400), answer.text
    assert api.one("purchaseorders", number)["status"] == (after if is_allowed else before)


def test_purchase_order_status_with_note_and_approver(sim: Simulator, api: Api) -> None:
    number = stored(sim, "purchaseorders", status="PENDING")[0]["id"]

    changed = api.change(f"purchaseorders/{number}/status", status="APPROVED", reviewNote="Good")

    assert (changed["reviewNote"], changed["approverId"]) == ("Good", 1)
    assert changed["approvalDate"] == changed["updatedAt"]
    assert api.refused("PATCH", f"purchaseorders/{number}/status", {"status": "ORDERED"}) == ["status"]
    assert api.refused("PATCH", f"purchaseorders/{number}/status", {}) == ["status"]


@pytest.mark.parametrize("status", ["COMPLETED", "CANCELED"])
@pytest.mark.parametrize("body", [{"items": []}, {"vendorId": None}])
def test_closed_purchase_order_keeps_items_and_vendor(sim: Simulator, api: Api, status: str, body: Body) -> None:
    number = stored(sim, "purchaseorders", status=status)[0]["id"]

    assert status in api.refused("PATCH", f"purchaseorders/{number}", body)
    assert api.change(f"purchaseorders/{number}", note="Filed")["note"] == "Filed"


def test_items_of_a_purchase_order_cannot_be_patched(sim: Simulator, api: Api) -> None:
    assert "items" in api.refused("PATCH", f"purchaseorders/{order(api)}", {"items": []})


def test_receiving_raises_the_stock_by_what_is_new(sim: Simulator, api: Api) -> None:
    """Quantities are totals so far: the same call again changes nothing."""
    part, other = stored(sim, "parts")[:2]
    number = approved(api, (part["id"], 10), (other["id"], 1))
    first, second = api.one("purchaseorders", number)["items"]
    path = f"purchaseorders/{number}/fulfillment"

    def stock() -> tuple[int, int, int]:
        now = api.one("parts", part["id"])
        return (
            now["inStockQuantity"] - part["inStockQuantity"],
            now["orderedQuantity"] - part["orderedQuantity"],
            now["locations"][0]["availableQuantity"] - part["locations"][0]["availableQuantity"],
        )

    assert stock() == (0, 10, 0)
    for _ in range(2):
        partly = api.change(path, items=[{"id": first["id"], "quantityReceived": 4}])
        assert (partly["status"], partly["items"][0]["quantityReceived"]) == ("PARTIALLY_FULFILLED", 4)
        assert stock() == (4, 6, 4)
    where = [{"locationId": part["locationId"], "quantityReceived": 10}]
    whole = api.change(path, items=[
        {"id": first["id"], "fulfillments": where, "unitCost": 999}, {"id": second["id"], "quantityReceived": 1},
    ])  # fmt: skip

    assert whole["status"] == "COMPLETED"
    assert whole["items"][0]["fulfillments"][0]["quantityReceived"] == "10.000000"
    assert (whole["items"][0]["unitCost"], whole["items"][0]["price"]) == (999, 9990)
    assert stock()[:2] == (10, 0)


def test_receiving_is_one_step_in_the_journal_with_its_parts_beside(sim: Simulator, api: Api) -> None:
    part = stored(sim, "parts")[0]["id"]
    number = approved(api, (part, 2))
    item = api.one("purchaseorders", number)["items"][0]["id"]
    after = sim.control.journal()[-1]["seq"]

    api.change(f"purchaseorders/{number}/fulfillment", items=[{"id": item, "quantityReceived": 2}])

    entries = sim.control.journal(after)
    assert [(one["entity"], one["object_id"], one["effect"], one["side_effect"]) for one in entries] == [
        ("purchaseorders", number, "updated", False),
        ("parts", part, "updated", True),
    ]
    assert len({one["request_id"] for one in entries}) == 1


@pytest.mark.parametrize(
    "item",
    [
        {"quantityReceived": -1}, {"quantityReceived": "2"}, {}, {"id": 1, "quantityReceived": 1},
        {"fulfillments": [{"locationId": 999, "quantityReceived": 1}]}, {"quantityReceived": 1, "unitCost": 1.5},
    ],
)  # fmt: skip
def test_receiving_what_cannot_be_is_refused_whole(sim: Simulator, api: Api, item: Body) -> None:
    part = stored(sim, "parts")[0]["id"]
    number = approved(api, (part, 2), (part, 2))
    good, other = api.one("purchaseorders", number)["items"]
    before = api.one("parts", part)

    refused = api.refused("PATCH", f"purchaseorders/{number}/fulfillment", {
        "items": [{"id": good["id"], "quantityReceived": 1}, {"id": other["id"], **item}],
    })  # fmt: skip

    assert refused == ["items"]
    assert api.one("parts", part) == before and api.one("purchaseorders", number)["status"] == "APPROVED"


@pytest.mark.parametrize("status", ["REQUESTED", "PENDING", "DECLINED", "CANCELED"])
def test_receiving_before_approval_is_refused(sim: Simulator, api: Api, status: str) -> None:
    row = stored(sim, "purchaseorders", status=status)[0]
    body = {"items": [{"id": row["items"][0]["id"], "quantityReceived": 1}]}

    assert status in api.refused("PATCH", f"purchaseorders/{row['id']}/fulfillment", body)


def test_quantity_on_order_goes_with_cancel_and_delete(sim: Simulator, api: Api) -> None:
    part = stored(sim, "parts")[0]
    for end in ("cancel", "delete"):
        number = order(api, (part["id"], 5))
        assert api.one("parts", part["id"])["orderedQuantity"] == part["orderedQuantity"] + 5
        if end == "cancel":
            api.change(f"purchaseorders/{number}/status", status="CANCELED")
        api("DELETE", f"purchaseorders/{number}")
        assert api.one("parts", part["id"])["orderedQuantity"] == part["orderedQuantity"]


# --- seed ------------------------------------------------------------------------------------------------------------


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
