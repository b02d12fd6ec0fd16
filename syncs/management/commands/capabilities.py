"""`manage.py capabilities`: what may be done through a connection."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.markup import escape
from rich.table import Table

from connections.services import capabilities
from core.errors import LineshaftError
from core.json import dumps
from integrations.entities import ENTITIES
from syncs.management.finding import find_connection
from syncs.management.printing import print_table

OPERATIONS = ("read", "create", "update", "delete")


class Command(BaseCommand):
    """The matrix of a connection, or every field of one entity."""

    help = "What may be done through a connection, and why not. With --entity its fields and actions, one by one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("connection", help="id (con_...) or exact name")
        parser.add_argument("--entity", choices=list(ENTITIES), help="this one alone, with its fields")
        parser.add_argument("--json", action="store_true", help="print what the API tells: {entity: ...}")

    def handle(self, *args: Any, **options: Any) -> None:
        connection, entity = find_connection(options["connection"]), options["entity"]
        try:
            told = capabilities(connection, entity)
        except LineshaftError as error:
            self.stderr.write(error.detail)
            raise SystemExit(1) from error
        every = told if entity is None else {entity: told}
        if options["json"]:
            self.stdout.write(dumps(every))
        elif entity is None:
            self._print_matrix(every)
        else:
            self._print_entity(told)

    def _print_matrix(self, every: dict[str, dict[str, Any]]) -> None:
        table = Table("entity", *OPERATIONS, "actions", "why not")
        for told in every.values():
            cells = ["yes" if told["operations"][name]["supported"] else "no" for name in OPERATIONS]
            actions = ", ".join(name for name, action in told["actions"].items() if action["supported"]) or "—"
            table.add_row(told["title"], *cells, actions, escape(_reasons(told)))
        print_table(table, self.stdout)

    def _print_entity(self, told: dict[str, Any]) -> None:
        table = Table("what", *OPERATIONS[1:3], "in status", "why not", title=told["title"])
        for name in OPERATIONS[1:]:
            operation = told["operations"][name]
            table.add_row(name, *_marks(name, operation["supported"]), "", escape(_detail(operation["reason"])))
        for name, action in told["actions"].items():
            status = ", ".join(action["only_status"]) or "any"
            why = escape(_detail(action["reason"]))
            table.add_row(f"action {name}", "", "yes" if action["supported"] else "no", status, why)
        for name, field in _flat(told["fields"]).items():
            statuses = field["writable_in_status"]
            marks = ["yes" if operation in field["writable_in"] else "no" for operation in ("create", "update")]
            why = " ".join(dict.fromkeys(reason["detail"] for reason in field["reasons"].values()))
            status = (
                ", ".join(statuses) if statuses is not None else ("any" if "update" in field["writable_in"] else "")
            )
            table.add_row(f"{name}{' (required)' if field['required'] else ''}", *marks, status, escape(why))
        print_table(table, self.stdout)


def _marks(operation: str, supported: bool) -> tuple[str, str]:
    """The cells of a whole operation stand in its own column; a delete has none and says so in both."""
    mark = "yes" if supported else "no"
    return {"create": (mark, ""), "update": ("", mark)}.get(operation, (mark, mark))


def _reasons(told: dict[str, Any]) -> str:
    parts = [*told["operations"].values(), *told["actions"].values()]
    return " ".join(dict.fromkeys(part["reason"]["detail"] for part in parts if part["reason"]))


def _detail(reason: dict[str, str] | None) -> str:
    return reason["detail"] if reason else ""


def _flat(fields: dict[str, dict[str, Any]], prefix: str = "") -> dict[str, dict[str, Any]]:
    """Every field, those inside of others as `lines.quantity`."""
    found: dict[str, dict[str, Any]] = {}
    for name, field in fields.items():
        found[prefix + name] = field
        found |= _flat(field.get("items", {}), f"{prefix}{name}.")
    return found
