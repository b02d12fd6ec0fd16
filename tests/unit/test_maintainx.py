"""What is odd about MaintainX: lists that skip, slim lists, cents, marks, versions, jobs. Against the simulator."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import orjson
import pytest

from core.errors import (
    AuthError,
    BadAnswerError,
    ConfigError,
    ConflictError,
    NotFoundError,
    RateLimitedError,
    TimeoutUnknownError,
    TransientError,
    ValidationFailedError,
)
from core.http import Door, connection_policy
from integrations.connectors.maintainx import MaintainX
from integrations.connectors.maintainx.bodies import completed
from integrations.sdk.connector import ConnectorSettings
from integrations.sdk.mapping import compile_mapping
from integrations.sdk.pages import Page, Window
from integrations.sdk.writes import Change, JobState
from integrations.simulators import running
from integrations.simulators.kit.server import Simulator
from tests.contract.kit import CONNECTION_ID
from tests.contract.writer import Writer, new_mark

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with running("maintainx") as found:
        yield found


@pytest.fixture
def sim(shared: Simulator) -> Simulator:
    """As at the start."""
    shared.control.reset()
    return shared


@pytest.fixture
def make(sim: Simulator) -> Iterator[Any]:
    doors: list[Door] = []

    def one(*, page_size: int | None = None, **config: Any) -> MaintainX:
        doors.append(Door(connection_policy(["127.0.0.0/8"]), secrets=[sim.api_key]))
        config = {"base_url": sim.base_url, **config}
        return MaintainX(ConnectorSettings(config, {"api_key": sim.api_key}, page_size=page_size), doors[-1])

    yield one
    for door in doors:
        door.close()


@pytest.fixture
def connector(make: Any) -> MaintainX:
    return make()


def live(sim: Simulator, entity: str) -> set[str]:
    return {str(row["id"]) for row in sim.control.objects(entity) if row["deletedAt"] is None}


def everything(since: datetime | None = None, **wanted: bool) -> Window:
    return Window(since, datetime.now(UTC), **wanted)


def pages(connector: MaintainX, entity: str, window: Window) -> Iterator[Page]:
    position = None
    while True:
        page = connector.fetch_page(connector.resource(entity), window, position)
        # As it is stored between two pages.
        position = orjson.loads(orjson.dumps(page.next))
        yield page
        if position is None:
            return


def ids(page: Page) -> list[str]:
    return [remote_id for remote_id, _ in page.records]


def requests_to(sim: Simulator, route: str) -> int:
    return sim.control.status()["requests"].get(route, 0)


# --- lists -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("entity", "table"), [("inventory_item", "parts"), ("asset", "assets")])
def test_walk_when_rows_before_it_go_then_none_is_skipped(sim: Simulator, make: Any, entity: str, table: str) -> None:
    """The vendor's cursors of these count rows: whoever follows them misses as many as went."""
    stayed = live(sim, table)
    seen: list[str] = []
    for number, page in enumerate(pages(make(page_size=20), entity, everything(by_id=True))):
        seen += ids(page)
        if number < 3:
            gone = seen[number]
            sim.control.change(table, int(gone), deletedAt="2026-11-24T00:00:00.000Z")
            stayed.discard(gone)

    assert stayed <= set(seen) and len(seen) == len(set(seen))


def test_walk_of_changes_when_rows_move_to_the_end_then_none_is_skipped(sim: Simulator, make: Any) -> None:
    connector, wanted = make(page_size=20), live(sim, "parts")
    seen: list[str] = []
    for number, page in enumerate(pages(connector, "inventory_item", everything(datetime(2020, 1, 1, tzinfo=UTC)))):
        seen += ids(page)
        if number < 3:
            sim.control.change("parts", int(seen[number]), description="Changed meanwhile")

    assert wanted == set(seen)


