"""Words of this room as screens show them. Outside of `admin`, since the admin site itself needs them."""

from __future__ import annotations

from integrations.entities import ENTITIES

__all__ = ["entity_title"]


def entity_title(name: str) -> str:
    """ "purchase_order" -> "Purchase order"."""
    return ENTITIES[name].describes.title if name in ENTITIES else name.replace("_", " ").capitalize()
