"""Assets: machines, equipment and functional positions that are maintained."""

from __future__ import annotations

from typing import ClassVar, Literal

from integrations.entities import samples
from integrations.entities.base import Entity
from integrations.entities.spec import EntitySpec
from integrations.entities.types import Amount, Currency, Date, Person, Ref, String, Text, about

Status = Literal["planned", "active", "down", "inactive", "retired", "unknown"]
Criticality = Literal["low", "medium", "high", "critical", "unknown"]


class Asset(Entity):
    number: String = about("Asset number or tag as people know it.", filterable=True, max_length=128)
    name: String = about("Name of the asset.", required_on_create=True, max_length=255)
    description: Text = about("The asset in full.")
    status: Status | None = about(
        "Unified state: `active` runs or could, `down` is broken or being repaired, `inactive` is out of use for now, "
        "`retired` for good.",
        filterable=True,
    )
    remote_status: String = about("State as the source writes it.", writable=False)
    category: String = about("Class or type of asset as the source names it.", filterable=True, max_length=255)
    criticality: Criticality | None = about("Unified criticality for the plant.", filterable=True)
    remote_criticality: String = about("Criticality as the source writes it.", writable=False)
    parent: Ref = about("The asset this one is part of.", target="asset", filterable=True)
    location: Ref = about("Where it stands.", target="location", filterable=True)
    item: Ref = about("The inventory item it is an instance of.", target="inventory_item")
    vendor: Ref = about("Who sold it.", target="vendor")
    manufacturer: String = about("Who made it.", max_length=255)
    model: String = about("Model as its maker names it.", max_length=255)
    serial_number: String = about("Serial number.", filterable=True, max_length=128)
    barcode: String = about("Barcode or other tag fixed to it.", filterable=True, max_length=128)
    responsible: Person | None = about("Who is responsible for it.")
    cost_center: String = about("Cost centre it belongs to.", max_length=128)
    currency: Currency = about("Currency of every amount of the asset, ISO 4217.", max_length=3)
    purchase_cost: Amount = about("What it cost.")
    replacement_cost: Amount = about("What a new one would cost.")
    purchase_date: Date = about("Day it was bought.")
    install_date: Date = about("Day it was put into service.")
    warranty_end: Date = about("Last day of the warranty.")

    describes: ClassVar = EntitySpec(
        name="asset",
        plural="assets",
        title="Asset",
        id_prefix="ast",
        description="A machine or piece of equipment that is maintained, with its place in the plant.",
    )
    example: ClassVar = {
        "number": "P-101",
        "name": "Cooling water pump P-101",
        "description": "Centrifugal pump, 250 m³/h at 32 m, duty pump of loop 1",
        "status": "active",
        "remote_status": "OPERATING",
        "category": "Centrifugal pump",
        "criticality": "high",
        "remote_criticality": "A",
        "parent": samples.sample_reference("ast", "2200", "Cooling water loop 1"),
        "location": samples.PUMP_STATION,
        "item": samples.sample_reference("itm", "540", "Pump CN 125-315"),
        "vendor": samples.sample_reference("ven", "52", "Baltic Pumpen AG"),
        "manufacturer": "Baltic Pumpen",
        "model": "CN 125-315",
        "serial_number": "BP-2019-88123",
        "barcode": "AST002201",
        "responsible": samples.PLANNER,
        "cost_center": "4711-MNT",
        "currency": "EUR",
        "purchase_cost": "18400.00",
        "replacement_cost": "23900.00",
        "purchase_date": "2019-03-11",
        "install_date": "2019-04-02",
        "warranty_end": "2021-04-02",
    }
