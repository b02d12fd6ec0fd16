"""The ready flows from end to end, between a real ERP and a simulated CMMS: what happens there starts them, and what they do
stands there afterwards, once."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from connections.services import create_connection
from core import ids
from core.ids import new_id
from flows.definitions.ready import READY
from flows.models import Flow, FlowRun
from flows.services.editing import create_flow, publish
from flows.services.following import follow
from flows.services.testing import dry_run
from integrations.connectors.maintainx import MaintainX
from integrations.simulators import running as simulator
from integrations.simulators.kit.server import Simulator
from sandbox.tryton import TrytonServer, running
from sandbox.tryton.client import TrytonClient
from tests.flow_stage import drain, fresh, steps_of
from tests.syncing import copy_of, run_sync, sync_of
from workspaces.models import Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "ready-flows.md"
OUTPUT = os.environ.get("LINESHAFT_FLOW_OUTPUT", "")
PURCHASE = "model.purchase.purchase"
MINIMUM, MAXIMUM = 4, 32


@pytest.fixture(scope="module")
def plant() -> Iterator[TrytonServer]:
    with running() as server:
        yield server


@pytest.fixture
def person(plant: TrytonServer) -> TrytonClient:
    """Somebody who works in the ERP."""
    return TrytonClient(plant.base_url, plant.database).login(plant.admin_user, plant.admin_password)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The CMMS. Without the vendor's limit, which would have the test wait for minutes."""
    monkeypatch.setattr(MaintainX, "limits", replace(MaintainX.limits, per_minute=None))
    with simulator("maintainx") as found:
        yield found


@pytest.fixture
def workspace() -> Workspace:
    made = Workspace(name="Acme", slug=f"acme-{new_id().hex[-12:]}")
    made.save(force_insert=True)
    return made


@pytest.fixture
def erp(plant: TrytonServer, workspace: Workspace) -> Connection:
    config = {"base_url": plant.base_url, "database": plant.database, "user": plant.user}
    made = connected(workspace, "tryton", config, {"password": plant.password})
    for entity in ("vendor", "inventory_item", "purchase_order"):
        run_sync(sync_of(made, entity), rounds=5)
    return made


@pytest.fixture
def cmms(site: Simulator, workspace: Workspace) -> Connection:
    return connected(workspace, "maintainx", {"base_url": site.base_url}, {"api_key": site.api_key})


def connected(workspace: Workspace, system: str, config: dict[str, Any], secrets: dict[str, str]) -> Connection:
    with scope(workspace=workspace.pk):
        return create_connection(
            workspace=workspace,
            system=system,
            name=system,
            config=config,
            secrets=secrets,
            environment="test",
            by="test",
        )


def published(slug: str, cmms: Connection, erp: Connection) -> Flow:
    """The ready flow, set up as somebody does who takes it from the list."""
    ready = READY[slug]
    bindings = {"cmms": ids.show("con", cmms.pk), "erp": ids.show("con", erp.pk)}
    with scope(workspace=cmms.workspace_id):
        flow = create_flow(
            cmms.workspace,
            "test",
            name=ready.title,
            description=ready.summary,
            definition=ready.definition,
            bindings=bindings,
            by="test",
        )
        publish(flow, by="test")
    return fresh(flow)


def runs_of(flow: Flow) -> list[FlowRun]:
    """Started by what the feed says, and brought to their ends."""
    follow(flow.pk)
    with scopes_disabled():
        started = list(FlowRun.objects.filter(flow=flow, is_dry=False).order_by("pk"))
    return [drain(run) for run in started]


def tried(flow: Flow, run: FlowRun) -> FlowRun:
    """The recorded run as a dry run."""
    with scope(workspace=flow.workspace_id):
        made = dry_run(flow, by="test", use="published", of_run=run).run
    return drain(made)


def orderable(erp: Connection) -> dict[str, Any]:
    """An item of the ERP with a number, a vendor, some stock, and no open order at that vendor."""
    orders = copy_of(sync_of(erp, "purchase_order")).live.values()
    busy = {order["vendor"]["id"] for order in orders if order["status"] not in ("received", "closed", "cancelled")}
    items = copy_of(sync_of(erp, "inventory_item")).live.values()
    fitting = [
        item
        for item in items
        if item["number"]
        and item["status"] == "active"
        and item["vendor"]
        and item["vendor"]["id"] not in busy
        and max([Decimal(level["quantity_on_hand"]) for level in item["stock"]], default=0) >= 10
    ]
    assert fitting, "the seed has no such item"
    return min(fitting, key=lambda item: item["number"])


def keep(name: str, run: FlowRun) -> None:
    """For the guide, when somebody renews it."""
    if OUTPUT:
        told = [
            {"path": row.path, "status": row.status, "input": row.input, "output": row.output}
            for row in steps_of(run).values()
        ]
        Path(OUTPUT, f"{name}.json").write_text(json.dumps(told, indent=1, default=str))


def in_the_guide(slug: str) -> list[tuple[str, str]]:
    """Path and end of each step that the guide shows of a flow."""
    chapter = next(part for part in GUIDE.read_text().split("\n## ") if f"`{slug}` starts" in part)
    return re.findall(r"^\| `([^`]+)` \| (\w+) \|", chapter, re.MULTILINE)


