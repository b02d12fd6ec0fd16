"""What stands above and below a connection's form."""

from __future__ import annotations

from typing import Any

from connections.models import Connection
from connections.screen_texts import entity_title
from connections.services import capabilities
from core import ids
from core.admin_texts import duration, moment, plural
from integrations.registry import catalogue

__all__ = ["capability_rows", "connection_facts"]


def connection_facts(connection: Connection) -> list[tuple[str, Any]]:
    """(label, value) of how the connection stands."""
    kind = catalogue().get(connection.system)
    facts: list[tuple[str, Any]] = [
        ("System", kind.title if kind else f"{connection.system} (its connector is not installed)"),
        ("Environment", connection.get_environment_display()),
        ("Last check", moment(connection.checked_at)),
        ("Signed in as", connection.account or "—"),
        ("Version", connection.system_version or "—"),
        ("Id", ids.show(Connection.PREFIX, connection.pk)),
    ]
    if connection.failures_in_row:
        facts.append(("Failures in a row", connection.failures_in_row))
    if connection.circuit_open_until:
        facts.append(("Tried again", moment(connection.circuit_open_until)))
    return facts


def capability_rows(connection: Connection) -> list[dict[str, Any]]:
    """One row an entity, as the connector declares it; what cannot be done says why."""
    return [_row(told) for told in capabilities(connection).values()]


def _row(told: dict[str, Any]) -> dict[str, Any]:
    operations = [
        {"name": name, "supported": operation["supported"], "reason": operation["reason"] or _rules(operation)}
        for name, operation in told["operations"].items()
    ]
    fields = told["fields"].values()
    return {
        "title": entity_title(told["entity"]),
        "supported": told["supported"],
        "operations": operations,
        "changes": _changes(told["changes"]),
        "fields": f"{sum(field['readable'] for field in fields)} of {plural(len(fields), 'field')}" if fields else "—",
        "note": told["note"] or ("" if told["supported"] else told["operations"]["read"]["reason"]),
    }


def _rules(operation: dict[str, Any]) -> str:
    return " ".join(rule["reason"] for rule in operation["rules"] if rule["reason"])


def _changes(changes: dict[str, Any] | None) -> str:
    if changes is None:
        return "—"
    if changes["detection"] == "full":
        return "By comparing everything"
    return f"By change time, read again {duration(changes['overlap_seconds'])}"
