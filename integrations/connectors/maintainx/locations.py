"""Locations. Their list can be neither sorted nor asked for changes, and shows no place for a mark."""

from __future__ import annotations

from integrations.connectors.maintainx.lists import CURSOR
from integrations.entities import Location
from integrations.sdk.declarations import Field, Resource, Write

KEEP = (
    "id", "name", "description", "address", "barcode", "parentId", "teamIds", "vendorIds", "extraFields", "createdAt",
    "updatedAt",
)  # fmt: skip

locations = Resource(
    Location,
    path="/locations",
    items="locations",
    item="location",
    detail="/locations/{id}",
    parameters={"expand": ("barcode", "extra_fields", "team_ids", "vendor_ids")},
    keep=KEEP,
    paging=CURSOR,
    deleted_when="deletedAt",
    note="Every run reads all of them. An address is one text, shown as its street.",
    writes=(
        Write("create", resolve="none", note="When its outcome is unknown, a person must look."),
        Write("update"),
        Write("delete", kind="soft"),
    ),
    fields=(
        Field("name", "name"),
        Field("description", "description"),
        Field("parent", "parentId"),
        Field("address", "address && {street: address}", write="address", items=(Field("street", "street"),)),
        Field("barcode", "barcode"),
        Field("remote_created_at", "createdAt", read_only=True),
        Field("remote_updated_at", "updatedAt", read_only=True),
    ),
)
