"""What the made-up plant buys, stores and makes: plain data and a few pure functions, the same on every run."""

from __future__ import annotations

import random
from dataclasses import dataclass

COMPANY = "Northmoor Beverages Inc."
EMPLOYEES = ["Dana Whitfield", "Marek Nowak", "Aiko Tanaka"]

# (family, code prefix, unit, sizes, cheapest cost in USD, step per size)
SPARES = [
    ("Deep groove ball bearing", "BRG", "Unit", ["6001", "6002", "6203", "6204", "6205", "6206", "6304", "6305"], 4, 2),
    ("Spherical roller bearing", "SRB", "Unit", ["22208", "22210", "22212", "22214"], 68, 31),
    ("V-belt", "BLT", "Unit", ["A38", "A42", "A56", "B60", "B75", "C90"], 7, 3),
    ("Timing belt", "TBL", "Unit", ["HTD 5M-450", "HTD 5M-600", "HTD 8M-800", "HTD 8M-1200"], 18, 9),
    ("Shaft seal", "SEA", "Unit", ["20x35x7", "25x42x7", "30x47x7", "35x52x8", "40x62x10"], 3, 1),
    ("O-ring NBR 70", "ORN", "Unit", ["10x2", "14x2", "20x3", "25x3", "32x3", "50x4"], 1, 1),
    ("Induction motor IE3", "MOT", "Unit", ["0.75 kW", "1.5 kW", "2.2 kW", "4 kW", "7.5 kW", "11 kW"], 210, 165),
    ("Gear unit", "GBX", "Unit", ["i=10", "i=20", "i=40", "i=60"], 340, 120),
    ("Proximity sensor", "PRX", "Unit", ["M8 PNP", "M12 PNP", "M18 PNP", "M30 NPN"], 24, 8),
    ("Photoelectric sensor", "PHS", "Unit", ["diffuse", "retro-reflective", "through-beam"], 61, 22),
    ("Solenoid valve", "SOV", "Unit", ["G1/8", "G1/4", "G3/8", "G1/2"], 39, 17),
    ("Pneumatic cylinder", "CYL", "Unit", ["32x50", "32x100", "40x100", "50x160", "63x200"], 54, 28),
    ("Push-in fitting", "FIT", "Unit", ["6 mm", "8 mm", "10 mm", "12 mm"], 2, 1),
    ("Centrifugal pump", "PMP", "Unit", ["CP 32-160", "CP 40-200", "CP 50-250"], 890, 410),
    ("Pump impeller", "IMP", "Unit", ["160 mm", "200 mm", "250 mm"], 130, 45),
    ("Filter cartridge", "FLT", "Unit", ["1 um", "5 um", "10 um", "25 um"], 12, 4),
    ("Hydraulic hose", "HOS", "Meter", ["DN6", "DN10", "DN12", "DN19"], 6, 3),
    ("Control cable", "CBL", "Meter", ["3x1.5", "5x1.5", "7x1.5", "12x1.5", "4x2.5"], 2, 1),
    ("Contactor", "CTR", "Unit", ["9 A", "18 A", "32 A", "65 A"], 22, 19),
    ("Circuit breaker", "MCB", "Unit", ["B6", "B10", "C16", "C20", "C32"], 9, 3),
    ("Fuse", "FUS", "Unit", ["2 A", "4 A", "6.3 A", "10 A"], 1, 1),
    ("Conveyor roller", "ROL", "Unit", ["50x400", "50x600", "60x800"], 19, 7),
    ("Chain link", "CHN", "Unit", ["08B-1", "10B-1", "12B-1"], 3, 2),
    ("Frequency inverter", "INV", "Unit", ["0.75 kW", "1.5 kW", "2.2 kW", "4 kW", "7.5 kW"], 190, 95),
    ("PLC module", "PLC", "Unit", ["CPU", "DI 16", "DO 16", "AI 8", "AO 4", "Ethernet"], 120, 65),
    ("Rotary encoder", "ENC", "Unit", ["512", "1024", "2048"], 88, 21),
    ("Jaw coupling", "CPL", "Unit", ["19", "24", "28", "38"], 16, 7),
    ("Ball valve 1.4408", "BVL", "Unit", ["DN15", "DN20", "DN25", "DN40", "DN50"], 21, 14),
    ("Cable gland", "GLD", "Unit", ["M12", "M16", "M20", "M25"], 1, 1),
    ("Terminal block", "TRM", "Unit", ["2.5 mm2", "4 mm2", "6 mm2"], 1, 1),
    ("Air preparation unit", "FRL", "Unit", ["G1/4", "G3/8", "G1/2"], 57, 23),
    ("Linear guide carriage", "LGC", "Unit", ["15", "20", "25", "30"], 34, 11),
    ("Pressure gauge", "GAU", "Unit", ["0-6 bar", "0-10 bar", "0-16 bar"], 17, 4),
]
SUPPLIES = [
    ("Gear oil", "OIL", "Liter", ["ISO VG 150", "ISO VG 220", "ISO VG 320"], 5, 1),
    ("Food grade grease", "GRS", "Kilogram", ["NLGI 1", "NLGI 2"], 14, 3),
    ("Caustic cleaner", "CLN", "Liter", ["5 %", "10 %"], 2, 1),
    ("Cutting disc", "DSC", "Unit", ["115 mm", "125 mm", "230 mm"], 1, 1),
    ("Nitrile gloves", "GLV", "Box of 100", ["S", "M", "L", "XL"], 9, 1),
    ("Hex bolt A2", "BOL", "Box of 100", ["M6x20", "M8x30", "M10x40", "M12x50"], 8, 5),
    ("Hex nut A2", "NUT", "Box of 100", ["M6", "M8", "M10", "M12"], 4, 2),
    ("Safety goggles", "GOG", "Unit", ["clear", "tinted"], 6, 2),
]
RAW = [
    ("PET preform", "PRE", "Unit", ["18 g", "24 g", "28 g", "40 g"], 1, 1),
    ("Screw cap 28 mm", "CAP", "Unit", ["white", "blue", "green", "red"], 1, 1),
    ("Label", "LAB", "Unit", ["still 0.5 l", "sparkling 0.5 l", "lemon 0.5 l", "orange 0.5 l"], 1, 1),
    ("Sugar syrup", "SYR", "Liter", ["65 Brix", "67 Brix"], 1, 1),
    ("Flavour concentrate", "FLV", "Kilogram", ["lemon", "orange", "cola", "peach"], 21, 6),
    ("Carbon dioxide", "CO2", "Kilogram", ["food grade"], 1, 1),
    ("Stretch film", "FLM", "Kilogram", ["17 um", "23 um"], 3, 1),
    ("Steel plate 1.4301", "STL", "Kilogram", ["3 mm", "5 mm", "8 mm"], 4, 1),
    ("Aluminium profile", "ALU", "Meter", ["30x30", "40x40", "40x80"], 11, 6),
]
SERVICES = [
    ("Laser alignment on site", "SVC", "Hour", ["standard"], 95, 0),
    ("Thermography survey", "SVC", "Hour", ["standard"], 110, 0),
    ("Crane hire with driver", "SVC", "Hour", ["25 t"], 180, 0),
    ("Calibration of instruments", "SVC", "Unit", ["per point"], 35, 0),
]
# (name, code, made at once, [(component code, quantity for that)])
MADE = [
    ("Still water 0.5 l", "FG-STILL-05", 100, [("PRE-01", 100), ("CAP-01", 100), ("LAB-01", 100)]),
    ("Sparkling water 0.5 l", "FG-SPARK-05", 100, [("PRE-02", 100), ("CAP-02", 100), ("LAB-02", 100), ("CO2-01", 0.4)]),
    (
        "Lemonade 0.5 l",
        "FG-LEMON-05",
        100,
        [("PRE-03", 100), ("CAP-03", 100), ("LAB-03", 100), ("SYR-01", 8), ("FLV-01", 1)],
    ),
    (
        "Orangeade 0.5 l",
        "FG-ORANG-05",
        100,
        [("PRE-03", 100), ("CAP-04", 100), ("LAB-04", 100), ("SYR-02", 9), ("FLV-02", 1)],
    ),
    ("Pump set CP 32", "ASM-PUMP-32", 1, [("PMP-01", 1), ("MOT-02", 1), ("SEA-02-NBR", 2), ("ALU-02", 1.5)]),
    ("Pump set CP 40", "ASM-PUMP-40", 1, [("PMP-02", 1), ("MOT-04", 1), ("SEA-03-FKM", 2), ("ALU-03", 1.8)]),
    ("Roller frame 600", "ASM-ROLL-60", 1, [("ROL-02", 8), ("ALU-01", 2.4), ("BRG-03", 2), ("CHN-01", 12)]),
    ("Machine guard", "ASM-GUARD-1", 1, [("STL-01", 14), ("ALU-01", 6), ("PRX-02", 1)]),
]

