"""Times, errors and JSON as people read them on screens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from core.errors import WhoMustAct

__all__ = [
    "WHO_ACTS", "absolute", "duration", "error_cell", "json_block", "moment", "number", "planned", "plural", "pretty",
    "relative", "two_lines",
]  # fmt: skip

WHO_ACTS: dict[str, str] = {
    WhoMustAct.NOBODY: "nobody, it mends itself",
    WhoMustAct.OPERATOR: "you, the operator",
    WhoMustAct.DEVELOPER: "a developer",
    WhoMustAct.CUSTOMER: "the customer",
    WhoMustAct.SOURCE: "who runs the system",
}
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def number(value: int) -> str:
    """12,345."""
    return f"{value:,}"


def plural(count: int, one: str, many: str = "") -> str:
    """ "1 record", "12,345 records"."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def relative(value: datetime, at: datetime | None = None) -> str:
    """ "3 minutes ago", "in 2 hours", "now"."""
    seconds = ((at or timezone.now()) - value).total_seconds()
    if abs(seconds) < 1:
        return "now"
    size, unit = next((size, unit) for size, unit in _UNITS if abs(seconds) >= size)
    text = plural(int(abs(seconds) // size), unit)
    return f"{text} ago" if seconds > 0 else f"in {text}"


def absolute(value: datetime) -> str:
    """2026-11-04 09:30:00 UTC."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def planned(value: datetime | None, *, empty: str = "—") -> SafeString | str:
    """A time to come; when it has come already, that it is due."""
    if value is not None and value <= timezone.now():
        return format_html('<time datetime="{}" title="{}">due now</time>', value.isoformat(), absolute(value))
    return moment(value, empty=empty)


def moment(value: datetime | None, *, empty: str = "never") -> SafeString | str:
    """The time relative to now, with the time itself below it."""
    if value is None:
        return empty
    return format_html(
        '<time datetime="{}" title="{}" class="lsh-moment">{}<small>{}</small></time>',
        value.isoformat(),
        absolute(value),
        relative(value),
        absolute(value)[:-7] + " UTC",
    )


def two_lines(first: Any, second: Any) -> SafeString:
    """A cell that says something and, smaller below it, something more."""
    return format_html('<div class="lsh-two">{}<small>{}</small></div>', first, second)


def error_cell(error: Mapping[str, Any]) -> SafeString:
    """An error in a list: its beginning, and who must act."""
    who = WHO_ACTS.get(str(error.get("who_must_act")), "")
    text = Truncator(error["message"]).chars(120)
    return format_html('<div class="lsh-two"><span class="lsh-error-text">{}</span><small>{}</small></div>', text, who)


def duration(seconds: float) -> str:
    """ "0.4 s", "12 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    named = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join([f"{count} {unit}" for count, unit in named if count][:2])


def pretty(value: Any) -> str:
    """Indented JSON of a value."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def json_block(value: Any) -> SafeString:
    """Indented JSON as a block that wraps instead of running out of the page."""
    return format_html('<pre class="lsh-json">{}</pre>', pretty(value))
