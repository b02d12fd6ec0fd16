"""Small things that every part of the seed needs. Runs inside Tryton's own environment, in an open transaction."""

from __future__ import annotations

from typing import Any

from trytond.pool import Pool

# SQLite's parser overflows on a create of some hundred rows.
BATCH = 25


def batches(rows: list[Any]) -> list[list[Any]]:
    return [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]


def create(model: str, rows: list[dict[str, Any]]) -> list[Any]:
    """Create `rows` in batches; return the records in the same order."""
    return [record for batch in batches(rows) for record in Pool().get(model).create(batch)]


def xml_id(module: str, name: str) -> int:
    return int(Pool().get("ir.model.data").get_id(module, name))
