"""How much of JSON a step may take and give. What does not fit is a clear error, never cut silently."""

from __future__ import annotations

import re
from typing import Any

from core.errors import ValidationFailedError
from core.json import dumps

MAX_VALUE_BYTES = 256 * 1024
MAX_SELECTION_BYTES = 1024 * 1024
# An escaped NUL: a backslash before the `u` counts only where it is not escaped itself.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def fitting(value: Any, what: str, *, code: str, limit: int = MAX_VALUE_BYTES) -> Any:
    """The value, if it can be stored. `what` names it in the message.

    Errors: ValidationFailedError `code` when its JSON is larger than `limit`, VALUE_NOT_STORABLE when it is no JSON that
    PostgreSQL keeps (NUL or half a character in a text).
    """
    try:
        text = dumps(value)
    except (TypeError, UnicodeEncodeError) as error:
        raise ValidationFailedError(f"{what} cannot be stored as JSON: {error}.", code="VALUE_NOT_STORABLE") from error
    size = len(text.encode())
    if size > limit:
        raise ValidationFailedError(
            f"{what} has {size:,} bytes of JSON; at most {limit:,} are kept. Take less: fewer records, or only the"
            " fields that are needed.",
            code=code,
        )
    if "\\u0000" in text and _NUL.search(text):
        raise ValidationFailedError(f"{what} holds a NUL character, which cannot be stored.", code="VALUE_NOT_STORABLE")
    return value
