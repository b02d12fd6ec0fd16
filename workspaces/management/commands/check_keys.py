"""`manage.py check_keys`: whether everything that is stored opens, and which keys are still needed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.errors import LineshaftError
from workspaces.key_report import KeyReport, RingKey, examine_keys


class Command(BaseCommand):
    """Open everything and tell. Nothing is changed."""

    help = (
        "Open every data key and every stored secret (references are not looked up), and say which keys of"
        " ENCRYPTION_KEYS can be removed. Exit code 1 when something does not open."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = examine_keys()
        except LineshaftError as error:
            raise CommandError(error.detail) from error
        for key in report.ring:
            self.stdout.write(_of_ring(key))
        for problem in (*report.unopened_data_keys, *report.secrets.unopened):
            self.stderr.write(problem)
        self.stdout.write(_sum(report))
        if not report.is_well:
            wrong = len(report.unopened_data_keys) + len(report.secrets.unopened)
            raise CommandError(
                f"{wrong:,} do not open, see above. Put the missing key back. If it is lost, `manage.py rotate_keys"
                " --data-keys` makes new data keys; then enter the secrets again."
            )


def _of_ring(key: RingKey) -> str:
    needed = f"key {key.id}: wraps {key.data_keys:,} data keys"
    if key.secrets:
        needed += f", encrypted {key.secrets:,} secrets directly (`manage.py rotate_keys` moves them)"
    if not key.in_ring:
        return f"{needed}; NOT IN THE RING"
    if key.is_first:
        return f"{needed}; the first of the ring, which encrypts"
    return f"{needed}; {'can be removed' if key.can_be_removed else 'still needed'}"


def _sum(report: KeyReport) -> str:
    opened_keys = report.data_keys - len(report.unopened_data_keys)
    opened = report.secrets.stored - len(report.secrets.unopened)
    return (
        f"{opened_keys:,} of {report.data_keys:,} data keys and {opened:,} of {report.secrets.stored:,} secrets open;"
        f" {report.secrets.references:,} more are references."
    )
