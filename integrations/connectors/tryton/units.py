"""Tryton's units by symbol: those its product module creates, and what plants commonly add."""

from __future__ import annotations

from integrations.entities.units import unified_unit

_STANDARD = {"u": "EA", "d": "DAY", "kW⋅h": "KWH", "m²": "M2", "ft²": "FT2", "m³": "M3", "ft³": "FT3"}
_SPELLINGS = (
    *("kg", "g", "mg", "t", "lb", "oz", "m", "km", "cm", "mm", "ft", "yd", "in", "l", "ml", "gal", "s", "min", "h"),
    *("pc", "pcs", "ea", "each", "unit", "units", "St", "St.", "Stk", "stk", "set", "pair", "dz", "pk", "pack", "box"),
    *("bx", "ctn", "pal", "roll", "drum", "bag", "can", "btl", "sheet"),
)

UNITS: dict[str, str] = {**_STANDARD, **{spelling: unified_unit(spelling) or "unknown" for spelling in _SPELLINGS}}
"""Symbol -> unified unit, Tryton's own first. A symbol that is not here is `unknown`; its own text stands in `unit_raw`."""