def shown(run: FlowRun) -> list[tuple[str, str]]:
    return [(row.path, row.status) for row in steps_of(run).values()]


def test_part_that_runs_low_is_ordered_once(
    cmms: Connection, erp: Connection, site: Simulator, person: TrytonClient
) -> None:
    item, part = orderable(erp), site.control.objects("parts")[0]["id"]
    facts = {"barcode": item["number"], "minimumQuantity": MINIMUM, "maximumQuantity": MAXIMUM}
    site.control.change("parts", part, **facts, availableQuantity=40, inStockQuantity=40, orderedQuantity=0)
    parts = sync_of(cmms, "inventory_item")
    run_sync(parts, rounds=5)
    flow = published("low-stock-purchase-order", cmms, erp)
    assert runs_of(flow) == [], "a customer that connects starts nothing"

    site.control.change("parts", part, availableQuantity=3, inStockQuantity=3)
    run_sync(parts, rounds=5)
    (run,) = runs_of(flow)
    assert (run.status, run.error) == ("succeeded", None)
    steps = steps_of(run)
    assert {row.status for row in steps.values()} == {"succeeded", "skipped"}
    assert steps["missing"].output == str(MAXIMUM - 3)
    order = steps["order"].output["record"]
    (there,) = person.call(
        f"{PURCHASE}.read", [int(order["remote_id"])], ["state", "party", "lines.product", "lines.quantity"]
    )
    (line,) = there["lines."]
    assert (there["state"], there["party"]) == ("draft", int(item["vendor"]["remote_id"]))
    assert (line["product"], line["quantity"]) == (int(item["remote_id"]), MAXIMUM - 3)
    assert shown(run) == in_the_guide("low-stock-purchase-order")
    keep("low-stock-purchase-order", run)

    run_sync(parts, rounds=5)
    assert len(runs_of(flow)) == 1, "nothing changed"
    site.control.change("parts", part, availableQuantity=2, inStockQuantity=2)
    run_sync(parts, rounds=5)
    _, again = runs_of(flow)
    assert again.status == "succeeded" and again.current_step == "is_ordered" and "order" not in steps_of(again)

    person.call(f"{PURCHASE}.cancel", [int(order["remote_id"])])
    run_sync(sync_of(erp, "purchase_order"), rounds=5)
    known, asked = person.call(f"{PURCHASE}.search_count", []), len(site.control.journal())
    dry = tried(flow, run)
    planned = steps_of(dry)["order"].output
    assert dry.status == "succeeded" and planned["status"] == "planned" and planned["operation"] is None
    assert {"pointer", "before", "after"} <= set(planned["diff"][0])
    assert person.call(f"{PURCHASE}.search_count", []) == known and len(site.control.journal()) == asked


def test_what_a_work_order_used_is_booked_once(
    cmms: Connection, erp: Connection, site: Simulator, person: TrytonClient
) -> None:
    item, part = orderable(erp), site.control.objects("parts")[0]["id"]
    site.control.change("parts", part, barcode=item["number"])
    work = next(one for one in site.control.objects("workorders") if one["status"] == "OPEN" and not one["deletedAt"])
    orders = sync_of(cmms, "work_order")
    for sync in (sync_of(cmms, "inventory_item"), orders):
        run_sync(sync, rounds=5)
    flow = published("work-order-usage", cmms, erp)
    before = Decimal(item["quantity_on_hand"])

    used = {"id": part, "name": "Seal", "quantityUsed": 2, "unitCost": 968, "locationId": None}
    done: dict[str, Any] = {"status": "DONE", "completedAt": "2026-11-24T07:00:00.000Z", "completerId": 1}
    site.control.change("workorders", work["id"], parts=[used], partStatus="HAS_PARTS", **done)
    run_sync(orders, rounds=5)
    (run,) = runs_of(flow)
    assert (run.status, run.error) == ("succeeded", None)
    steps = steps_of(run)
    booked = next(row for path, row in steps.items() if path.endswith("].book"))
    assert booked.status == "succeeded" and booked.operation_id is not None
    assert Decimal(booked.output["record"]["quantity_on_hand"]) == before - 2
    stock = {"locations": places(person), "with_childs": False, "stock_date_end": datetime.now(UTC).date()}
    (there,) = person.call("model.product.product.read", [int(item["remote_id"])], ["quantity"], **stock)
    assert Decimal(str(there["quantity"])) == before - 2
    assert shown(run) == in_the_guide("work-order-usage")
    keep("work-order-usage", run)

    site.control.change("workorders", work["id"], description="Looked at again.")
    run_sync(orders, rounds=5)
    assert len(runs_of(flow)) == 1, "a work order is booked once"

    shipments = "model.stock.shipment.internal.search_count"
    known, asked = person.call(shipments, []), len(site.control.journal())
    dry = tried(flow, run)
    assert dry.status == "succeeded"
    assert person.call(shipments, []) == known and len(site.control.journal()) == asked


def places(person: TrytonClient) -> list[int]:
    return [int(pk) for pk in person.call("model.stock.location.search", [["type", "=", "storage"]])]
