"""Locations: the whole tree, with the virtual places Tryton moves stock from and to."""

from __future__ import annotations

from integrations.connectors.tryton.vendors import ACTIVE, ACTIVE_ONLY
from integrations.entities import Location
from integrations.protocols.jsonrpc import SETTLE_SECONDS
from integrations.sdk.declarations import Field, Resource, Rule, Since, Write

READ = (
    "name",
    "code",
    "type",
    "active",
    "create_date",
    "last_modified_at",
    "parent.name",
    "address.party_name",
    "address.street",
    "address.city",
    "address.postal_code",
    "address.subdivision.name",
    "address.country.code",
    "address.country.name",
    "address.last_modified_at",
)
KINDS = {
    "warehouse": "warehouse",
    "storage": "storage",
    "supplier": "supplier",
    "customer": "customer",
    "production": "production",
    "drop": "transit",
    "lost_found": "other",
    "rental": "other",
    "view": "other",
}

locations = Resource(
    Location,
    path="stock.location",
    parameters={"fields": READ},
    changes=Since(
        "changed_at", parameter="last_modified_at", touched_by=("the name of the location above", "names of countries")
    ),
    writes=(
        Write("create", resolve="mark", mark="code", mark_field="number", settle_seconds=SETTLE_SECONDS),
        Write("update", fields=("number", "name", "status", "parent", "custom"), settle_seconds=SETTLE_SECONDS),
        Write("delete", kind="deactivate", only_status=ACTIVE_ONLY, settle_seconds=SETTLE_SECONDS),
    ),
    rules=(
        Rule(
            "update",
            only_status=ACTIVE_ONLY,
            fields=("number", "name", "parent"),
            reason="Tryton does not allow to modify a location that is inactive; activate it first.",
        ),
        Rule("delete", only_status=ACTIVE_ONLY, reason="it is inactive already."),
    ),
    fields=(
        Field("number", "code"),
        Field("name", "name"),
        Field("kind", "type", values=KINDS),
        Field("remote_kind", "type", read_only=True),
        Field("status", "active", values=ACTIVE),
        Field("remote_status", "active", read_only=True),
        Field("parent", "parent.id", name="parent.name", write="parent"),
        Field(
            "address",
            "address",
            read_only=True,
            items=(
                Field("name", "party_name"),
                Field("street", "street"),
                Field("city", "city"),
                Field("region", "subdivision.name"),
                Field("postal_code", "postal_code"),
                Field("country_code", "country.code"),
                Field("country", "country.name"),
            ),
        ),
        Field("remote_created_at", "create_date", read_only=True),
        Field("remote_updated_at", "changed_at", read_only=True),
    ),
)
