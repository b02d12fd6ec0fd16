"""`manage.py doctor`: is this installation well, and if not, what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.markup import escape
from rich.table import Table

from console.management.checkup import examine
from core.json import dumps
from syncs.management.printing import print_table

_MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]"}


class Command(BaseCommand):
    """Look at everything the platform needs and say what is missing."""

    help = "Check database, keys, Redis, workers, ticks and clocks. Exit code 1 when a check fails."
    requires_system_checks = []  # they are one of the checks, so that the others are shown as well

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = examine()
        failed = any(finding.status == "fail" for finding in findings)
        if options["json"]:
            self.stdout.write(dumps({"ok": not failed, "checks": [asdict(finding) for finding in findings]}))
        else:
            table = Table("check", "", "seen", "what to do")
            for finding in findings:
                table.add_row(finding.name, _MARKS[finding.status], escape(finding.detail), escape(finding.action))
            print_table(table, self.stdout)
        if failed:
            raise SystemExit(1)
