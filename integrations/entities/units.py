"""Unified units of measure: a closed list of codes, and the spellings sources use for them."""

from __future__ import annotations

from typing import Literal

Unit = Literal[
    "EA", "PR", "SET", "DZ", "PK", "BOX", "CTN", "PAL", "ROLL", "DRUM", "BAG", "CAN", "BTL", "SHEET",
    "KG", "G", "MG", "T", "LB", "OZ",
    "M", "CM", "MM", "KM", "IN", "FT", "YD",
    "M2", "FT2", "M3", "FT3", "L", "ML", "GAL",
    "S", "MIN", "H", "DAY", "WEEK", "MON",
    "KWH", "JOB", "LOT", "PCT", "unknown",
]  # fmt: skip

TITLES: dict[str, str] = {
    "EA": "each, piece", "PR": "pair", "SET": "set", "DZ": "dozen", "PK": "pack", "BOX": "box", "CTN": "carton",
    "PAL": "pallet", "ROLL": "roll", "DRUM": "drum", "BAG": "bag", "CAN": "can", "BTL": "bottle", "SHEET": "sheet",
    "KG": "kilogram", "G": "gram", "MG": "milligram", "T": "tonne", "LB": "pound", "OZ": "ounce",
    "M": "metre", "CM": "centimetre", "MM": "millimetre", "KM": "kilometre", "IN": "inch", "FT": "foot", "YD": "yard",
    "M2": "square metre", "FT2": "square foot", "M3": "cubic metre", "FT3": "cubic foot", "L": "litre",
    "ML": "millilitre", "GAL": "US gallon", "S": "second", "MIN": "minute", "H": "hour", "DAY": "day", "WEEK": "week",
    "MON": "month", "KWH": "kilowatt hour", "JOB": "job, service", "LOT": "lot, lump sum", "PCT": "percent",
    "unknown": "not recognised; the source's own unit is in `unit_raw`",
}  # fmt: skip

# Spellings beside the code itself: UN/ECE Recommendation 20 codes first, then what ERP and CMMS products write.
_SPELLINGS: dict[str, str] = {
    "EA": "c62 h87 pce each pc pcs piece pieces unit units u un ea. stk st nos nr",
    "PR": "npr pair pairs", "SET": "sets kit", "DZ": "dzn dozen dozens doz", "PK": "xpk pack packs pkg package",
    "BOX": "xbx bx boxes", "CTN": "xct ct carton cartons", "PAL": "xpx pallet pallets", "ROLL": "xro rolls rl",
    "DRUM": "xdr drums", "BAG": "xbg bags", "CAN": "xca cans", "BTL": "xbo bottle bottles", "SHEET": "xst sheets",
    "KG": "kgm kgs kilogram kilograms kilo", "G": "grm gm gram grams", "MG": "mgm milligram milligrams",
    "T": "tne to ton_metric tonne tonnes", "LB": "lbr lbs pound pounds", "OZ": "onz ounce ounces",
    "M": "mtr metre metres meter meters", "CM": "cmt centimetre centimeter centimetres centimeters",
    "MM": "mmt millimetre millimeter millimetres millimeters", "KM": "kmt kilometre kilometer kilometres kilometers",
    "IN": "inh inch inches", "FT": "fot foot feet", "YD": "yrd yard yards",
    "M2": "mtk m² sqm sq_m square_metre square_meter", "FT2": "ftk ft² sqft sq_ft square_foot square_feet",
    "M3": "mtq m³ cbm cubic_metre cubic_meter", "FT3": "ftq ft³ cft cubic_foot cubic_feet",
    "L": "ltr litre litres liter liters", "ML": "mlt millilitre milliliter millilitres milliliters",
    "GAL": "gll gallon gallons us_gallon", "S": "sec second seconds", "MIN": "minute minutes",
    "H": "hur hr hrs hour hours", "DAY": "d days", "WEEK": "wee wk weeks", "MON": "mo month months",
    "KWH": "kilowatt_hour kilowatt_hours", "JOB": "e51 jobs service services", "LOT": "lots lump_sum ls",
    "PCT": "p1 % percent",
}  # fmt: skip

_BY_SPELLING = {
    spelling: code
    for code in TITLES
    if code != "unknown"
    for spelling in (code.lower(), *_SPELLINGS.get(code, "").split())
}


def unified_unit(raw: str | None) -> str | None:
    """Return the unified code for a source's unit: None for nothing, `unknown` for what is not recognised."""
    words = (raw or "").split()
    if not words:
        return None
    return _BY_SPELLING.get("_".join(words).lower(), "unknown")
