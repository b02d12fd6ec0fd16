"""Which connection a person at the terminal means."""

from __future__ import annotations

from django.core.management.base import CommandError
from django_scopes import scopes_disabled

from connections.models import Connection
from core import ids


def find_connection(text: str) -> Connection:
    """The connection with this shown id or exact name, whichever workspace it is in.

    Errors: CommandError, which lists the ids when several have the name.
    """
    value = ids.read(Connection.PREFIX, text)
    with scopes_disabled():
        rows = Connection.objects.kept().select_related("workspace")
        found: list[Connection] = list(rows.filter(pk=value) if value else rows.filter(name=text).order_by("pk")[:10])
    if not found:
        raise CommandError(f"There is no connection {text!r}; `manage.py sync_status` lists them.")
    if len(found) > 1:
        each = ", ".join(f"{ids.show(Connection.PREFIX, one.pk)} ({one.workspace.slug})" for one in found)
        raise CommandError(f"Several connections are named {text!r}; give the id: {each}.")
    return found[0]
