"""The list of systems to choose from: searched, and coloured where there is no logo."""

from __future__ import annotations

from collections.abc import Sequence

from connections.services.linking import SystemChoice

TINTS = "abcdef"


def found(systems: Sequence[SystemChoice], query: str, category: str) -> list[SystemChoice]:
    """Those of the category in whose name, description or categories every word stands."""
    words = query.lower().split()
    return [
        choice
        for choice in systems
        if (not category or category in choice.categories)
        and all(word in " ".join((choice.title, choice.summary, *choice.categories)).lower() for word in words)
    ]


def tint_of(slug: str) -> str:
    """Which of the stylesheet's colours stands behind a system's initials: always the same one."""
    return TINTS[sum(slug.encode()) % len(TINTS)]
