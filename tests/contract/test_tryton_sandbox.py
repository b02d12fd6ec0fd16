"""The sandbox ERP: seeded as promised, a fresh copy each time, gone with whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from sandbox.tryton import TrytonServer, environment, running
from sandbox.tryton.client import HttpError, RpcError, TrytonClient

REPOSITORY = Path(__file__).parents[2]
# The first use on a machine builds the environment and the database.
pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server() -> Iterator[TrytonServer]:
    with running() as found:
        yield found


@pytest.fixture
def client(server: TrytonServer) -> TrytonClient:
    return TrytonClient(server.base_url, server.database).login(server.user, server.password)


def states(client: TrytonClient, model: str) -> Counter[str]:
    rows = client.call(f"model.{model}.search_read", [], 0, None, [["id", "ASC"]], ["state"])
    return Counter(row["state"] for row in rows)


def test_seed_when_read_by_the_connectors_user_then_every_state_is_there(client: TrytonClient) -> None:
    purchases, productions = states(client, "purchase.purchase"), states(client, "production")

    assert set(purchases) == {"draft", "quotation", "confirmed", "processing", "done", "cancelled"}
    assert set(productions) == {"request", "draft", "waiting", "assigned", "running", "done", "cancelled"}
    assert purchases.total() >= 200 and productions.total() >= 40


@pytest.mark.parametrize(
    ("model", "active", "inactive"),
    [("party.party", 60, 5), ("product.product", 200, 5), ("stock.location", 30, 2)],
)
def test_master_data_when_counted_then_active_and_inactive_rows_are_there(
    client: TrytonClient, model: str, active: int, inactive: int
) -> None:
    assert client.call(f"model.{model}.search_count", []) >= active
    assert client.call(f"model.{model}.search_count", [["active", "=", False]]) >= inactive


def test_stock_when_asked_per_location_then_it_lies_in_more_than_one(client: TrytonClient) -> None:
    places = client.call("model.stock.location.search", [["code", "like", "SPARES-%"]], 0, None, [["id", "ASC"]])
    stocked = [
        client.call(
            "model.product.product.search_count",
            [["quantity", ">", 0]],
            locations=[place],
            with_childs=False,
            stock_date_end=date.today(),
        )
        for place in places
    ]

    assert len(stocked) >= 4 and all(stocked)


def test_purchase_when_created_quoted_and_confirmed_then_it_is_processing(client: TrytonClient) -> None:
    (party,) = client.call("model.party.party.search_read", [["code", "=", "V1000"]], 0, 1, None, ["addresses"])
    (product,) = client.call(
        "model.product.product.search_read", [["code", "=", "BRG-01"]], 0, 1, None, ["default_uom"]
    )
    line = {"product": product["id"], "quantity": 5.0, "unit": product["default_uom"], "unit_price": Decimal("4.20")}
    values = {
        "party": party["id"],
        "invoice_address": party["addresses"][0],
        "currency": 1,
        "delivery_date": date(2031, 1, 31),
        "lines": [["create", [line]]],
    }

    created = client.call("model.purchase.purchase.create", [values])
    client.call("model.purchase.purchase.quote", created)
    client.call("model.purchase.purchase.confirm", created)

    (row,) = client.call("model.purchase.purchase.read", created, ["state", "total_amount", "delivery_date", "number"])
    assert row["state"] == "processing" and row["number"]
    assert row["total_amount"] == Decimal("21.00") and row["delivery_date"] == date(2031, 1, 31)


def test_login_when_the_password_is_wrong_then_401(server: TrytonServer) -> None:
    with pytest.raises(HttpError) as caught:
        TrytonClient(server.base_url, server.database).login(server.admin_user, "wrong")
    assert caught.value.status == 401


def test_guest_when_reading_purchases_then_refused(server: TrytonServer) -> None:
    guest = TrytonClient(server.base_url, server.database).login(server.guest_user, server.guest_password)

    with pytest.raises(RpcError) as caught:
        guest.call("model.purchase.purchase.search", [], 0, 1, None)
    assert caught.value.kind == "UserError"


def test_logins_when_twenty_come_at_once_then_all_succeed(server: TrytonServer) -> None:
    def login(_number: int) -> int | None:
        return TrytonClient(server.base_url, server.database).login(server.user, server.password).user_id

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(login, range(20)))

    assert len(set(found)) == 1 and None not in found


def test_parties_when_twenty_are_created_at_once_then_each_gets_its_own_number(client: TrytonClient) -> None:
    def create(number: int) -> int:
        (party,) = client.call("model.party.party.create", [{"name": f"Made in parallel {number}"}])
        return int(party)

    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(create, range(20)))

    codes = {row["code"] for row in client.call("model.party.party.read", made, ["code"])}
    assert len(codes) == 20


def test_second_server_when_the_first_was_changed_then_its_copy_is_fresh(client: TrytonClient) -> None:
    client.call("model.party.party.create", [{"name": "Only here", "code": "ONLY-HERE"}])

    with running() as other:
        fresh = TrytonClient(other.base_url, other.database).login(other.user, other.password)
        assert fresh.call("model.party.party.search", [["code", "=", "ONLY-HERE"]], 0, None, None) == []
    assert not psutil.pid_exists(other.pid)


def test_server_when_its_starter_is_killed_then_it_ends_too(tmp_path: Path) -> None:
    script = "import signal\nfrom sandbox.tryton import running\nwith running() as s: print(s.pid, flush=True); signal.pause()"
    starter = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    with starter:
        assert starter.stdout is not None
        served = psutil.Process(int(starter.stdout.readline()))
        starter.send_signal(signal.SIGKILL)

    gone, alive = psutil.wait_procs([served], timeout=30)
    assert gone and not alive


def test_once_when_two_come_together_then_it_is_made_once_and_whole(tmp_path: Path) -> None:
    made: list[Path] = []
    both = threading.Barrier(2)

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "content").write_text("whole")

    def get(_number: int) -> str:
        both.wait(10)
        return (environment.once(tmp_path / "thing", make) / "content").read_text()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(get, range(2))) == ["whole", "whole"]
    assert len(made) == 1


def test_once_when_making_fails_then_nothing_is_left_and_the_next_try_works(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        environment.once(tmp_path / "thing", fail)

    assert list(environment.once(tmp_path / "thing", lambda folder: None).iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"thing", "thing.lock"}


def test_client_when_values_are_typed_then_they_survive_both_ways(client: TrytonClient) -> None:
    (row,) = client.call(
        "model.purchase.purchase.search_read",
        [["lines.unit_price", ">", Decimal("0.01")], ["purchase_date", "<=", date.today()]],
        0,
        1,
        [["id", "ASC"]],
        ["total_amount", "purchase_date", "create_date", "party.code", "lines.product.code"],
    )

    assert isinstance(row["total_amount"], Decimal) and isinstance(row["purchase_date"], date)
    assert row["party."]["code"] and row["lines."][0]["product."]["code"]
