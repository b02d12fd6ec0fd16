"""Inventory items: what is bought, stored, used or made, and how much of it lies where."""

from __future__ import annotations

from typing import ClassVar, Literal

from integrations.entities import samples
from integrations.entities.base import Entity
from integrations.entities.spec import EntitySpec
from integrations.entities.types import Amount, Currency, Part, Quantity, Ref, String, Text, about, list_of
from integrations.entities.units import Unit

ItemKind = Literal[
    "good", "consumable", "spare_part", "raw_material", "finished_good", "tool", "service", "other", "unknown"
]  # fmt: skip
Status = Literal["active", "inactive", "unknown"]


class StockLevel(Part):
    """How much of the item lies at one location."""

    location: Ref = about("Where it lies.", target="location")
    bin: String = about("Shelf or bin within the location, where bins are not locations themselves.", max_length=128)
    quantity_on_hand: Quantity = about("Quantity physically there.")
    quantity_available: Quantity = about("On hand less reserved.", writable=False)
    quantity_reserved: Quantity = about("Quantity promised to orders.", writable=False)
    quantity_on_order: Quantity = about("Quantity ordered and not yet received.", writable=False)
    unit: Unit | None = about("Unified unit of these quantities.")
    unit_raw: String = about("Unit as the source writes it.", max_length=64)


class InventoryItem(Entity):
    number: String = about("Item number or SKU as people know it.", filterable=True, max_length=128)
    name: String = about("Name of the item.", required_on_create=True, max_length=255)
    description: Text = about("The item in full.")
    kind: ItemKind | None = about("Unified kind of item.", filterable=True)
    remote_kind: String = about("Kind as the source writes it.", writable=False)
    status: Status | None = about("Whether the item may still be used.", filterable=True)
    remote_status: String = about("State as the source writes it.", writable=False)
    category: String = about("Category or commodity group as the source names it.", filterable=True, max_length=255)
    unit: Unit | None = about("Unified unit the item is stored in; every quantity of the item is in it.")
    unit_raw: String = about("Unit as the source writes it.", max_length=64)
    currency: Currency = about("Currency of every amount of the item, ISO 4217.", max_length=3)
    unit_cost: Amount = about("Cost of one unit: the standard or moving average cost.", unit="currency per unit")
    list_price: Amount = about("Sales price of one unit, without tax.", unit="currency per unit")
    manufacturer: String = about("Who makes it.", max_length=255)
    manufacturer_part_number: String = about("The maker's own number.", max_length=128)
    barcode: String = about("Barcode: EAN, UPC or the plant's own.", filterable=True, max_length=128)
    quantity_on_hand: Quantity = about("Quantity physically in stock, over all locations.")
    quantity_available: Quantity = about("On hand less reserved.", writable=False)
    quantity_reserved: Quantity = about("Quantity promised to orders.", writable=False)
    quantity_on_order: Quantity = about("Quantity ordered and not yet received.", writable=False)
    reorder_point: Quantity = about("At this quantity the item is ordered again.")
    reorder_quantity: Quantity = about("How much is then ordered.")
    minimum_quantity: Quantity = about("Least quantity to keep (safety stock).")
    maximum_quantity: Quantity = about("Greatest quantity to keep.")
    lead_time_days: int | None = about("Usual time from order to receipt.", unit="days")
    vendor: Ref = about("Preferred vendor.", target="vendor", filterable=True)
    stock: list[StockLevel] = list_of("Quantities per location.")

    describes: ClassVar = EntitySpec(
        name="inventory_item",
        plural="inventory_items",
        title="Inventory item",
        id_prefix="itm",
        description="An item or spare part with its costs, reorder levels and quantities per location.",
    )
    example: ClassVar = {
        "number": "SEAL-45-SIC",
        "name": "Mechanical seal 45 mm, SiC/SiC",
        "description": "Single cartridge seal, FKM elastomers, for cooling water pumps",
        "kind": "spare_part",
        "remote_kind": "goods",
        "status": "active",
        "remote_status": "ACTIVE",
        "category": "Seals",
        "unit": "EA",
        "unit_raw": "Stk",
        "currency": "EUR",
        "unit_cost": "198.40",
        "list_price": "260.00",
        "manufacturer": "Nordring",
        "manufacturer_part_number": "ND-45-SS",
        "barcode": "4006381333931",
        "quantity_on_hand": "12",
        "quantity_available": "10",
        "quantity_reserved": "2",
        "quantity_on_order": "3",
        "reorder_point": "6",
        "reorder_quantity": "8",
        "minimum_quantity": "4",
        "maximum_quantity": "20",
        "lead_time_days": 14,
        "vendor": samples.SUPPLIER,
        "stock": [
            {
                "location": samples.STORE,
                "bin": "R04-S2-07",
                "quantity_on_hand": "12",
                "quantity_available": "10",
                "quantity_reserved": "2",
                "quantity_on_order": "3",
                "unit": "EA",
                "unit_raw": "Stk",
            }
        ],
    }
