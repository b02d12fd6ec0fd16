"""Duties of the tick about what systems tell. Working messages off is `syncs.ticks.heed_inbound_hooks`."""

from __future__ import annotations

from django_scopes import scopes_disabled

from webhooks.services import inbound


def forget_inbound_hooks() -> int:
    """Messages after 14 days, and addresses of connections that were ended, in small batches."""
    with scopes_disabled():
        return inbound.forget_old_hooks() + inbound.forget_ended_addresses()
