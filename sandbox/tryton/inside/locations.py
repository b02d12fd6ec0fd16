"""The warehouse of the sandbox plant: zones, bins and the places around it."""

from __future__ import annotations

from typing import Any

from records import create
from trytond.pool import Pool

ZONES = [("Spare parts store", "SPARES"), ("Raw material store", "RAW"), ("Finished goods store", "FG")]
BINS_PER_ZONE = 6


def warehouse() -> dict[str, Any]:
    """Add zones, bins and special places to the default warehouse; return `{name: location}` of what is needed later."""
    Location = Pool().get("stock.location")
    (home,) = Location.search([("type", "=", "warehouse")])
    Location.write([home], {"name": "Northmoor plant", "code": "NM"})
    storage = home.storage_location
    zones = create(
        "stock.location",
        [{"name": name, "code": code, "type": "storage", "parent": storage.id} for name, code in ZONES],
    )
    bins = create("stock.location", [row for zone in zones for row in _bins(zone)])
    (yard,) = create("stock.location", [{"name": "Yard", "code": "YARD", "type": "view", "parent": storage.id}])
    yard_bins = create(
        "stock.location",
        [
            {"name": f"Yard place {letter}", "code": f"YARD-{letter}", "type": "storage", "parent": yard.id}
            for letter in "AB"
        ],
    )
    around = _around_the_warehouse()
    Location.write([bins[BINS_PER_ZONE - 1], yard_bins[1]], {"active": False})
    return {
        "warehouse": home,
        "supplier": Location.search([("type", "=", "supplier"), ("parent", "=", None)])[0],
        "bins": [place for place in bins if place != bins[BINS_PER_ZONE - 1]],
        "lines": [place for place in around if place.type == "production"],
    }


def _bins(zone: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{zone.code.title()} {rack}-{shelf}",
            "code": f"{zone.code}-{rack}{shelf}",
            "type": "storage",
            "parent": zone.id,
        }
        for rack in "ABC"
        for shelf in ("01", "02")
    ]


def _around_the_warehouse() -> list[Any]:
    rows = [
        ("Filling line 1", "LINE1", "production"),
        ("Filling line 2", "LINE2", "production"),
        ("Workshop", "SHOP", "production"),
        ("Scrap bay", "SCRAP", "lost_found"),
        ("Overseas suppliers", "SUP-OVS", "supplier"),
        ("Retail customers", "CUS-RET", "customer"),
    ]
    return create("stock.location", [{"name": name, "code": code, "type": kind} for name, code, kind in rows])
