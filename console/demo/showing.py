"""What the demo shows: the sync status and a few records, all of it as the API told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from console.demo.client import Api, Body
from integrations.entities import ENTITIES

WIDTH_OF_FILES = 160
FEW = 5
# Of each entity shown: the path in the API and the columns, a dot reaching into a reference.
SHOWN = {
    "purchase_order": ("number", "vendor.name", "status", "total_amount", "currency", "order_date"),
    "work_order": ("number", "title", "status", "item.name", "planned_end"),
    "inventory_item": ("number", "name", "status", "quantity_on_hand", "unit"),
}


def terminal(stream: Any) -> Console:
    """Where the demo writes; lines of files are long rather than cut."""
    return Console(file=stream, width=None if stream.isatty() else WIDTH_OF_FILES, highlight=False)


def show_status(console: Console, status: Body) -> None:
    table = Table("entity", "status", "last success", "next run", "read", "created", "unchanged", "set aside")
    for entity in status["entities"]:
        counts = entity["counts"] or {}
        counted = [str(counts.get(name, "")) for name in ("read", "created", "unchanged", "quarantined")]
        times = [entity["last_successful_sync_at"] or "", entity["next_scheduled_sync_at"] or ""]
        table.add_row(entity["entity"], entity["status"], *(time[:19] for time in times), *counted)
    console.print("\nSync status (GET /api/v1/sync-status)")
    console.print(table)


def show_records(console: Console, api: Api, connection_id: str) -> None:
    for name, columns in SHOWN.items():
        slug = ENTITIES[name].describes.slug
        rows = api.get(f"/{slug}", connection=connection_id, limit=FEW)["data"]
        table = Table(*(column.partition(".")[0] for column in columns))
        for row in rows:
            table.add_row(*(escape(_value(row, column)) for column in columns))
        console.print(f"\nGET /api/v1/{slug}?limit={FEW}")
        console.print(table)


def _value(row: Body, path: str) -> str:
    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def count_records(api: Api, connection_id: str, entities: Iterable[str]) -> dict[str, int]:
    """How many records the API lists, by the plural of their entity."""
    specs = [ENTITIES[name].describes for name in entities]
    return {spec.plural: sum(1 for _ in api.every(f"/{spec.slug}", connection=connection_id)) for spec in specs}
