"""Whether the expressions of a definition are well, and use only what there is where they stand."""

from __future__ import annotations

from collections.abc import Iterator

from core.errors import FieldError, ValidationFailedError
from flows.definitions.expression_sites import Site, sites
from flows.definitions.model import Definition
from flows.definitions.names_used import Used, names_used
from flows.definitions.walking import find_step
from flows.definitions.words import did_you_mean, shown
from flows.expressions import check_expression

__all__ = ["check_expressions"]

_HINTS = {
    "item": "Only steps within a for-each see `item` and `index`.",
    "index": "Only steps within a for-each see `item` and `index`.",
    "item_version": "Only steps within a for-each see `item_version`.",
    "error": "Only the steps of an on_error see `error`.",
    **dict.fromkeys(("null", "true", "false"), "Values that are no names stand in backquotes, such as `null` or `1`."),
    "event": "Only the filter of a wait sees `event`; what started the run is `trigger.event`.",
}


def check_expressions(definition: Definition) -> Iterator[FieldError]:
    """All that is wrong, in the order it stands."""
    for site in sites(definition):
        if isinstance(site.text, FieldError):
            yield FieldError(site.pointer, site.text.code, site.text.detail)
            continue
        try:
            check_expression(site.text, site.pointer)
        except ValidationFailedError as error:
            yield from error.errors
        else:
            yield from _names(definition, site, names_used(site.text))


def _names(definition: Definition, site: Site, used: Used) -> Iterator[FieldError]:
    for name in sorted(used.top - site.names):
        hint = _HINTS.get(name) or did_you_mean(name, sorted(site.names))
        yield FieldError(site.pointer, "UNKNOWN_NAME", f"There is no {shown(name)} here. {hint}")
    for name in sorted(used.connections - definition.connections.keys()):
        hint = did_you_mean(name, definition.connections)
        yield FieldError(site.pointer, "UNKNOWN_CONNECTION", f"There is no connection {shown(name)}. {hint}")
    for name in sorted(used.steps - site.steps):
        yield FieldError(site.pointer, "UNKNOWN_STEP", _why_not_seen(definition, site, name))


def _why_not_seen(definition: Definition, site: Site, name: str) -> str:
    found = find_step(definition, name)
    if found is None:
        return f"There is no step {shown(name)} before this. {did_you_mean(name, sorted(site.steps))}"
    if site.pointer.startswith(f"{found.pointer}/"):
        return f"The step {name!r} is not done yet here: it has no output."
    outer = [loop for loop in found.for_each if not _is_within(definition, site, loop)]
    if outer:
        return f"The step {name!r} is done for each item of {outer[0]!r}; outside of it use steps.{outer[0]}.items."
    return f"The step {name!r} is not done before this one."


def _is_within(definition: Definition, site: Site, loop: str) -> bool:
    found = find_step(definition, loop)
    return found is not None and site.pointer.startswith(f"{found.pointer}/steps/")
