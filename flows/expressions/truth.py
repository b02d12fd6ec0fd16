"""What counts as true."""

from __future__ import annotations

from typing import Any


def is_true(value: Any) -> bool:
    """As JMESPath has it: all but false, null, and empty text, list and object. 0 is true."""
    return value is True or not (value is None or value is False or value in ("", [], {}))