def test_walk_when_many_rows_have_one_time_then_each_comes_once(sim: Simulator, make: Any) -> None:
    moment = "2026-05-05T05:05:05.000Z"
    for row in sim.control.objects("parts")[10:75]:
        sim.control.change("parts", row["id"], quiet=True, createdAt=moment, updatedAt=moment)
    for since in (None, datetime(2020, 1, 1, tzinfo=UTC)):
        seen = [key for page in pages(make(page_size=20), "inventory_item", everything(since)) for key in ids(page)]
        assert sorted(seen) == sorted(live(sim, "parts"))


def test_walk_of_changes_when_it_passes_its_window_then_it_ends(sim: Simulator, connector: MaintainX) -> None:
    times = sorted(row["updatedAt"] for row in sim.control.objects("workorders"))
    until = datetime.fromisoformat(times[150])
    window = Window(until - 400 * DAY, until)
    connector.settings.page_size = 20
    seen = [key for page in pages(connector, "work_order", window) for key in ids(page)]

    assert 150 <= len(seen) <= 180


def test_list_when_the_server_repeats_itself_then_the_walk_stops(sim: Simulator, make: Any) -> None:
    for entity, path in (("inventory_item", "/v1/parts"), ("location", "/v1/locations")):
        sim.control.add_fault("repeated_page", "GET", path)
        with pytest.raises(BadAnswerError) as caught:
            list(islice(pages(make(page_size=20), entity, everything()), 10))
        assert caught.value.code == "PAGING_STUCK"


def test_work_order_when_listed_or_read_then_its_deletion_counts_as_gone(sim: Simulator, connector: MaintainX) -> None:
    (first, *_) = live(sim, "workorders")
    sim.control.change("workorders", int(first), deletedAt="2026-11-24T00:00:00.000Z")
    with pytest.raises(NotFoundError) as caught:
        connector.fetch_one(connector.resource("work_order"), first)

    assert caught.value.code == "DELETED_AT_SOURCE"
    assert first not in {key for page in pages(connector, "work_order", everything()) for key in ids(page)}


# --- slim lists ------------------------------------------------------------------------------------------------------


def test_orders_when_walked_for_the_first_time_then_old_finished_ones_are_not_read(
    sim: Simulator, connector: MaintainX
) -> None:
    rows = sim.control.objects("purchaseorders")
    since = datetime.now(UTC) - 30 * DAY
    open_values = connector.resource("purchase_order").open_values
    wanted = {
        str(row["id"])
        for row in rows
        if row["status"] in open_values or datetime.fromisoformat(row["updatedAt"]) >= since
    }
    found = [*pages(connector, "purchase_order", everything(since, open_too=True, by_id=True))]

    assert {key for page in found for key in ids(page)} == wanted and 0 < len(wanted) < len(rows)
    assert requests_to(sim, "GET /v1/purchaseorders/{id}") == len(wanted)
    assert requests_to(sim, "GET /v1/purchaseorders") == 1
    assert all(len(page.records) <= connector.details_per_page for page in found)


def test_orders_when_the_limit_is_nearly_used_up_then_the_page_ends_early_and_writes_have_their_share(
    sim: Simulator, connector: MaintainX
) -> None:
    sim.control.settings(rate_limit_per_minute=20)
    resource = connector.resource("purchase_order")
    page = connector.fetch_page(resource, everything(), None)

    # One call for the list, then details until a fifth of the limit is left.
    assert len(page.records) == 15
    with pytest.raises(RateLimitedError) as caught:
        connector.fetch_page(resource, everything(), page.next)
    assert 0 < (caught.value.retry_after or 0) <= 60
    assert requests_to(sim, "GET /v1/purchaseorders/{id}") == 15


def test_orders_when_time_runs_out_then_the_page_ends_early(sim: Simulator, connector: MaintainX) -> None:
    sim.control.settings(latency_ms=100)
    connector.call_seconds = 2.0  # type: ignore[misc]
    page = connector.fetch_page(connector.resource("purchase_order"), everything(), None)

    assert 1 <= len(page.records) < connector.details_per_page and page.next


