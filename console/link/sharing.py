"""What a test found, told in words: what the account may do, and what can be shared of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connections.choices import Access
from connections.services.linking import Row

NOTHING = "nothing"
OPERATIONS = ("read", "create", "update", "delete")
COLUMNS = ("Read", "Create", "Change", "Delete")


@dataclass(frozen=True)
class Cell:
    """`state` gives colour and sign, `text` says the same."""

    column: str
    state: str
    text: str


@dataclass(frozen=True)
class Line:
    """One entity of the table of permissions."""

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Share:
    """One entity of the page on which is chosen what to share; `note` says why an option is missing."""

    entity: str
    label: str
    options: tuple[tuple[str, str], ...]
    preset: str
    note: str = ""


_CELLS = {True: ("yes", "Yes"), False: ("no", "No"), None: ("unknown", "Not known")}


def permissions(matrix: Sequence[Row]) -> list[Line]:
    """The account's rights as a table; what nobody asked for is said to be so, whatever the account may do."""
    return [
        Line(
            row.label,
            tuple(_cell(row, operation, column) for operation, column in zip(OPERATIONS, COLUMNS, strict=True)),
        )
        for row in matrix
    ]


def shares(matrix: Sequence[Row], held: Mapping[str, str] | None) -> list[Share]:
    """What can be chosen: never more than asked and than the account may do. `held` is what a renewed one shares."""
    return [_share(row, held) for row in matrix]


def _cell(row: Row, operation: str, column: str) -> Cell:
    if operation != "read" and row.asked != Access.READ_WRITE:
        return Cell(column, "unasked", "Not asked")
    state, text = _CELLS[getattr(row, operation)]
    return Cell(column, state, text)


def _share(row: Row, held: Mapping[str, str] | None) -> Share:
    most, note = _most(row)
    options = [(NOTHING, "Nothing")]
    if most:
        options.append((Access.READ.value, "Read"))
    if most == Access.READ_WRITE:
        options.append((Access.READ_WRITE.value, "Read and write"))
    wanted = most if held is None else held.get(row.entity, NOTHING)
    preset = wanted if wanted in dict(options) else most
    return Share(row.entity, row.label, tuple(options), preset or NOTHING, note)


def _most(row: Row) -> tuple[str, str]:
    """The widest access that makes sense, with the reason why it is not what was asked for."""
    if row.read is False:
        return "", "This account may not read it."
    writes = (row.create, row.update, row.delete)
    if row.asked == Access.READ_WRITE and all(may is False for may in writes):
        return Access.READ.value, "This account may not write it."
    return row.asked, ""
