"""How errors of definitions speak of names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

__all__ = ["did_you_mean", "is_close", "shown"]

_MOST_CHARACTERS, _MOST_NAMES = 60, 30


def shown(value: Any) -> str:
    """What somebody wrote, in quotes and not too long."""
    text = repr(value)
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."


def is_close(wrong: Any, known: Iterable[str]) -> bool:
    """Whether somebody may have mistyped one of these."""
    return bool(_close(wrong, known))


def did_you_mean(wrong: Any, known: Iterable[str]) -> str:
    """`Did you mean 'order'?`, else what there is."""
    names = list(known)
    if close := _close(wrong, names):
        return f"Did you mean {close[0]!r}?"
    return f"There is: {', '.join(names[:_MOST_NAMES])}." if names else "There is none."


def _close(wrong: Any, known: Iterable[str]) -> list[str]:
    return get_close_matches(str(wrong)[:_MOST_CHARACTERS], list(known), n=1)
