"""What MaintainX tells by itself.

Source: the vendor's OpenAPI document, "Subscriptions & Webhooks", for the types and the signature. The document shows no
body: `type`, `<object>Id`, `orgId` and `occurredAt` are what public examples of others receive.
"""

from __future__ import annotations

from integrations.sdk.hooks import HmacSignature, Hooks

hooks = Hooks(
    signature=HmacSignature("x-maintainx-webhook-body-signature", parts=("t", "v1")),
    entities={
        "NEW_WORK_ORDER": "work_order",
        "WORK_ORDER_CHANGE": "work_order",
        "WORK_ORDER_STATUS_CHANGE": "work_order",
        "WORK_ORDER_PART_STATUS_CHANGE": "work_order",
        "WORK_ORDER_OVERDUE": "work_order",
        "WORK_ORDER_DELETE": "work_order",
        "NEW_CATEGORY_ON_WORK_ORDER": "work_order",
        "NEW_ASSET": "asset",
        "ASSET_STATUS_CHANGE": "asset",
        "NEW_PART": "inventory_item",
        "PART_CHANGE": "inventory_item",
        "PART_QUANTITY_CHANGE": "inventory_item",
        "PART_TRANSFER": "inventory_item",
        "PART_DELETE": "inventory_item",
        "NEW_PURCHASE_ORDER": "purchase_order",
        "PURCHASE_ORDER_CHANGE": "purchase_order",
        "PURCHASE_ORDER_STATUS_CHANGE": "purchase_order",
        "NEW_LOCATION": "location",
        "NEW_VENDOR": "vendor",
    },
    ids={
        "work_order": "workOrderId",
        "asset": "assetId",
        "inventory_item": "partId",
        "purchase_order": "purchaseOrderId",
        "location": "locationId",
        "vendor": "vendorId",
    },
    deleting=frozenset({"WORK_ORDER_DELETE", "PART_DELETE"}),
    message_id=("type", "occurredAt"),
    note=(
        "In MaintainX: Settings, Integrations, Webhooks, New Webhook. Give it the address, choose the events, then Copy"
        " secret, and store the secret here. Each webhook has a secret of its own; store all of them."
    ),
)
