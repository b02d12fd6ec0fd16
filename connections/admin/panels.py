"""What stands above and below a connection's form."""

from __future__ import annotations

from typing import Any

from connections.models import Connection
from core import ids
from core.admin_texts import moment
from integrations.registry import catalogue

__all__ = ["connection_facts"]


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
