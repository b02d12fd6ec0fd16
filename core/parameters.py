"""Query parameters: unknown ones are refused, known ones read with a 400 that names them.

Every reader takes Django's or DRF's request and answers None (or its default) when the parameter is absent.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, date, datetime
from difflib import get_close_matches
from uuid import UUID

from django.http import HttpRequest
from rest_framework.request import Request

from core import ids
from core.api_errors import BadRequestError
from core.errors import FieldError

AnyRequest = HttpRequest | Request

_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def check_query_parameters(request: AnyRequest, allowed: Collection[str]) -> None:
    """Refuse with 400 UNKNOWN_PARAMETER each parameter that is not in `allowed`, and any NUL character."""
    unknown = [name for name in request.GET if name not in allowed]
    if unknown:
        names = ", ".join(sorted(allowed)) or "none"
        errors = [_unknown(name, allowed) for name in unknown]
        raise BadRequestError(
            f"Unknown query parameter: {', '.join(name[:100] for name in unknown[:10])}. Known here: {names}.",
            code="UNKNOWN_PARAMETER",
            errors=tuple(errors[:50]),
        )
    for name, values in request.GET.lists():
        if any("\x00" in value for value in values):
            raise wrong_parameter(name, "holds a NUL character", code="INVALID_CHARACTER")


def check_body_fields(data: object, allowed: Collection[str]) -> None:
    """Refuse with 400 a body that is no object (INVALID_BODY) or has fields not in `allowed` (UNKNOWN_FIELD)."""
    if not isinstance(data, dict):
        raise BadRequestError("The body must be a JSON object.", code="INVALID_BODY")
    unknown = [name for name in data if name not in allowed]
    if unknown:
        names = ", ".join(sorted(allowed)) or "none"
        raise BadRequestError(
            f"Unknown field: {', '.join(name[:100] for name in unknown[:10])}. Known here: {names}.",
            code="UNKNOWN_FIELD",
            errors=tuple(
                FieldError("/" + name.replace("~", "~0").replace("/", "~1"), "UNKNOWN_FIELD", _hint(name, allowed))
                for name in unknown[:50]
            ),
        )


def text_from(request: AnyRequest, name: str, *, max_length: int = 512) -> str | None:
    """The one value of the parameter. Given twice, empty or too long is 400."""
    values = request.GET.getlist(name)
    if not values:
        return None
    if len(values) > 1:
        raise wrong_parameter(name, "is given more than once", code="REPEATED_PARAMETER")
    value = str(values[0])
    if not value:
        raise wrong_parameter(name, "is empty; leave it out instead")
    if len(value) > max_length:
        raise wrong_parameter(name, f"is longer than {max_length} characters")
    return value


def integer_from(request: AnyRequest, name: str, *, low: int, high: int) -> int | None:
    """A whole number between `low` and `high`, both included."""
    text = text_from(request, name, max_length=20)
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", text) or not low <= int(text) <= high:
        raise wrong_parameter(name, f"must be a whole number from {low} to {high}")
    return int(text)


def choice_from(request: AnyRequest, name: str, choices: Collection[str]) -> str | None:
    """One of `choices`."""
    text = text_from(request, name)
    if text is not None and text not in choices:
        raise wrong_parameter(name, f"must be one of {', '.join(choices)}")
    return text


def boolean_from(request: AnyRequest, name: str, *, default: bool = False) -> bool:
    """`true` or `false`, nothing else."""
    text = choice_from(request, name, ("true", "false"))
    return default if text is None else text == "true"


def datetime_from(request: AnyRequest, name: str) -> datetime | None:
    """A time by RFC 3339 with its zone, as UTC."""
    text = text_from(request, name)
    if text is None:
        return None
    if not _RFC_3339.fullmatch(text):
        plus = " (write the + of a zone as %2B in a URL)" if re.search(r":[0-9]{2}(\.[0-9]+)? [0-9]{2}:", text) else ""
        raise wrong_parameter(name, f"must be an RFC 3339 time with a zone, such as 2026-03-01T08:00:00Z{plus}")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise wrong_parameter(name, "is no time of the calendar") from error


def date_from(request: AnyRequest, name: str) -> date | None:
    """A day such as 2026-03-01."""
    text = text_from(request, name)
    if text is None:
        return None
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError as error:
        raise wrong_parameter(name, "is no day of the calendar") from error
    raise wrong_parameter(name, "must be a day such as 2026-03-01")


def id_from(request: AnyRequest, name: str, prefix: str) -> UUID | None:
    """The UUID of an id as we show it (`prefix` and 32 hex digits)."""
    text = text_from(request, name)
    if text is None:
        return None
    value = ids.read(prefix, text)
    if value is None:
        raise wrong_parameter(name, f"must be an id that begins with {prefix}_")
    return value


def wrong_parameter(name: str, what: str, *, code: str = "INVALID_PARAMETER") -> BadRequestError:
    """The 400 for a wrong query parameter; `what` completes the sentence "?name ..."."""
    detail = f"?{name} {what}."
    return BadRequestError(detail, code=code, errors=(FieldError(f"?{name}", code, detail),))


def _unknown(name: str, allowed: Collection[str]) -> FieldError:
    return FieldError(f"?{name[:100]}", "UNKNOWN_PARAMETER", _hint(name, allowed))


def _hint(name: str, allowed: Collection[str]) -> str:
    close = get_close_matches(name[:100], allowed, n=1)
    return f"Unknown; did you mean {close[0]}?" if close else "Unknown."
