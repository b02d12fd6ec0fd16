"""Render the reference pages of the entities (`docs/entities/`) from their declaration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from integrations.entities import ENTITIES, Entity, FieldSpec, sample
from integrations.entities.base import RecordHead, RecordTail
from integrations.entities.units import TITLES

_HEADER = ["| Field | Type | Unit | Meaning | Filter | Write |", "|---|---|---|---|---|---|"]
_FIELD_UNITS = frozenset({"currency", "unit"})

_CONVENTIONS = """\
# Unified entities

Every system's objects are served in these shapes, at `/api/v1/<path>`.

(entities)

## How values are written

- **Amounts** are decimal strings in major units (`"1904.00"`); `currency` on the record says of what.
- **Quantities** are decimal strings; `unit` beside them is one of the codes below, `unit_raw` what the source writes.
- **References** are `{id, remote_id, name}`: our id, the source's id, and the name shown beside it. `id` is null when
  the source names the other object in words only. A write needs `id` or `remote_id`.
- **Times** are RFC 3339 in UTC (`2026-10-20T06:00:00Z`), **dates** are `YYYY-MM-DD`.
- **Choices** say `unknown` when the source's value has no counterpart; the field with `remote_` before its name holds
  the source's own word.
- A value the source does not have is null; a list is then empty.
- The fields of the record itself are always there. Objects inside it, such as lines and addresses, leave out the fields
  that the connection's mapping does not fill: read those as null.
- `custom` holds what was mapped for one connection beside the unified fields.

*Write* in the tables says what may be written where the system and the connection allow it; ask
`/connections/{id}/capabilities` for one connection. *Required* is needed to create. Lengths bind writes only: what is
read is never cut.

## Units

| Code | Unit |
|---|---|
(units)
"""


def pages() -> dict[str, str]:
    """Return the text of every page by file name."""
    rendered = {f"{entity.describes.slug}.md": render(entity) for entity in ENTITIES.values()}
    return {"README.md": render_overview(), **rendered}


def write_pages(folder: Path) -> None:
    """Write every page into `folder`."""
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


def render_overview() -> str:
    """Render the page that lists the entities, the conventions and the units."""
    rows = ["| Entity | Path | Ids | What |", "|---|---|---|---|"]
    for entity in ENTITIES.values():
        spec = entity.spec()
        link = f"[{spec.title}]({spec.slug}.md)"
        rows.append(f"| {link} | `/{spec.slug}` | `{spec.id_prefix}_...` | {spec.description} |")
    units = "\n".join(f"| `{code}` | {title} |" for code, title in TITLES.items())
    return _CONVENTIONS.replace("(entities)", "\n".join(rows)).replace("(units)", units)


def render(entity: type[Entity]) -> str:
    """Render the page of one entity: field tables, nested objects, and a full record."""
    spec = entity.spec()
    lines = [f"# {spec.title}", "", spec.description, "", _window(entity), "", "## Fields", "", *_table(spec.fields)]
    for path, item in _nested(spec.fields):
        lines += ["", f"### `{path}`", "", *_table(item, top_level=False)]
    lines += ["", "## Around every record", "", *_envelope_table(RecordHead), *_envelope_rows(RecordTail)]
    lines += [
        "",
        "## A full record",
        "",
        "```json",
        json.dumps(sample(entity), indent=2, ensure_ascii=False),
        "```",
        "",
    ]
    return "\n".join(lines)


def _window(entity: type[Entity]) -> str:
    spec = entity.spec()
    where = f"`/api/v1/{spec.slug}`, ids `{spec.id_prefix}_...`."
    if not spec.document:
        return f"{where} Master data: the first sync reads all of it."
    statuses = entity.spec().by_name["status"].values
    still_open = ", ".join(f"`{status}`" for status in statuses if status in spec.open_statuses)
    return f"{where} The first sync reads the last 90 days and everything still open ({still_open})."


def _table(fields: tuple[FieldSpec, ...], *, top_level: bool = True) -> list[str]:
    if top_level:
        return [*_HEADER, *(_row(field, "yes" if field.filterable else "") for field in fields)]
    header = [line.replace(" Filter |", "").replace("---|", "", 1) for line in _HEADER]
    return [*header, *(_row(field, None) for field in fields)]


def _row(field: FieldSpec, filter_cell: str | None) -> str:
    cells = [f"`{field.name}`", _type(field), _unit(field), _meaning(field)]
    if filter_cell is not None:
        cells.append(filter_cell)
    return "| " + " | ".join([*cells, _write(field)]) + " |"


def _type(field: FieldSpec) -> str:
    if field.kind == "reference" and field.target:
        slug = ENTITIES[field.target].describes.slug
        return f"reference to [{field.target}]({slug}.md)"
    if field.kind == "list":
        return "list of objects"
    return field.kind


def _unit(field: FieldSpec) -> str:
    return f"`{field.unit}`" if field.unit in _FIELD_UNITS else field.unit or ""


def _meaning(field: FieldSpec) -> str:
    if field.values and set(field.values) == set(TITLES):
        return f"{field.description} One of the [units](README.md#units)."
    if field.values:
        return f"{field.description} One of {', '.join(f'`{value}`' for value in field.values)}."
    return field.description


def _write(field: FieldSpec) -> str:
    if not field.writable:
        return "no"
    said = "required" if field.required_on_create else "yes"
    return f"{said}, up to {field.max_length}" if field.max_length else said


def _nested(fields: tuple[FieldSpec, ...], before: str = "") -> Iterator[tuple[str, tuple[FieldSpec, ...]]]:
    for field in fields:
        if field.item:
            path = f"{before}{field.name}{'[]' if field.kind == 'list' else ''}"
            yield path, field.item
            yield from _nested(field.item, f"{path}.")


def _envelope_table(model: type[BaseModel]) -> list[str]:
    return ["| Field | Meaning |", "|---|---|", *_envelope_rows(model)]


def _envelope_rows(model: type[BaseModel]) -> list[str]:
    return [f"| `{name}` | {info.description} |" for name, info in model.model_fields.items()]
