"""Tables on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH_OF_FILES = 220  # where nobody tells a width, lines are long rather than ids cut in two


def print_table(table: Table, stream: Any) -> None:
    """Print to a command's output."""
    Console(file=stream, width=None if stream.isatty() else WIDTH_OF_FILES).print(table)