def test_order_when_it_went_between_list_and_detail_then_the_page_goes_on(sim: Simulator, connector: MaintainX) -> None:
    resource = connector.resource("purchase_order")
    first = connector.fetch_page(resource, everything(), None)
    gone = first.next["ids"][0]
    sim.control.change("purchaseorders", int(gone), deletedAt="2026-11-24T00:00:00.000Z")
    second = connector.fetch_page(resource, everything(), first.next)

    assert gone not in ids(second) and len(second.records) == connector.details_per_page - 1


# --- signing in ------------------------------------------------------------------------------------------------------


def test_organization_when_it_is_missed_then_the_setting_is_named(sim: Simulator, make: Any) -> None:
    assert make().check().account == "organization 501"
    sim.control.settings(require_organization=True)
    with pytest.raises(ConfigError, match=r"organization_id.*x-organization-id"):
        make().check()

    assert make(organization_id="501").check().account == "organization 501"
    response = make(organization_id="501").passthrough("GET", "/parts", {"limit": 1}, {}, None)
    assert response.status == 200


def test_key_when_it_is_refused_in_the_middle_then_the_customer_must_act(sim: Simulator, connector: MaintainX) -> None:
    sim.control.add_fault("unauthorized", times=1)
    with pytest.raises(AuthError):
        connector.fetch_page(connector.resource("asset"), everything(), None)


# --- mapping ---------------------------------------------------------------------------------------------------------


def test_currency_when_configured_then_it_is_in_every_object_with_amounts(make: Any) -> None:
    for config, expected in (({}, "USD"), ({"currency": "eur"}, "EUR"), ({"currency": ""}, None)):
        writer = Writer(make(**config), "inventory_item")
        page = writer.connector.fetch_page(writer.resource, everything(), None)
        assert writer.read(page.records[0][0])[1]["currency"] == expected
        assert page.records[0][1].startswith(b'{"currency":')


def mapped(entity: str, body: dict[str, Any]) -> dict[str, Any]:
    """An object as the vendor's document shows it, mapped."""
    door = Door(connection_policy())
    door.close()
    connector = MaintainX(ConnectorSettings({"base_url": "http://127.0.0.1:9"}, {"api_key": "k"}), door)
    resource = connector.resource(entity)
    raw = connector.shaped(resource, orjson.dumps(body))
    unified = compile_mapping(resource.spec, resource.fields, connection_id=CONNECTION_ID).map(connector.decode(raw))
    resource.entity.model_validate({name: value for name, value in unified.items() if name != "custom"})
    return unified


def test_asset_when_its_status_is_an_object_as_documented_then_its_word_counts() -> None:
    body = {
        "id": 963,
        "name": "Forklift",
        "status": {"id": 42, "status": "OFFLINE", "downtimeType": "PLANNED", "customStatus": None},
        "manufacturer": {"id": 1, "name": "ACME"},
        "model": "X-2000",
        "vendorIds": [7, 8],
        "depreciation": {"purchasePrice": 12500.5, "purchaseDate": "2022-01-01T00:00:00.000Z"},
    }
    asset = mapped("asset", body)

    assert (asset["status"], asset["remote_status"]) == ("down", "OFFLINE")
    assert (asset["manufacturer"], asset["model"], asset["vendor"]["remote_id"]) == ("ACME", "X-2000", "7")
    assert (asset["purchase_cost"], asset["purchase_date"], asset["currency"]) == ("12500.5", "2022-01-01", "USD")
    assert mapped("asset", {"id": 1, "name": "Bare"})["status"] is None


