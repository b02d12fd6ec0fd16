"""Locations: sites, warehouses, bins and functional places, in one tree."""

from __future__ import annotations

from typing import ClassVar, Literal

from integrations.entities import samples
from integrations.entities.base import Entity
from integrations.entities.spec import EntitySpec
from integrations.entities.types import Address, Decimal, Ref, String, Text, about

LocationKind = Literal[
    "site", "warehouse", "storage", "bin", "functional", "supplier", "customer", "production", "transit", "other",
    "unknown",
]  # fmt: skip
Status = Literal["active", "inactive", "unknown"]


class Location(Entity):
    number: String = about("Code of the location as people know it.", filterable=True, max_length=128)
    name: String = about("Name of the location.", required_on_create=True, max_length=255)
    description: Text = about("The location in full.")
    kind: LocationKind | None = about(
        "Unified kind: `functional` is a place in the plant where assets stand; `supplier`, `customer`, `production` and "
        "`transit` are the virtual places some systems move stock through.",
        filterable=True,
    )
    remote_kind: String = about("Kind as the source writes it.", writable=False)
    status: Status | None = about("Whether the location is in use.", filterable=True)
    remote_status: String = about("State as the source writes it.", writable=False)
    parent: Ref = about("The location this one is part of.", target="location", filterable=True)
    path: String = about("Names from the root to here, as the source shows them.", writable=False)
    address: Address | None = about("Postal address.")
    latitude: Decimal = about("Latitude, WGS 84.", unit="degrees")
    longitude: Decimal = about("Longitude, WGS 84.", unit="degrees")
    time_zone: String = about("IANA time zone, such as `Europe/Berlin`.", max_length=64)
    barcode: String = about("Barcode or other tag fixed to it.", filterable=True, max_length=128)

    describes: ClassVar = EntitySpec(
        name="location",
        plural="locations",
        title="Location",
        id_prefix="loc",
        description="A site, warehouse, bin or place in the plant, with its place in the tree of locations.",
    )
    example: ClassVar = {
        "number": "STO-01",
        "name": "Main spare parts store",
        "description": "Ground floor of the maintenance building",
        "kind": "warehouse",
        "remote_kind": "warehouse",
        "status": "active",
        "remote_status": "OPERATING",
        "parent": samples.sample_reference("loc", "1", "Plant North"),
        "path": "Plant North / Main spare parts store",
        "address": samples.PLANT_ADDRESS,
        "latitude": "54.3233",
        "longitude": "10.1394",
        "time_zone": "Europe/Berlin",
        "barcode": "LOC000014",
    }
