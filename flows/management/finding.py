"""Which flow a person at the terminal means."""

from __future__ import annotations

from django.core.management.base import CommandError
from django_scopes import scopes_disabled

from core import ids
from flows.models import Flow


def find_flow(text: str) -> Flow:
    """The flow with this shown id or exact name, whichever workspace it is in.

    Errors: CommandError, which lists the ids when several have the name.
    """
    value = ids.read(Flow.PREFIX, text)
    with scopes_disabled():
        rows = Flow.objects.select_related("workspace", "version")
        found: list[Flow] = list(rows.filter(pk=value) if value else rows.filter(name=text).order_by("pk")[:10])
    if not found:
        raise CommandError(f"There is no flow {text!r}.")
    if len(found) > 1:
        each = ", ".join(f"{ids.show(Flow.PREFIX, one.pk)} ({one.workspace.slug}, {one.environment})" for one in found)
        raise CommandError(f"Several flows are named {text!r}; give the id: {each}.")
    return found[0]