def test_work_order_when_it_has_parts_and_a_summary_then_they_are_mapped() -> None:
    order = mapped(
        "work_order",
        {
            "id": 5,
            "sequentialId": 12,
            "title": "Seal leaks",
            "status": "SKIPPED",
            "type": "CYCLE_COUNT",
            "priority": "HIGH",
            "asset": {"id": 11, "name": "Pump", "serialNumber": "S1"},
            "locationId": 3,
            "requesterId": 8,
            "assignees": [{"type": "TEAM", "id": 1}, {"type": "USER", "id": 2}],
            "parts": [{"id": 21, "name": "Seal", "unitCost": 125, "quantityUsed": 2, "locationId": 3}],
            "workOrderSummary": {"content": "Replaced the seal."},
            "dueDate": "2026-03-02T23:00:00.000Z",
        },
    )
    assert (order["number"], order["status"], order["remote_status"], order["work_type"]) == (
        "12", "cancelled", "SKIPPED", "other",
    )  # fmt: skip
    assert (order["asset"]["remote_id"], order["asset"]["name"], order["due_date"]) == ("11", "Pump", "2026-03-02")
    assert order["assignees"] == [{"remote_id": "2"}] and order["requester"] == {"remote_id": "8"}
    assert order["completion_notes"] == "Replaced the seal."
    (line,) = order["lines"]
    assert (line["item"]["remote_id"], line["used_quantity"], line["unit_cost"]) == ("21", "2", "1.25")


def test_order_when_prices_are_finer_than_cents_then_nothing_is_rounded() -> None:
    item = {
        "id": 1, "quantityOrdered": 3, "unitCost": 1, "unitCostDecimal": "0.012500", "priceDecimal": "0.037500",
    }  # fmt: skip
    body = {
        "id": 5,
        "status": "NEW_ONE",
        "autoGeneratedNumber": 9,
        "items": [item],
        "createdAt": "2026-01-02T03:04:05Z",
    }
    order = mapped("purchase_order", body)

    assert (order["number"], order["status"], order["order_date"]) == ("9", "unknown", "2026-01-02")
    assert (order["lines"][0]["unit_price"], order["lines"][0]["amount"]) == ("0.0125", "0.0375")


# --- bodies ----------------------------------------------------------------------------------------------------------


def test_body_when_lists_show_their_first_value_then_the_others_stay() -> None:
    before = {"emails": ["a@x.example", "b@x.example"], "vendorIds": [1, 2]}
    body = completed({"emails": "c@x.example", "vendorIds": None, "partTypes": "Seals"}, before)

    assert body == {"emails": ["c@x.example", "b@x.example"], "vendorIds": [2], "partTypes": ["Seals"]}


def test_body_when_users_are_assigned_then_teams_and_the_others_stay() -> None:
    before = {"assignees": [{"type": "TEAM", "id": 4}, {"type": "USER", "id": 4}]}
    body = completed({"assignees": [{"id": "4"}, {"id": "5"}, {"id": "a@x.example"}]}, before)

    assert body["assignees"] == [
        *before["assignees"],
        {"type": "USER", "id": 5},
        {"type": "USER", "id": "a@x.example"},
    ]


def test_price_when_it_is_finer_than_cents_then_its_line_is_named(connector: MaintainX) -> None:
    writer = Writer(connector, "purchase_order")
    lines = [{"description": "Box", "quantity": "1", "unit_price": "1.25"}, {"quantity": "1", "unit_price": "0.0125"}]
    with pytest.raises(ValidationFailedError) as caught:
        writer.plan(Change("create", {"vendor": "7001", "lines": lines}))

    assert [error.pointer for error in caught.value.errors] == ["/lines/1/unit_price"]


def test_writes_when_quiet_or_not_then_webhooks_are_skipped_or_not(make: Any) -> None:
    change = Change("update", {"name": "Pump"}, "11001", {})

    (quiet,) = Writer(make(), "asset").plan(change)
    (loud,) = Writer(make(quiet_writes=False), "asset").plan(change)

    assert quiet.url.endswith("/assets/11001?skipWebhook=true") and loud.url.endswith("/assets/11001")


