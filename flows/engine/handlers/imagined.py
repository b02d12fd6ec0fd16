"""What dry runs know of records that would have been made before: they stand in for real ones in later steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Planned = Mapping[str, Mapping[str, Any]]


def planned_records(context: Mapping[str, Any]) -> Planned:
    """Shown id -> record, of the records that steps before would have created."""
    outputs = [output for output in (context.get("steps") or {}).values() if isinstance(output, Mapping)]
    records = [output.get("record") for output in outputs if output.get("status") == "planned"]
    return {
        record["id"]: record
        for record in records
        if isinstance(record, Mapping) and isinstance(record.get("id"), str) and record.get("remote_id") is None
    }


def without_planned(value: Any, planned: Planned) -> Any:
    """A body in which ids of such records are texts that the system might use: it has none for them yet."""
    if not planned:
        return value
    if isinstance(value, Mapping):
        shown = value.get("id")
        if isinstance(shown, str) and shown in planned:
            return f"new {shown}"
        return {name: without_planned(item, planned) for name, item in value.items()}
    if isinstance(value, list):
        return [without_planned(item, planned) for item in value]
    return f"new {value}" if isinstance(value, str) and value in planned else value
