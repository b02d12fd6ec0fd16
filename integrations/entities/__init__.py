"""The unified entities: one declaration each for types, units, documentation, JSON Schema and the field table."""

from __future__ import annotations

import copy
from typing import Any

from pydantic.json_schema import models_json_schema

from core.errors import NotFoundError
from integrations.entities import samples
from integrations.entities.asset import Asset
from integrations.entities.base import Entity
from integrations.entities.inventory_item import InventoryItem
from integrations.entities.location import Location
from integrations.entities.purchase_order import PurchaseOrder
from integrations.entities.spec import UNKNOWN, EntitySpec, FieldSpec, Kind
from integrations.entities.vendor import Vendor
from integrations.entities.work_order import WorkOrder

__all__ = [
    "ENTITIES",
    "UNKNOWN",
    "Asset",
    "Entity",
    "EntitySpec",
    "FieldSpec",
    "InventoryItem",
    "Kind",
    "Location",
    "PurchaseOrder",
    "Vendor",
    "WorkOrder",
    "by_slug",
    "json_schema",
    "openapi_schemas",
    "sample",
]

ENTITIES: dict[str, type[Entity]] = {
    entity.describes.name: entity for entity in (PurchaseOrder, WorkOrder, InventoryItem, Asset, Location, Vendor)
}
_BY_SLUG = {entity.describes.slug: entity for entity in ENTITIES.values()}
_SAMPLE_REMOTE_IDS = {
    "purchase_order": "1187",
    "work_order": "50093",
    "inventory_item": "812",
    "asset": "2201",
    "location": "14",
    "vendor": "77",
}


def by_slug(slug: str) -> type[Entity]:
    """Return the entity of a URL part such as `purchase-orders`. Errors: NotFoundError, which names those there are."""
    try:
        return _BY_SLUG[slug]
    except KeyError:
        known = ", ".join(sorted(_BY_SLUG))
        raise NotFoundError(f"There is no entity {slug!r}. Entities: {known}.") from None


def json_schema(entity: type[Entity]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a served record, complete in itself by `$defs`."""
    schema = entity.record_model().model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:lineshaft:entity:{entity.describes.name}",
        **schema,
        "title": entity.describes.title,
    }


def openapi_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas of all served records and their parts by name, for `components.schemas` of OpenAPI 3.1."""
    _, schemas = models_json_schema(
        [(entity.record_model(), "serialization") for entity in ENTITIES.values()],
        ref_template="#/components/schemas/{model}",
    )
    definitions: dict[str, dict[str, Any]] = schemas["$defs"]
    return definitions


def sample(entity: type[Entity]) -> dict[str, Any]:
    """Return one full, realistic served record; a new copy each time."""
    described = entity.describes
    remote_id = _SAMPLE_REMOTE_IDS[described.name]
    return {
        "id": samples.sample_id(described.id_prefix, remote_id),
        "connection_id": samples.CONNECTION_ID,
        "entity": described.name,
        "remote_id": remote_id,
        **copy.deepcopy(entity.example),
        "custom": {"plant_section": "Utilities"},
        "remote_created_at": "2026-10-05T07:41:12Z",
        "remote_updated_at": "2026-10-20T06:12:31Z",
        "changed_at": "2026-10-20T06:25:04.518233Z",
        "deleted_at": None,
        "version": 3,
    }