# --- outcomes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("apply_then_error", TransientError),
        ("cut_answer", TimeoutUnknownError),
        ("cut", TimeoutUnknownError),
        ("garbage", BadAnswerError),
        ("server_error", TransientError),
    ],
)
@pytest.mark.parametrize("entity", ["work_order", "purchase_order", "vendor"])
def test_create_when_the_answer_is_spoilt_then_the_mark_tells_whether_it_was_made(
    sim: Simulator, connector: MaintainX, entity: str, fault: str, error: type[Exception]
) -> None:
    good: dict[str, dict[str, Any]] = {
        "work_order": {"title": "Seal leaks"},
        "purchase_order": {"vendor": "7001", "lines": [{"description": "Box", "quantity": "1"}]},
        "vendor": {"name": "Nordring"},
    }
    values = good[entity]
    writer = Writer(connector, entity)
    change, since = Change("create", values, mark=new_mark()), connector.now()
    (call,) = writer.plan(change)
    sim.control.add_fault(fault, "POST", times=1)
    with pytest.raises(error):
        writer.send(call)
    made = [entry["object_id"] for entry in sim.control.journal() if entry["effect"] == "created"]

    assert connector.find_marked(writer.resource, change, since) == [str(number) for number in made]
    assert len(made) == (fault in ("apply_then_error", "cut_answer"))


def test_vendor_when_its_mark_is_looked_for_then_no_vendor_is_read_alone(sim: Simulator, connector: MaintainX) -> None:
    change = Change("create", {"name": "Nordring"}, mark=new_mark())

    assert connector.find_marked(connector.resource("vendor"), change, connector.now()) == []
    assert requests_to(sim, "GET /v1/vendors/{id}") == 0


def test_field_when_it_is_dropped_silently_then_reading_back_shows_it(sim: Simulator, connector: MaintainX) -> None:
    sim.control.add_fault("dropped_field", "PATCH", fields=["description"], times=1)
    done = Writer(connector, "location").update("601", {"name": "Plant", "description": "Lost"})

    assert [missed["pointer"] for missed in done.missed] == ["/description"]
    assert done.after is not None and done.after["name"] == "Plant"


def test_version_when_the_system_tells_one_then_a_change_in_between_is_a_conflict(
    sim: Simulator, connector: MaintainX
) -> None:
    sim.control.settings(etags=True)
    writer = Writer(connector, "location")
    change = Change("update", {"name": "Ours"}, "601", writer.read("601")[0])
    (call,) = writer.plan(change)
    assert call.headers["If-Match"]
    sim.control.change("locations", 601, name="Theirs")
    with pytest.raises(ConflictError):
        writer.send(call)

    sim.control.settings(etags=False)
    writer.read("601")
    assert writer.plan(change)[0].headers == {}


@pytest.mark.parametrize("outcome", ["done", "failed"])
def test_write_when_it_is_accepted_as_a_job_then_it_is_followed(
    sim: Simulator, connector: MaintainX, outcome: str
) -> None:
    sim.control.settings(asynchronous={"methods": ["POST"], "delay_seconds": 0.2, "outcome": outcome}, latency_ms=20)
    writer = Writer(connector, "work_order")
    sent = writer.send(writer.plan(Change("create", {"title": "Later"}, mark=new_mark()))[0])
    assert sent.job is not None and sent.remote_id is None
    state, deadline = JobState("running"), time.monotonic() + 20
    while state.state == "running":
        assert time.monotonic() < deadline
        state = connector.poll(writer.resource, sent.job)

    assert state.state == outcome
    if outcome == "done":
        assert writer.read(state.remote_id or "")[1]["title"] == "Later"
    else:
        assert state.error is not None and state.error.source is not None


def test_refusal_when_the_body_is_wrong_then_the_systems_words_are_shown(connector: MaintainX) -> None:
    done = Writer(connector, "asset").update("11001", {"location": "999999"})

    assert isinstance(done.error, ValidationFailedError)
    assert "locationId: 999999 does not exist" in str(done.error)
