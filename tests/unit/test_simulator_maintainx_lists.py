"""Lists of the CMMS in the manner of MaintainX: pages, ranges, sorts, filters, and what a row shows."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import pytest

from integrations.simulators.kit.server import Simulator
from tests.simulated_maintainx import PLURAL, Api, api, sim, stored  # noqa: F401

# --- lists ------------------------------------------------------------------------------------------------------------


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


# --- what lists show --------------------------------------------------------------------------------------------------


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
