"""`manage.py export_audit`: the audit log to standard output."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django_scopes import scopes_disabled

from workspaces import audit
from workspaces.audit_reading import FORMATS, Wanted, export, select
from workspaces.management.acting import ActingCommand
from workspaces.models import AuditEvent, Workspace


class Command(ActingCommand):
    """Write the log, oldest event first, one page in memory at a time."""

    help = "Write the audit log to standard output, oldest first. The export is itself an audit event."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--workspace", metavar="SLUG", help="of one workspace; without it of the whole installation"
        )
        parser.add_argument("--since", metavar="TIME", type=_time, help="from then on, e.g. 2026-03-01T08:00:00Z")
        parser.add_argument("--until", metavar="TIME", type=_time, help="what was done before then")
        parser.add_argument("--format", choices=list(FORMATS), default="jsonl")

    def handle(self, *args: Any, **options: Any) -> None:
        with scopes_disabled():
            workspace = _workspace(options["workspace"])
            rows = AuditEvent.objects.filter(workspace=workspace) if workspace else AuditEvent.objects.all()
            wanted = Wanted(since=options["since"], until=options["until"])
            audit.record(
                "audit.exported",
                workspace_id=workspace.pk if workspace else None,
                details={"format": options["format"]},
            )
            for part in export(select(rows, wanted), options["format"]):
                self.stdout.write(part, ending="")


def _workspace(slug: str | None) -> Workspace | None:
    if slug is None:
        return None
    found: Workspace | None = Workspace.objects.filter(slug=slug).first()
    if found is None:
        raise CommandError(f"There is no workspace {slug}.")
    return found


def _time(text: str) -> datetime:
    """A time without a zone is meant in UTC. ValueError, which argparse tells, for what is no time."""
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)