FIRST = ["Alder", "Baltic", "Castor", "Delta", "Emery", "Fjord", "Granite", "Harbor", "Ingram", "Juniper", "Keystone"]
LAST = ["Bearings", "Drives", "Hydraulics", "Packaging", "Industrial Supply", "Automation", "Chemicals"]
FORMS = ["Inc.", "LLC", "GmbH", "Ltd", "S.p.A.", "& Sons"]
# (city, postal code, country code, dialling prefix)
CITIES = [
    ("Milwaukee", "53202", "US", "+1 414 555"),
    ("Cleveland", "44114", "US", "+1 216 555"),
    ("Houston", "77002", "US", "+1 713 555"),
    ("Stuttgart", "70173", "DE", "+49 711 5550"),
    ("Wrocław", "50-101", "PL", "+48 71 555 0"),
    ("Torino", "10121", "IT", "+39 011 555 0"),
    ("Göteborg", "411 05", "SE", "+46 31 555 0"),
]
STREETS = ["Foundry Road", "Mill Street", "Harbour Way", "Industriestraße", "Via Roma", "Canal Avenue"]
COMMENTS = [
    "Call the gatehouse before delivery.",
    "Certificates of conformity with each batch.\nDeliver to dock 3.",
    "Replacement for the unit that failed on line 2 – urgent.",
    "Partial deliveries are accepted.",
]


