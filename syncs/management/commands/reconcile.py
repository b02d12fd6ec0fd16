"""`manage.py reconcile`: look up now what became of writes whose outcome is not known."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.db.models import Q
from django.db.models.functions import Now
from django_scopes import scope, scopes_disabled
from rich.markup import escape
from rich.table import Table

from core import ids
from core.errors import ConflictError
from core.json import dumps
from syncs.bodies import operation_body
from syncs.choices import OperationStatus
from syncs.management.finding import find_connection
from syncs.management.printing import print_table
from syncs.models import Operation
from syncs.operations.execute import execute_operation
from syncs.services.settling import look_again
from workspaces.management.acting import ActingCommand

POLL_SECONDS = 0.2
LONGEST_TURN_SECONDS = 120.0  # another worker's turn is waited for no longer
ENDED = (OperationStatus.SUCCEEDED, OperationStatus.FAILED)
STYLES = {"succeeded": "green", "failed": "red", "unknown": "yellow", "needs_review": "yellow"}


class Command(ActingCommand):
    """Look outcomes up, in this process; no worker is needed."""

    help = (
        "Look up writes whose outcome is unknown, needs review or is overdue. Nothing is sent twice blindly: what was not"
        " done is sent again only while there is time for it. Exit code 1 while some are open still."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--connection", help="id (con_...) or exact name; all connections without it")
        which.add_argument("--operation", metavar="ID", help="only this one (op_...)")
        parser.add_argument("--json", action="store_true", help="print the operations as the API shows them")

    def handle(self, *args: Any, **options: Any) -> None:
        asked = _asked(options["connection"], options["operation"])
        before = {operation.pk: operation.status for operation in asked}
        for operation in asked:
            _look_up(operation)
        found = _rows(Q(pk__in=list(before)))
        self._print(found, before, as_json=options["json"])
        still = sum(operation.status not in ENDED for operation in found)
        if still:
            raise CommandError(f"{still} of {len(found)} operations are open still.")

    def _print(self, operations: list[Operation], before: dict[UUID, str], *, as_json: bool) -> None:
        bodies = [operation_body(operation) for operation in operations]
        if as_json:
            self.stdout.write(dumps({"data": bodies}))
            return
        if not bodies:
            self.stdout.write("No write has an outcome that is not known.")
            return
        table = Table("operation", "connection", "write", "remote id", "was", "is", "look-alikes", "error")
        for operation, body in zip(operations, bodies, strict=True):
            table.add_row(
                body["id"],
                escape(operation.connection.name),
                f"{operation.what} {operation.entity}",
                escape(operation.remote_id),
                before[operation.pk],
                _styled(operation.status),
                escape(", ".join(candidate["remote_id"] for candidate in operation.candidates)),
                escape(operation.error["message"]) if operation.error else "",
            )
        print_table(table, self.stdout)


def _asked(connection: str | None, shown_id: str | None) -> list[Operation]:
    """What is to be looked up, oldest first."""
    if shown_id is not None:
        pk = ids.read(Operation.PREFIX, shown_id)
        named = _rows(Q(pk=pk)) if pk else []
        if not named:
            raise CommandError(f"There is no operation {shown_id!r}.")
        return named
    return _rows(_OPEN if connection is None else _OPEN & Q(connection=find_connection(connection).pk))


def _rows(which: Q) -> list[Operation]:
    with scopes_disabled():
        return list(Operation.objects.filter(which).select_related("connection").order_by("created_at", "pk"))


_OVERDUE = Q(status=OperationStatus.AWAITING_SOURCE, job_deadline_at__lt=Now())
_LOST = Q(status=OperationStatus.RUNNING, lease_until__lt=Now())
_OPEN = Q(status__in=(OperationStatus.UNKNOWN, OperationStatus.NEEDS_REVIEW)) | _OVERDUE | _LOST


def _look_up(operation: Operation) -> None:
    """One turn at it. A worker that took it first is waited for; one that ended meanwhile is left as it is."""
    with scope(workspace=operation.workspace_id):
        with suppress(ConflictError):
            look_again(operation)
        execute_operation(operation.pk)
        pause, until = threading.Event(), time.monotonic() + LONGEST_TURN_SECONDS
        rows = Operation.objects.filter(pk=operation.pk, status=OperationStatus.RUNNING)
        while rows.exists() and time.monotonic() < until:
            pause.wait(POLL_SECONDS)


def _styled(status: str) -> str:
    style = STYLES.get(status)
    return f"[{style}]{status}[/]" if style else status
