"""Flows that are ready to be set up: definitions in JSON beside this file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["READY", "ReadyFlow"]


@dataclass(frozen=True)
class ReadyFlow:
    """A definition that people may start from. `title` and `summary` are for those who choose."""

    slug: str
    title: str
    summary: str
    text: str

    @property
    def definition(self) -> dict[str, Any]:
        """A new copy each time."""
        found: dict[str, Any] = json.loads(self.text)["definition"]
        return found


def _read(path: Path) -> ReadyFlow:
    text = path.read_text(encoding="utf-8")
    told = json.loads(text)
    return ReadyFlow(path.stem, told["title"], told["summary"], text)


READY = {ready.slug: ready for ready in map(_read, sorted(Path(__file__).parent.glob("*.json")))}
"""By slug."""
