"""How commands tell what is wrong in a flow."""

from __future__ import annotations

from django.core.management.base import CommandError

from core.errors import LineshaftError


def refused(error: LineshaftError) -> CommandError:
    """Each place with what is wrong there, or the one reason there is."""
    places = [f"{one.pointer}: {one.detail}" for one in error.errors]
    return CommandError("\n".join(places) or error.detail)
