"""The Markdown pages of the repository, and the code in them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_NOT_OURS = {".venv", ".git", "node_modules", "staticfiles", "test-results"}
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Every page, relative to the repository. Hidden folders are tools' own."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return sorted(path for path in found if not any(part in _NOT_OURS or part[0] == "." for part in path.parts[:-1]))


def text_of(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def code_of(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language, in order."""
    return [body for found, body in _BLOCK.findall(text_of(Path(page))) if found == language]


def prose_of(page: Path) -> str:
    """A page without its code blocks."""
    return _BLOCK.sub("", text_of(page))
