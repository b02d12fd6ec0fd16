"""The published JSON Schema of a definition, for editors and generators; docs/flow.schema.json holds a copy
(`python -m flows.definitions.schema`).

What it cannot say (names that lead somewhere, expressions, schedules) `flows.definitions.checking` checks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from flows.definitions.model import Definition
from integrations.entities import ENTITIES

__all__ = ["PAGE", "json_schema", "render"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "flow.schema.json"


class _Plain(GenerateJsonSchema):
    """Without the titles that pydantic makes of names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12, complete in itself by `$defs`; a new copy each time."""
    found: dict[str, Any] = Definition.model_json_schema(by_alias=True, schema_generator=_Plain)
    for part in found["$defs"].values():
        _name_entities(part.get("properties", {}))
    # A name of a connection is checked as a pattern of keys; other keys are refused.
    found["properties"]["connections"]["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": "Lineshaft flow definition",
    }


def _name_entities(properties: dict[str, Any]) -> None:
    """So that editors offer them."""
    if "entity" in properties:
        properties["entity"]["enum"] = list(ENTITIES)
    if "entities" in properties:
        properties["entities"]["items"]["enum"] = list(ENTITIES)


def render() -> str:
    """The schema as the file in docs has it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
