"""Locations, vendors, users, assets and parts."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from integrations.simulators.kit.clock import text_of
from integrations.simulators.kit.store import Object
from integrations.simulators.maintainx.maintenance import in_stock, place
from integrations.simulators.maintainx.objects import ORGANIZATION_ID
from integrations.simulators.maintainx.seed import words

YEAR_SECONDS = 365 * 86_400


@dataclass
class Plant:
    """What is there so far; `now` is the end of the year that the times are spread over."""

    random: random.Random
    now: float
    objects: dict[str, list[Object]] = field(default_factory=dict)

    def times(self) -> Object:
        """Made some time in the past year, changed some time since."""
        created = self.now - self.random.random() * YEAR_SECONDS
        updated = created + self.random.random() ** 2 * (self.now - created)
        return {"createdAt": text_of(created), "updatedAt": text_of(updated), "deletedAt": None}

    def one(self, entity: str) -> Object:
        return self.random.choice(self.objects[entity])

    def some_ids(self, entity: str, most: int) -> list[int]:
        return sorted({self.one(entity)["id"] for _ in range(self.random.randint(0, most))})

    def code(self, prefix: str) -> str:
        return f"{prefix}{self.random.randrange(16**8):08X}"


def fill_plant(plant: Plant, counts: dict[str, int]) -> None:
    plant.objects["users"] = [_user(plant, number) for number in range(1, 13)]
    plant.objects["vendors"] = [_vendor(plant, number) for number in range(counts["vendors"])]
    locations: list[Object] = []
    plant.objects["locations"] = locations
    for number in range(counts["locations"]):
        locations.append(_location(plant, number, locations))
    assets: list[Object] = []
    plant.objects["assets"] = assets
    for number in range(counts["assets"]):
        assets.append(_asset(plant, number, assets))
    plant.objects["parts"] = [_part(plant, number) for number in range(counts["parts"])]


def _user(plant: Plant, number: int) -> Object:
    first, last = plant.random.choice(words.FIRST_NAMES), plant.random.choice(words.LAST_NAMES)
    return {
        "id": number,
        "firstName": "API" if number == 1 else first,
        "lastName": "Integration" if number == 1 else last,
        "email": f"user{number}@plant.example",
        "phoneNumber": None,
        "role": "SERVICE_ACCOUNT" if number == 1 else plant.random.choice(("ADMIN", "MEMBER", "OPERATOR")),
        "organizationId": ORGANIZATION_ID,
        **plant.times(),
    }


def _vendor(plant: Plant, number: int) -> Object:
    first = words.VENDOR_FIRST[number % len(words.VENDOR_FIRST)]
    last = words.VENDOR_LAST[number // len(words.VENDOR_FIRST) % len(words.VENDOR_LAST)]
    host = f"{first.lower()}-{number}.example"
    return {
        "id": 7_001 + number,
        "name": f"{first} {last}",
        "description": plant.random.choice((None, "Framework contract", "Call before delivery")),
        "emails": [f"orders@{host}"],
        "phoneNumbers": [f"555-01{plant.random.randrange(100):02}"],
        "contactIds": [],
        "extraFields": {"Payment terms": plant.random.choice(words.TERMS), "Supplier number": f"S{10_000 + number}"},
        "organizationId": ORGANIZATION_ID,
        **plant.times(),
    }


def _location(plant: Plant, number: int, earlier: list[Object]) -> Object:
    """Sites first, then their buildings, then areas in these."""
    sites, buildings = len(words.SITES), len(words.BUILDINGS)
    if number < sites:
        name, parent, address = words.SITES[number], None, words.STREETS[number]
    elif number < sites + buildings:
        name, parent, address = words.BUILDINGS[number - sites], earlier[(number - sites) % sites], None
    else:
        parent = plant.random.choice(earlier[min(sites, len(earlier) - 1) : sites + buildings])
        name, address = f"{parent['name']}, {plant.random.choice(words.AREAS)}", None
    return {
        "id": 601 + number,
        "name": name,
        "description": None,
        "address": address,
        "barcode": plant.code("LOC"),
        "parentId": parent["id"] if parent else None,
        "vendorIds": [],
        "teamIds": [],
        "organizationId": ORGANIZATION_ID,
        **plant.times(),
    }


def _asset(plant: Plant, number: int, earlier: list[Object]) -> Object:
    kind = plant.random.choice(list(words.MACHINES))
    tag, maker, models, _ = words.MACHINES[kind]
    parent = plant.random.choice(earlier) if earlier and plant.random.random() < 0.25 else None
    status = plant.random.choices(("ONLINE", "OFFLINE", "IGNORE"), (90, 8, 2))[0]
    return {
        "id": 11_001 + number,
        "name": f"{kind} {tag}-{101 + number}",
        "description": None,
        "parentId": parent["id"] if parent else None,
        "criticalityId": plant.random.choice((None, 31, 32, 33)),
        "locationId": parent["locationId"] if parent else plant.one("locations")["id"],
        "serialNumber": plant.code("SN-"),
        "barcode": plant.code("AST"),
        "manufacturer": maker,
        "model": plant.random.choice(models),
        "vendorIds": plant.some_ids("vendors", 2),
        "teamIds": [],
        "status": status,
        "downtimeType": plant.random.choice(("PLANNED", "UNPLANNED")) if status == "OFFLINE" else None,
        "depreciation": None,
        "extraFields": {"Cost center": f"CC-{4_000 + plant.random.randrange(12) * 10}"},
        "creatorId": 1,
        "organizationId": ORGANIZATION_ID,
        **plant.times(),
    }


def _part(plant: Plant, number: int) -> Object:
    name, sizes, kind, cents = plant.random.choice(words.PARTS)
    least, stock = plant.random.randint(1, 10), plant.random.randint(0, 60)
    part: Object = {
        "id": 21_001 + number,
        "name": f"{name} {plant.random.choice(sizes)}",
        "description": None,
        "barcode": plant.code("PRT"),
        "unitCost": round(cents * plant.random.uniform(0.8, 1.4)),
        **in_stock(stock),
        "reservedQuantity": plant.random.randint(0, 3),
        "assignedQuantity": 0,
        "orderedQuantity": 0,
        "minimumQuantity": least,
        "maximumQuantity": least * 8,
        "area": f"Rack {plant.random.randint(1, 24)}",
        "locationId": plant.one("locations")["id"],
        "partTypes": [kind],
        "vendors": [{"vendorId": one, "partNumber": plant.code("V")} for one in plant.some_ids("vendors", 2)],
        "extraFields": {"ABC class": plant.random.choice("ABC"), "Item number": f"M-{100_000 + number}"},
        "organizationId": ORGANIZATION_ID,
        **plant.times(),
    }
    return part | {"locations": [place(part, stock)]}
