"""Tryton's objects for the write contract: copies of the seeded ones, brought into the wanted state by somebody at work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from sandbox.tryton.client import TrytonClient
from tests.contract.writer import Stage

STATUSES = {
    "purchase_order": ("draft", "quotation", "confirmed", "processing", "done", "cancelled"),
    "work_order": ("draft", "waiting", "assigned", "running", "done", "cancelled", "request"),
    **dict.fromkeys(("vendor", "inventory_item", "location"), ("1", "0")),
}
MODELS = {
    "purchase_order": "purchase.purchase",
    "work_order": "production",
    "vendor": "party.party",
    "inventory_item": "product.product",
    "location": "stock.location",
}
# How a copy, which is a draft, gets on; other states are taken from the seeded objects.
BUTTONS = {
    ("purchase_order", "draft"): (),
    ("purchase_order", "quotation"): ("quote",),
    ("purchase_order", "processing"): ("quote", "confirm"),
    ("purchase_order", "cancelled"): ("cancel",),
    ("work_order", "draft"): (),
    ("work_order", "waiting"): ("wait",),
    ("work_order", "cancelled"): ("cancel",),
}
_NUMBERS = count(1)


class TrytonStage(Stage):
    """`erp` is signed in as somebody who may do everything. One stage a server: it remembers what it gave away."""

    def __init__(self, erp: TrytonClient) -> None:
        self.erp = erp
        self._given: set[tuple[str, int]] = set()
        self._add_what_the_seed_lacks()

    def _add_what_the_seed_lacks(self) -> None:
        """A second unit that all systems know, a second warehouse, regions: so that each can be changed to another."""
        pair = {
            "name": "Pair",
            "symbol": "pair",
            "category": 1,
            "factor": 2.0,
            "rate": 0.5,
            "rounding": 1.0,
            "digits": 0,
        }
        self.erp.call("model.product.uom.create", [pair])
        regions = [
            {"name": name, "code": f"DE-{name[:2]}", "country": 2, "type": "state"} for name in ("Hamburg", "Holstein")
        ]
        self.erp.call("model.country.subdivision.create", regions)
        kinds = ("storage", "storage", "storage", "production")
        places = self.erp.call(
            "model.stock.location.create", [{"name": f"Second {kind}", "type": kind} for kind in kinds]
        )
        links = dict(
            zip(("input_location", "storage_location", "output_location", "production_location"), places, strict=True)
        )
        self.erp.call("model.stock.location.create", [{"name": "Second site", "type": "warehouse", **links}])

    def statuses(self, entity: str) -> Sequence[str]:
        return STATUSES[entity]

    def make(self, entity: str, status: str) -> str:
        if entity in ("purchase_order", "work_order"):
            return str(self._document(entity, status))
        made = {"vendor": self._party, "inventory_item": self._product, "location": self._place}[entity]()
        if status == "0":
            self.erp.call(f"model.{MODELS[entity]}.write", [made], {"active": False})
        return str(made)

    def prepare(self, entity: str, action: str, remote_id: str) -> None:
        """Stock, where it is to be used: counted by somebody, as Tryton does it."""
        if action != "book_usage" or not self._is_active(int(remote_id)):
            return
        place = int(self._id("stock.location", [["code", "=", "STO"]]))
        company = int(self._id("company.company", []))
        lines = [["create", [{"product": int(remote_id), "quantity": 5.0}]]]
        counted = {"location": place, "company": company, "empty_quantity": "keep", "lines": lines}
        (inventory,) = self.erp.call("model.stock.inventory.create", [counted])
        self.erp.call("model.stock.inventory.confirm", [inventory])

    def parameters(self, entity: str, action: str) -> dict[str, Any]:
        return {"quantity": "2"} if action == "book_usage" else super().parameters(entity, action)

    def _is_active(self, product: int) -> bool:
        (row,) = self.erp.call("model.product.product.read", [product], ["active"])
        return bool(row["active"])

    def creation(self, entity: str) -> dict[str, Any]:
        number = next(_NUMBERS)
        values: dict[str, dict[str, Any]] = {
            "purchase_order": {
                "vendor": self._id("party.party", [["code", "=", "V1000"]]),
                "reference": f"REQ-{number}",
                "description": "For the write contract",
                "currency": "EUR",
                "order_date": "2026-11-02",
                "expected_date": "2031-01-31",
                "delivery_location": self._id("stock.location", [["type", "=", "warehouse"]]),
                "payment_terms": "60 days net",
                "notes": "Gate 3",
                "lines": [
                    {
                        "item": self._id("product.product", [["code", "=", "BRG-01"]]),
                        "quantity": "5",
                        "unit": "EA",
                        "unit_raw": "u",
                        "unit_price": "4.2000",
                        "description": "As drawn",
                        "line_number": "10",
                        "expected_date": "2031-01-30",
                    },
                    {"description": "Freight", "quantity": "1", "unit_price": "12.50"},
                ],
            },
            "work_order": {
                "item": self._id("product.product", [["code", "=", "ASM-PUMP-40"]]),
                "quantity": "3",
                "unit": "EA",
                "unit_raw": "u",
                "location": self._id("stock.location", [["code", "=", "PROD"]]),
                "planned_start": "2031-01-02T00:00:00Z",
                "planned_end": "2031-01-04T00:00:00Z",
                "due_date": "2031-01-04",
            },
            "vendor": {
                "number": f"W-{number}",
                "name": "Nordring Dichtungen GmbH",
                "email": "orders@nordring.example",
                "phone": "+49 40 5550177",
                "website": "https://nordring.example",
                "currency": "EUR",
                "payment_terms": "30 days net",
                "language": "de",
                "addresses": [
                    {
                        "kind": "main",
                        "street": "Fabrikweg 7",
                        "city": "Hamburg",
                        "postal_code": "1",
                        "country_code": "DE",
                    }
                ],
            },
            "inventory_item": {
                "number": f"SEAL-{number}",
                "name": "Mechanical seal",
                "description": "45 mm",
                "kind": "consumable",
                "unit": "EA",
                "unit_raw": "u",
                "unit_cost": "198.40",
                "list_price": "260.00",
                "manufacturer_part_number": f"ND-{number}",
                "barcode": "4006381333931",
            },
            "location": {
                "number": f"L-{number}",
                "name": "Shelf",
                "kind": "storage",
                "parent": self._id("stock.location", [["code", "=", "STO"]]),
            },
        }
        return values[entity]

    def wish(self, entity: str, field: str, before: Mapping[str, Any]) -> Any:
        number = next(_NUMBERS)
        values: dict[str, Any] = {
            "reference": f"REF-{number}",
            "number": f"NO-{number}",
            "name": f"Name {number}",
            "description": f"Text {number}",
            "notes": f"Text {number}",
            "lines.description": f"Text {number}",
            "email": f"a{number}@b.example",
            "phone": f"+49 40 555{number}",
            "website": f"https://w{number}.example",
            "manufacturer_part_number": f"MPN-{number}",
            "barcode": _other(before.get("barcode"), "4006381333931", "5901234123457"),
            "currency": _other(before.get("currency"), "EUR", "USD"),
            "payment_terms": _other(before.get("payment_terms"), "30 days net", "60 days net"),
            "language": _other(before.get("language"), "de", "en"),
            "kind": _other(before.get("kind"), "good", "consumable"),
            "status": _other(before.get("status"), "active", "inactive"),
            "order_date": f"2026-10-{number % 28 + 1:02}",
            "expected_date": f"2031-03-{number % 28 + 1:02}",
            "lines.expected_date": f"2031-03-{number % 28 + 1:02}",
            "due_date": f"2032-03-{number % 28 + 1:02}",
            "planned_start": f"2030-03-{number % 28 + 1:02}T00:00:00Z",
            "planned_end": f"2032-04-{number % 28 + 1:02}T00:00:00Z",
            "quantity": str(number),
            "lines.quantity": str(number + 1000),
            "lines.unit_price": f"{number}.25",
            "lines.line_number": str(number + 1000),
            "unit_cost": f"{number}.5",
            "list_price": f"{number}.75",
        }
        return values[field] if field in values else self._reference(entity, field, before)

    def _reference(self, entity: str, field: str, before: Mapping[str, Any]) -> Any:
        """Values that name another row."""
        if field in ("unit", "unit_raw", "lines.unit", "lines.unit_raw"):
            return self._unit(field.endswith("raw"), before)
        if field == "lines":
            return {"item": self._id("product.product", [["code", "=", "BRG-02"]]), "quantity": str(next(_NUMBERS))}
        if field == "addresses":
            return {"kind": "shipping", "city": f"City {next(_NUMBERS)}", "country_code": "DE"}
        if field.startswith("addresses."):
            return self._of_address(field, before)
        searched: dict[tuple[str, str], tuple[str, list[Any]]] = {
            ("purchase_order", "vendor"): ("party.party", [["code", "like", "V10%"], ["active", "=", True]]),
            ("purchase_order", "delivery_location"): ("stock.location", [["type", "=", "warehouse"]]),
            ("purchase_order", "lines.item"): ("product.product", [["code", "like", "BRG-%"], ["active", "=", True]]),
            ("work_order", "location"): ("stock.location", [["type", "=", "production"]]),
            ("work_order", "item"): ("product.product", [["boms", "!=", None], ["template.producible", "=", True]]),
            ("location", "parent"): ("stock.location", [["type", "=", "storage"], ["code", "like", "S%"]]),
        }
        model, domain = searched[entity, field]
        now = (before.get(field.rpartition(".")[2]) or {}).get("remote_id")
        found = self.erp.call(f"model.{model}.search", domain, 0, 20, [["id", "ASC"]])
        return next(str(key) for key in found if str(key) != now)

    def _unit(self, raw: bool, before: Mapping[str, Any]) -> str:
        """Another unit of the same kind: a box, else the piece."""
        if raw:
            return _other(before.get("unit_raw"), "box10", "u")
        return "EA" if before.get("unit") != "EA" else "PR"

    def _of_address(self, field: str, before: Mapping[str, Any]) -> Any:
        name = field.rpartition(".")[2]
        if name == "country_code":
            return _other(before.get(name), "DE", "US")
        if name == "region":
            return _other(before.get(name), "Hamburg", "Holstein")
        return _other(before.get(name), "billing", "shipping") if name == "kind" else f"{name} {next(_NUMBERS)}"

    # --- objects ----------------------------------------------------------------------------------------------------

    def _document(self, entity: str, status: str) -> int:
        model = MODELS[entity]
        if (entity, status) not in BUTTONS:
            return self._seeded(entity, status)
        made = self._copy(entity)
        for button in BUTTONS[entity, status]:
            self.erp.call(f"model.{model}.{button}", [made])
        return made

    def _copy(self, entity: str) -> int:
        """Of one purchase with several lines, or of one production with a bill of materials."""
        model = MODELS[entity]
        domain = (
            [["lines.product.template.account_category", "!=", None]]
            if entity == "purchase_order"
            else [["bom", "!=", None]]
        )
        state = "processing" if entity == "purchase_order" else "done"
        (seed,) = self.erp.call(f"model.{model}.search", [["state", "=", state], *domain], 0, 1, [["id", "ASC"]])
        (made,) = self.erp.call(f"model.{model}.copy", [seed])
        return int(made)

    def _seeded(self, entity: str, status: str) -> int:
        found = self.erp.call(f"model.{MODELS[entity]}.search", [["state", "=", status]], 0, None, [["id", "DESC"]])
        unused = [key for key in found if (entity, key) not in self._given]
        made = (unused or found)[0]  # of requests there are few
        self._given.add((entity, made))
        return int(made)

    def _party(self) -> int:
        address = {"street": "Fabrikweg 7", "city": "Hamburg", "invoice": True, "country": 2}
        mail = {"type": "email", "value": "info@there.example"}
        values = {"name": "A vendor", "addresses": [["create", [address]]], "contact_mechanisms": [["create", [mail]]]}
        (made,) = self.erp.call("model.party.party.create", [values])
        return int(made)

    def _product(self) -> int:
        values = {
            "name": "A product",
            "code": f"P-{next(_NUMBERS)}",
            "type": "goods",
            "default_uom": 1,
            "products": [["create", [{}]]],
        }
        made = self.erp.call("model.product.template.create", [values])
        ((product,),) = [row["products"] for row in self.erp.call("model.product.template.read", made, ["products"])]
        return int(product)

    def _place(self) -> int:
        parent = int(self._id("stock.location", [["code", "=", "STO"]]))
        values = {"name": "A shelf", "code": f"S-{next(_NUMBERS)}", "type": "storage", "parent": parent}
        (made,) = self.erp.call("model.stock.location.create", [values])
        return int(made)

    def _id(self, model: str, domain: list[Any]) -> str:
        found = self.erp.call(f"model.{model}.search", domain, 0, 1, [["id", "ASC"]])
        return str(found[0])


def _other(now: Any, first: str, second: str) -> str:
    return second if now == first else first
