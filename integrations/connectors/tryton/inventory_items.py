"""Inventory items: product variants with their template, and what of them lies where (stock.py adds `stock`)."""

from __future__ import annotations

from integrations.connectors.tryton.units import UNITS
from integrations.connectors.tryton.vendors import ACTIVE, ACTIVE_ONLY
from integrations.entities import InventoryItem
from integrations.protocols.jsonrpc import SETTLE_SECONDS
from integrations.sdk.declarations import Action, Field, Parameter, Resource, Rule, Since, Write

READ = (
    "code",
    "description",
    "active",
    "create_date",
    "last_modified_at",
    "cost_price",
    "list_price",
    "quantity",
    "forecast_quantity",
    "template.name",
    "template.type",
    "template.consumable",
    "template.list_price",
    "template.default_uom.symbol",
    "template.categories.name",
    "template.last_modified_at",
    "identifiers.type",
    "identifiers.code",
    "identifiers.last_modified_at",
    "order_points.type",
    "order_points.min_quantity",
    "order_points.target_quantity",
    "order_points.last_modified_at",
    "product_suppliers.sequence",
    "product_suppliers.lead_time",
    "product_suppliers.party.name",
    "product_suppliers.last_modified_at",
    "template.product_suppliers.product",
    "template.product_suppliers.sequence",
    "template.product_suppliers.lead_time",
    "template.product_suppliers.party.name",
    "template.product_suppliers.last_modified_at",
)
_BY_TYPE = {
    **{f"goods/{flag}": "good" for flag in ("0", "false", "null")},
    **{f"goods/{flag}": "consumable" for flag in ("1", "true")},
    **{f"service/{flag}": "service" for flag in ("0", "1", "false", "true", "null")},
    **{f"assets/{flag}": "other" for flag in ("0", "1", "false", "true", "null")},
}
# The variant's own supplier, else one of the template that is for no certain variant.
_SUPPLIER = "product_suppliers[0] || (template.product_suppliers[?!product] | [0])"
_ORDER_POINT = "order_points[?type=='purchase'] | [0]"
_DAYS = {"name": "multiply", "by": "0.0000115740740740740740740741"}  # a timedelta is in seconds
_WHOLE = {"name": "split", "separator": ".", "index": 0}
# Not the number: it is made of the code of the template and a suffix.
_UPDATED = (
    *("name", "description", "kind", "status", "unit", "unit_raw", "unit_cost", "list_price"),
    *("manufacturer_part_number", "barcode", "custom"),
)

inventory_items = Resource(
    InventoryItem,
    path="product.product",
    parameters={"fields": READ},
    changes=Since(
        "changed_at",
        parameter="last_modified_at",
        touched_by=(
            "stock moves dated in the future, when their day comes",
            "deleted stock moves, identifiers, order points and suppliers",
            "moved cost prices (average cost)",
            "names of units, categories and suppliers",
        ),
    ),
    writes=(
        Write("create", resolve="mark", mark="identifiers.code", settle_seconds=SETTLE_SECONDS),
        Write("update", fields=_UPDATED, settle_seconds=SETTLE_SECONDS),
        Write("delete", kind="deactivate", only_status=ACTIVE_ONLY, settle_seconds=SETTLE_SECONDS),
    ),
    actions=(
        Action(
            "book_usage",
            "Book usage",
            to_status=(),
            only_status=ACTIVE_ONLY,
            parameters=(
                Parameter("quantity", "decimal", required=True, help="How much was used, in the item's unit. Above 0."),
            ),
            is_marked=True,
            help="Takes it from the storage location that holds most, by an internal shipment to lost and found; refused where"
            " no location has so much.",
        ),
    ),
    rules=(
        Rule(
            "update",
            only_status=ACTIVE_ONLY,
            fields=("description", "unit_cost"),
            reason="Tryton does not allow to modify it while the product is inactive; activate it first.",
        ),
        Rule("delete", only_status=ACTIVE_ONLY, reason="it is inactive already."),
    ),
    note="Stock is that of every location of type storage, as of today; quantity_available is Tryton's forecast for today.",
    fields=(
        Field("number", "code"),
        Field("name", "template.name"),
        Field("description", "description"),
        Field(
            "kind", "join('/', [template.type, to_string(template.consumable)])", values=_BY_TYPE, write="template.kind"
        ),
        Field("remote_kind", "template.type", read_only=True),
        Field("status", "active", values=ACTIVE),
        Field("remote_status", "active", read_only=True),
        Field("category", "template.categories[].name", transforms=({"name": "join", "separator": ", "},)),
        Field("unit", "template.default_uom.symbol", unit=UNITS, write="template.unit"),
        Field("unit_raw", "template.default_uom.symbol", write="template.unit_symbol"),
        Field("currency", "company_currency", read_only=True),
        Field("unit_cost", "cost_price"),
        Field("list_price", "list_price || template.list_price", write="template.list_price"),
        Field("manufacturer_part_number", "identifiers[?type=='mpn'] | [0].code", write="mpn"),
        Field("barcode", "identifiers[?type=='ean'] | [0].code", write="ean"),
        Field("quantity_on_hand", "quantity", read_only=True),
        Field("quantity_available", "forecast_quantity", read_only=True),
        Field("reorder_point", f"({_ORDER_POINT}).min_quantity"),
        Field("maximum_quantity", f"({_ORDER_POINT}).target_quantity"),
        Field("lead_time_days", f"({_SUPPLIER}).lead_time", transforms=(_DAYS, _WHOLE)),
        Field("vendor", f"({_SUPPLIER}).party.id", name=f"({_SUPPLIER}).party.name"),
        Field(
            "stock",
            "stock",
            read_only=True,
            items=(
                Field("location", "location.id", name="location.name"),
                Field("quantity_on_hand", "quantity"),
                Field("quantity_available", "forecast_quantity"),
                Field("unit", "unit", unit=UNITS),
                Field("unit_raw", "unit"),
            ),
        ),
        Field("remote_created_at", "create_date", read_only=True),
        Field("remote_updated_at", "changed_at", read_only=True),
    ),
)
