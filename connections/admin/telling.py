"""How trying a connection out went, in plain words."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from connections.screen_texts import entity_title
from connections.services import CheckOutcome
from core.admin_texts import WHO_ACTS

__all__ = ["tell_outcome"]

_NAMES = {"reachable": "Reachable", "signed_in": "Signed in"}
_FAILED = {"reachable": "Not reachable", "signed_in": "Not signed in"}
_READABLE = "_readable"


def tell_outcome(request: HttpRequest, outcome: CheckOutcome) -> None:
    """One message for all that went well, one for each thing that did not."""
    good = [(_name(check.name, ok=True), check.detail) for check in outcome.checks if check.ok]
    if good:
        messages.success(request, format_html_join("", "<p>{}: {}</p>", good))
    for check in outcome.checks:
        if not check.ok:
            messages.error(request, f"{_name(check.name, ok=False)}: {check.detail}")
    if outcome.error:
        who = WHO_ACTS[outcome.error["who_must_act"]]
        text = format_html("<p>What to do: {}</p><p>Who must act: {}.</p>", outcome.error["action"], who)
        messages.warning(request, text)


def _name(name: str, *, ok: bool) -> str:
    if name.endswith(_READABLE):
        title = entity_title(name.removesuffix(_READABLE))
        return title if ok else f"{title} not readable"
    return (_NAMES if ok else _FAILED).get(name, name)