@dataclass(frozen=True)
class Item:
    """One product template; `variants` are suffixes of its code (empty when there is only one)."""

    name: str
    code: str
    unit: str
    kind: str
    cost: float
    price: float
    variants: tuple[str, ...] = ()
    active: bool = True


@dataclass(frozen=True)
class Supplier:
    """One party with its address, mail, phone and web site."""

    name: str
    code: str
    street: str
    city: str
    postal_code: str
    country: str
    email: str
    phone: str
    website: str | None
    active: bool = True


def items(rng: random.Random) -> list[Item]:
    """Return every bought product in a fixed order; about one in twenty is inactive, none that a bill of materials needs."""
    needed = {part[:6] for *_made, parts in MADE for part, _count in parts}
    found: list[Item] = []
    counters: dict[str, int] = {}
    for kind, families in (("spare", SPARES), ("supply", SUPPLIES), ("raw", RAW), ("service", SERVICES)):
        for name, prefix, unit, sizes, base, step in families:
            for index, size in enumerate(sizes):
                counters[prefix] = counters.get(prefix, 0) + 1
                cost = round(base + step * index + rng.random(), 2)
                variants = ("-NBR", "-FKM") if prefix in {"SEA", "ORN"} else ()
                code = f"{prefix}-{counters[prefix]:02d}"
                found.append(
                    Item(
                        name=f"{name} {size}",
                        code=code,
                        unit=unit,
                        kind=kind,
                        cost=cost,
                        price=round(cost * 1.35, 2),
                        variants=variants,
                        active=code in needed or len(found) % 20 != 19,
                    )
                )
    return found


def made_items(rng: random.Random) -> list[Item]:
    """Return the products of the plant itself."""
    return [
        Item(name=name, code=code, unit="Unit", kind="made", cost=float(5 + 3 * index), price=float(9 + 5 * index))
        for index, (name, code, _batch, _parts) in enumerate(MADE)
    ]


def suppliers(rng: random.Random, count: int = 72) -> list[Supplier]:
    """Return `count` suppliers with unique names and codes; every twelfth is inactive."""
    found = []
    for number in range(count):
        first, last = FIRST[number % len(FIRST)], LAST[(number // len(FIRST)) % len(LAST)]
        name = f"{first} {last} {FORMS[number % len(FORMS)]}"
        domain = f"{first}-{last}".lower().replace(" ", "-") + ".example"
        city, postal_code, country, dial = CITIES[number % len(CITIES)]
        found.append(
            Supplier(
                name=name,
                code=f"V{1000 + number}",
                street=f"{rng.randint(1, 220)} {rng.choice(STREETS)}",
                city=city,
                postal_code=postal_code,
                country=country,
                email=f"orders@{domain}",
                phone=f"{dial}{number:03d}",
                website=f"https://www.{domain}" if number % 3 == 0 else None,
                active=number % 12 != 11,
            )
        )
    return found
