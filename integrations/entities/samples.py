"""One small plant from which every sample is taken, so that references in samples lead somewhere."""

from __future__ import annotations

import hashlib
from typing import Any

CONNECTION_ID = "con_" + hashlib.sha256(b"connection").hexdigest()[:32]


def sample_id(prefix: str, remote_id: str) -> str:
    """Return an id of the real shape; the platform derives its own in another way."""
    return f"{prefix}_{hashlib.sha256(f'{prefix}:{remote_id}'.encode()).hexdigest()[:32]}"


def sample_reference(prefix: str, remote_id: str, name: str) -> dict[str, str]:
    return {"id": sample_id(prefix, remote_id), "remote_id": remote_id, "name": name}


SEAL = sample_reference("itm", "812", "Mechanical seal 45 mm, SiC/SiC")
PUMP = sample_reference("ast", "2201", "Cooling water pump P-101")
PUMP_STATION = sample_reference("loc", "310", "Cooling water pump station")
STORE = sample_reference("loc", "14", "Main spare parts store")
SUPPLIER = sample_reference("ven", "77", "Nordring Dichtungen GmbH")
OVERHAUL = sample_reference("wo", "50093", "WO-2026-00412")

TECHNICIAN: dict[str, Any] = {"remote_id": "u31", "name": "Ines Albrecht", "email": "ines.albrecht@plant.example"}
BUYER: dict[str, Any] = {"remote_id": "u12", "name": "Jonas Weber", "email": "jonas.weber@plant.example"}
PLANNER: dict[str, Any] = {"remote_id": "u07", "name": "Mara Lindqvist", "email": "mara.lindqvist@plant.example"}

PLANT_ADDRESS: dict[str, Any] = {
    "name": "Plant North, goods receipt",
    "street": "Werftstrasse 18",
    "street2": "Gate 3",
    "city": "Kiel",
    "region": "Schleswig-Holstein",
    "postal_code": "24143",
    "country_code": "DE",
    "country": "Germany",
}
