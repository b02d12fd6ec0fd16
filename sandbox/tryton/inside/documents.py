"""Stock, purchases and productions of the sandbox plant. Runs inside Tryton's own environment, in an open transaction."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import catalogue
from records import batches, create
from trytond.pool import Pool
from trytond.transaction import Transaction

# How many purchases end in each state, and how much of a processing one has arrived.
PURCHASES = {
    "draft": 40,
    "quotation": 30,
    "confirmed": 28,
    "nothing": 30,
    "partly": 34,
    "fully": 16,
    "done": 36,
    "cancelled": 26,
}
PRODUCTIONS = {"request": 6, "draft": 8, "waiting": 8, "assigned": 6, "running": 8, "done": 12, "cancelled": 6}


def press(model: str, button: str, records: list[Any]) -> None:
    """Press a button on many records, then run what it queued, as the server does after each call."""
    transaction = Transaction()
    for batch in batches(records):
        getattr(Pool().get(model), button)(Pool().get(model).browse([r.id for r in batch]))
        while transaction.tasks:
            Pool().get("ir.queue")(transaction.tasks.pop()).run()


def stock(rng: random.Random, products: dict[str, Any], bins: list[Any], today: datetime.date) -> None:
    """Count stock into the bins: each stored product lies in one to three of them."""
    Inventory = Pool().get("stock.inventory")
    counted: dict[int, list[dict[str, Any]]] = {place.id: [] for place in bins}
    for code, product in sorted(products.items()):
        if product.template.type != "goods":
            continue
        plenty = code.split("-")[0] in {"PRE", "CAP", "LAB"}
        for place in rng.sample(bins, rng.choice((1, 1, 2, 3))):
            quantity = float(rng.randint(2000, 9000) if plenty else rng.randint(0, 120))
            counted[place.id].append({"product": product.id, "quantity": quantity})
    rows = [
        {
            "location": place,
            "date": today - datetime.timedelta(days=130),
            "lines": [("create", lines)],
        }
        for place, lines in counted.items()
        if lines
    ]
    Inventory.confirm(create("stock.inventory", rows))


def purchases(rng: random.Random, plant: dict[str, Any], today: datetime.date) -> dict[str, list[Any]]:
    """Create the purchases and move each group to its state; return the groups."""
    wanted = [group for group, count in PURCHASES.items() for _ in range(count)]
    rng.shuffle(wanted)
    rows = [_purchase_values(rng, plant, group, today) for group in wanted]
    groups: dict[str, list[Any]] = {group: [] for group in PURCHASES}
    for record, group in zip(create("purchase.purchase", rows), wanted, strict=True):
        groups[group].append(record)
    quoted = [r for group, records in groups.items() if group not in {"draft", "cancelled"} for r in records]
    press("purchase.purchase", "quote", quoted + groups["cancelled"][::2])
    press("purchase.purchase", "cancel", groups["cancelled"])
    _confirm_only(groups["confirmed"])
    press("purchase.purchase", "confirm", [r for r in quoted if r not in groups["quotation"] + groups["confirmed"]])
    return groups


def _confirm_only(records: list[Any]) -> None:
    """Confirm without the processing that would follow at once (a plant may delay it by a setting)."""
    Pool().get("purchase.purchase").confirm(records)
    Transaction().tasks.clear()
    Pool().get("ir.queue").delete(Pool().get("ir.queue").search([("dequeued_at", "=", None)]))


def _purchase_values(rng: random.Random, plant: dict[str, Any], group: str, today: datetime.date) -> dict[str, Any]:
    party = rng.choice(plant["suppliers"])
    day = today - datetime.timedelta(
        days=rng.randint(0, 30) if group in {"draft", "quotation"} else rng.randint(5, 120)
    )
    foreign = party.addresses[0].country.code != "US" and rng.random() < 0.4
    some = rng.sample(plant["bought"], rng.choice((1, 2, 2, 3, 4, 5)))
    values: dict[str, Any] = {
        "party": party.id,
        "invoice_party": party.id,
        "invoice_address": party.addresses[0].id,
        "company": plant["company"].id,
        "currency": plant["currencies"]["EUR" if foreign else "USD"].id,
        "payment_term": rng.choice(plant["terms"]).id,
        "warehouse": plant["warehouse"].id,
        "invoice_method": "order" if group in {"done", "fully"} else "fulfillment",
        "lines": [("create", [_line_values(rng, product, plant["tax"]) for product in some])],
    }
    if group != "draft" or rng.random() < 0.6:
        values["purchase_date"] = day
    if rng.random() < 0.6:
        values["delivery_date"] = day + datetime.timedelta(days=rng.randint(7, 45))
    if rng.random() < 0.5:
        values["reference"] = f"SO-{rng.randint(10000, 99999)}"
    if rng.random() < 0.3:
        values["comment"] = rng.choice(catalogue.COMMENTS)
    if rng.random() < 0.4:
        values["description"] = rng.choice(("Monthly call-off", "Line 2 overhaul", "Safety stock", "Project R-17"))
    return values


def _line_values(rng: random.Random, product: Any, tax: Any) -> dict[str, Any]:
    cents = Decimal(str(product.cost_price)) * Decimal(rng.randint(90, 110)) / 100
    values: dict[str, Any] = {
        "type": "line",
        "product": product.id,
        "quantity": float(rng.choice((1, 2, 4, 5, 10, 12, 20, 25, 50, 100))),
        "unit": product.template.purchase_uom.id,
        "unit_price": max(cents.quantize(Decimal("0.01")), Decimal("0.01")),
    }
    if rng.random() < 0.5:
        values["description"] = product.rec_name
    if rng.random() < 0.6:
        values["taxes"] = [("add", [tax.id])]
    return values


def receive(rng: random.Random, groups: dict[str, list[Any]], plant: dict[str, Any]) -> None:
    """Receive the goods of some processing purchases through supplier shipments, partly or in full."""
    partly = [_shipment(purchase, plant, partly=True) for purchase in groups["partly"]]
    fully = [_shipment(purchase, plant, partly=False) for purchase in groups["fully"] + groups["done"]]
    waiting = [_shipment(purchase, plant, partly=False) for purchase in groups["nothing"][:8]]
    shipments = create("stock.shipment.in", [row for row in partly + fully + waiting if row])
    started = shipments[: len([r for r in partly + fully if r])]
    press("stock.shipment.in", "receive", started)
    press("stock.shipment.in", "do", started[4:])
    press("stock.shipment.in", "cancel", shipments[-2:])


def _shipment(purchase: Any, plant: dict[str, Any], *, partly: bool) -> dict[str, Any] | None:
    """Return the values of a shipment that takes the purchase's open moves (only the first half, or less of the only one)."""
    moves = [m for line in Pool().get("purchase.purchase")(purchase.id).lines for m in line.moves if m.state == "draft"]
    if not moves:
        return None
    if partly and len(moves) == 1:
        Pool().get("stock.move").write(moves, {"quantity": max(1.0, moves[0].quantity // 2)})
    elif partly:
        moves = moves[: len(moves) // 2]
    # A shipment planned after today is not changed: the day is when the lorry came.
    day = min(purchase.purchase_date + datetime.timedelta(days=9), plant["today"])
    return {
        "supplier": purchase.party.id,
        "warehouse": plant["warehouse"].id,
        "warehouse_input": plant["warehouse"].input_location.id,
        "warehouse_storage": plant["warehouse"].storage_location.id,
        "company": plant["company"].id,
        "reference": f"DN-{7000 + purchase.id}",
        "planned_date": day,
        "effective_date": day,
        "incoming_moves": [("add", [move.id for move in moves])],
    }


def pay(purchases: list[Any], plant: dict[str, Any]) -> None:
    """Post and pay the invoices of `purchases`, which makes the received ones done."""
    Invoice = Pool().get("account.invoice")
    ids = [i.id for p in purchases for i in Pool().get("purchase.purchase")(p.id).invoices]
    invoices = Invoice.browse(ids)
    for invoice in invoices:
        invoice.invoice_date = plant["today"]
    Invoice.save(invoices)
    press("account.invoice", "post", list(invoices))
    for invoice in Invoice.browse(ids):
        owed, _rest = invoice.get_reconcile_lines_for_amount(-invoice.total_amount, invoice.currency)
        paid = invoice.pay_invoice(invoice.total_amount, plant["method"], plant["today"])
        Pool().get("account.move.line").reconcile(owed + paid)
    press("account.invoice", "process", list(Invoice.browse(ids)))


def requests(rng: random.Random, plant: dict[str, Any]) -> None:
    """Let some spare parts fall short of their order points, and ask the packages what to buy."""
    spares = [product for product in plant["bought"] if product.code.startswith(("BRG", "BLT", "PRX", "FLT", "CTR"))]
    create(
        "stock.order_point",
        [
            {
                "type": "purchase",
                "product": product.id,
                "company": plant["company"].id,
                "location": plant["warehouse"].id,
                "min_quantity": 100.0,
                "target_quantity": 250.0,
            }
            for product in spares
        ],
    )
    Pool().get("purchase.request").generate_requests(products=spares, warehouses=[plant["warehouse"]])


def boms(products: dict[str, Any], uoms: dict[str, Any]) -> dict[str, Any]:
    """Create one bill of materials per own product; return them by product code."""
    rows = []
    for name, code, size, parts in catalogue.MADE:
        inputs = [
            {"product": products[part].id, "quantity": float(count), "unit": products[part].template.default_uom.id}
            for part, count in parts
        ]
        output = {"product": products[code].id, "quantity": float(size), "unit": uoms["Unit"].id}
        rows.append({"name": name, "inputs": [("create", inputs)], "outputs": [("create", [output])]})
    found = {made[1]: bom for made, bom in zip(catalogue.MADE, create("production.bom", rows), strict=True)}
    create("product.product-production.bom", [{"product": products[c].id, "bom": b.id} for c, b in found.items()])
    return found


def productions(rng: random.Random, plant: dict[str, Any], today: datetime.date) -> dict[str, list[Any]]:
    """Create the productions with moves from their bills of materials, and move each group to its state."""
    Production = Pool().get("production")
    wanted = [group for group, count in PRODUCTIONS.items() for _ in range(count)]
    rng.shuffle(wanted)
    rows = [_production_values(rng, plant, group, today) for group in wanted]
    groups: dict[str, list[Any]] = {group: [] for group in PRODUCTIONS}
    records = create("production", rows)
    for batch in batches(records):
        Production.set_moves(batch)
    for record, group in zip(records, wanted, strict=True):
        groups[group].append(record)
    steps: list[tuple[str, Callable[[str], bool]]] = [
        ("wait", lambda g: g in {"waiting", "assigned", "running", "done"}),
        ("assign_force", lambda g: g in {"assigned", "running", "done"}),
        ("run", lambda g: g in {"running", "done"}),
        ("do", lambda g: g == "done"),
        ("cancel", lambda g: g == "cancelled"),
    ]
    for button, applies in steps:
        press("production", button, [r for group, members in groups.items() if applies(group) for r in members])
    return groups


def _production_values(rng: random.Random, plant: dict[str, Any], group: str, today: datetime.date) -> dict[str, Any]:
    code = rng.choice(sorted(plant["boms"]))
    product, bom = plant["products"][code], plant["boms"][code]
    bottles = code.startswith("FG-")
    ahead = rng.randint(1, 21) if group in {"request", "draft", "waiting"} else -rng.randint(0, 60)
    day = today + datetime.timedelta(days=ahead)
    return {
        "product": product.id,
        "bom": bom.id,
        "quantity": float(rng.choice((120, 240, 480)) if bottles else rng.randint(1, 4)),
        "unit": product.template.default_uom.id,
        "company": plant["company"].id,
        "warehouse": plant["warehouse"].id,
        "location": (plant["lines"][rng.randint(0, 1)] if bottles else plant["lines"][2]).id,
        "planned_date": day,
        "planned_start_date": day,
        "reference": f"WO-{rng.randint(1000, 9999)}" if rng.random() < 0.6 else None,
        "state": "request" if group == "request" else "draft",
    }
