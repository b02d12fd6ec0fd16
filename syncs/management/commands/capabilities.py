"""`manage.py capabilities`: what may be done through a connection."""

from __future__ import annotations

from collections.abc import Sequence
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
        table = Table("what", "allowed", "how", "why not", title=told["title"])
        for name in OPERATIONS:
            operation = told["operations"][name]
            table.add_row(name, _yes(operation["supported"]), escape(_how(operation)), escape(_detail(operation)))
        for name, action in told["actions"].items():
            only = f"while {', '.join(action['only_status'])}" if action["only_status"] else ""
            table.add_row(f"action {name}", _yes(action["supported"]), escape(only), escape(_detail(action)))
        print_table(table, self.stdout)
        table = Table("field", "read", "create", "update", "update while", "why not")
        for name, field in _flat(told["fields"]).items():
            marks = [_yes(operation in field["writable_in"]) for operation in ("create", "update")]
            why = " ".join(dict.fromkeys(reason["detail"] for reason in field["reasons"].values()))
            title = f"{name}{' (required)' if field['required'] else ''}"
            table.add_row(title, _yes(field["readable"]), *marks, escape(_statuses(field)), escape(why))
        print_table(table, self.stdout)


def _yes(allowed: bool) -> str:
    return "yes" if allowed else "no"


def _how(operation: dict[str, Any]) -> str:
    """What a delete does, and the rules, in words."""
    if not operation["supported"]:
        return ""
    kinds = [f"{one['kind']} {_when(one['only_status'], ())}".strip() for one in operation.get("kinds", ())]
    rules = [
        f"{', '.join(rule['fields'])} {_when(rule['only_status'], rule['unless_status'])}".strip()
        for rule in operation["rules"]
    ]
    return "; ".join([*kinds, *rules])


def _when(only: Sequence[str], unless: Sequence[str]) -> str:
    parts = [f"while {', '.join(only)}"] if only else []
    return " ".join([*parts, *([f"not while {', '.join(unless)}"] if unless else [])])


def _statuses(field: dict[str, Any]) -> str:
    """In which of the source's statuses the field may be changed."""
    if "update" not in field["writable_in"]:
        return ""
    return "any" if field["writable_in_status"] is None else ", ".join(field["writable_in_status"])


def _reasons(told: dict[str, Any]) -> str:
    parts = [*told["operations"].values(), *told["actions"].values()]
    return " ".join(dict.fromkeys(part["reason"]["detail"] for part in parts if part["reason"]))


def _detail(told: dict[str, Any]) -> str:
    return told["reason"]["detail"] if told["reason"] else ""


def _flat(fields: dict[str, dict[str, Any]], prefix: str = "") -> dict[str, dict[str, Any]]:
    """Every field, those inside of others as `lines.quantity`."""
    found: dict[str, dict[str, Any]] = {}
    for name, field in fields.items():
        found[prefix + name] = field
        found |= _flat(field.get("items", {}), f"{prefix}{name}.")
    return found
