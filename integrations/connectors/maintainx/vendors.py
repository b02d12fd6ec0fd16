"""Vendors: the list tells names only and knows no changes, so each is read at its own address in every run."""

from __future__ import annotations

from integrations.connectors.maintainx.lists import CURSOR, MARK, SETTLE_SECONDS
from integrations.entities import Vendor
from integrations.sdk.declarations import Field, Resource, Write

KEEP = ("id", "name", "description", "emails", "phoneNumbers", "contactIds", "extraFields")

vendors = Resource(
    Vendor,
    path="/vendors",
    items="vendors",
    item="vendor",
    detail="/vendors/{id}",
    detail_per_row=True,
    # Shown by the list, so that a mark is found without reading each vendor.
    parameters={"expand": ("extra_fields",)},
    keep=KEEP,
    paging=CURSOR,
    deleted_when="deletedAt",
    note="One call for each vendor in every run. Of several addresses and numbers the first is shown.",
    writes=(
        Write(
            "create",
            resolve="mark",
            mark=MARK,
            settle_seconds=SETTLE_SECONDS,
            note="Needs the custom field `Lineshaft key` on vendors.",
        ),
        Write("update"),
        Write("delete", kind="soft"),
    ),
    fields=(
        Field("name", "name"),
        Field("description", "description"),
        Field("email", "emails[0]", write="emails"),
        Field("phone", "phoneNumbers[0]", write="phoneNumbers"),
    ),
)
