"""Colours that stay readable whatever colour a workspace chose. Contrast as of WCAG 2.2, section 1.4.3."""

from __future__ import annotations

READABLE = 4.5
"""The least contrast of text to what is behind it."""
WHITE, BLACK = "#ffffff", "#000000"
LIGHT_PAGE, DARK_PAGE = "#ffffff", "#161b22"
"""What is behind text on the pages: --card of link.css in both schemes."""


def text_on(colour: str) -> str:
    """White or black, whichever reads better on `colour` (#rrggbb)."""
    return WHITE if contrast(colour, WHITE) >= contrast(colour, BLACK) else BLACK


def as_text(colour: str, page: str) -> str:
    """`colour`, mixed with black or white as little as it takes to be read as text on `page`."""
    towards = "#000000" if contrast(page, "#000000") > contrast(page, WHITE) else WHITE
    for share in range(0, 101, 5):
        mixed = _mixed(colour, towards, share / 100)
        if contrast(mixed, page) >= READABLE:
            return mixed
    return towards


def contrast(one: str, other: str) -> float:
    """From 1 (the same) to 21 (black on white)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(part / 255) for part in _parts(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def _mixed(colour: str, towards: str, share: float) -> str:
    pairs = zip(_parts(colour), _parts(towards), strict=True)
    return "#" + "".join(f"{round(one + (other - one) * share):02x}" for one, other in pairs)


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
