"""The unified entities: one declaration gives the field table, the schemas, the samples and the pages."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from core.errors import NotFoundError
from integrations import entities
from integrations.entities import ENTITIES, Entity, FieldSpec, documentation
from integrations.entities.units import TITLES, unified_unit

DOCS = Path(__file__).parents[2] / "docs" / "entities"
each_entity = pytest.mark.parametrize("entity", ENTITIES.values(), ids=ENTITIES.keys())


def walk(fields: tuple[FieldSpec, ...]) -> Iterator[FieldSpec]:
    for field in fields:
        yield field
        yield from walk(field.item)


def test_registry_when_read_then_names_slugs_and_prefixes_are_those_of_the_api() -> None:
    found = {name: (entity.spec().slug, entity.spec().id_prefix) for name, entity in ENTITIES.items()}
    assert found == {
        "purchase_order": ("purchase-orders", "po"),
        "work_order": ("work-orders", "wo"),
        "inventory_item": ("inventory-items", "itm"),
        "asset": ("assets", "ast"),
        "location": ("locations", "loc"),
        "vendor": ("vendors", "ven"),
    }


def test_by_slug_when_known_then_the_entity_is_found() -> None:
    assert entities.by_slug("work-orders") is entities.WorkOrder


def test_by_slug_when_unknown_then_the_error_names_those_there_are() -> None:
    with pytest.raises(NotFoundError, match="purchase-orders"):
        entities.by_slug("invoices")


def test_statuses_when_read_then_they_are_the_published_words() -> None:
    purchase_order = entities.PurchaseOrder.spec().by_name["status"].values
    work_order = entities.WorkOrder.spec().by_name["status"].values
    assert purchase_order == (
        "draft", "pending_approval", "approved", "ordered", "partially_received", "received", "closed", "cancelled",
        "rejected", "unknown",
    )  # fmt: skip
    assert work_order == (
        "requested", "planned", "approved", "in_progress", "on_hold", "completed", "closed", "cancelled", "unknown",
    )  # fmt: skip


@each_entity
def test_spec_when_read_then_every_field_says_what_it_is(entity: type[Entity]) -> None:
    for field in walk(entity.spec().fields):
        assert field.description.endswith("."), field.name
        assert field.kind != "enum" or "unknown" in field.values, field.name
        assert (field.kind in {"list", "object"}) == bool(field.item), field.name
        assert field.kind != "reference" or field.target in ENTITIES, field.name
        assert field.unit or field.kind not in {"amount", "quantity", "decimal", "integer"}, field.name
        assert field.max_length or field.kind not in {"string", "text"}, field.name


@each_entity
def test_spec_when_units_name_a_field_then_that_field_exists(entity: type[Entity]) -> None:
    spec = entity.spec()
    for fields in (spec.fields, *(field.item for field in spec.fields if field.item)):
        names = {field.name for field in fields}
        quantities = [field for field in fields if field.kind == "quantity"]
        assert not quantities or {"unit", "unit_raw"} <= names
    amounts = [field for field in walk(spec.fields) if field.kind == "amount"]
    assert not amounts or "currency" in spec.by_name


@each_entity
def test_spec_when_a_choice_is_unified_then_the_raw_value_stands_beside_it(entity: type[Entity]) -> None:
    # `kind` of a work order follows from the resource it is read from: the source has no word for it.
    decided_by_us = {"kind"} if entity is entities.WorkOrder else set()
    names = entity.spec().by_name
    choices = {field.name for field in names.values() if field.kind == "enum"} - decided_by_us
    for name in choices:
        assert "unit_raw" in names if name == "unit" else not names[f"remote_{name}"].writable


@each_entity
def test_spec_when_documents_have_open_statuses_then_these_are_statuses(entity: type[Entity]) -> None:
    spec = entity.spec()
    assert spec.document == bool(spec.open_statuses)
    assert spec.open_statuses < set(spec.by_name["status"].values)
    assert entity.spec() is spec


@each_entity
def test_spec_when_filterable_then_few_and_scalar(entity: type[Entity]) -> None:
    filterable = entity.spec().filterable
    assert 0 < len(filterable) <= 10
    assert {field.kind for field in filterable} <= {"string", "enum", "reference", "date", "datetime"}


def test_field_empty_when_a_list_then_a_new_list_each_time() -> None:
    lines = entities.PurchaseOrder.spec().by_name["lines"]
    assert lines.empty == [] and lines.empty is not lines.empty
    assert entities.PurchaseOrder.spec().by_name["vendor"].empty is None


@each_entity
def test_sample_when_served_then_model_and_schema_accept_it(entity: type[Entity]) -> None:
    served = entities.sample(entity)
    schema = entities.json_schema(entity)
    model = entity.record_model().model_validate(served)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(served)
    assert model.model_dump() == served
    assert list(served) == list(schema["properties"]) == schema["required"]


@each_entity
def test_sample_when_read_then_envelope_and_unified_fields_stand_in_the_published_order(entity: type[Entity]) -> None:
    unified = [field.name for field in entity.spec().fields]
    head = ["id", "connection_id", "entity", "remote_id"]
    tail = ["custom", "remote_created_at", "remote_updated_at", "changed_at", "deleted_at", "version"]
    assert list(entities.sample(entity)) == [*head, *unified, *tail]


def test_sample_when_changed_by_a_caller_then_the_next_is_whole() -> None:
    entities.sample(entities.PurchaseOrder)["lines"].clear()
    assert entities.sample(entities.PurchaseOrder)["lines"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "wo_" + "0" * 32),
        ("id", "po_123"),
        ("entity", "work_order"),
        ("remote_id", ""),
        ("status", "open"),
        ("total_amount", 1904.0),
        ("total_amount", "1.904,00"),
        ("total_amount", "1e3"),
        ("order_date", "2026-02-30"),
        ("order_date", "05.10.2026"),
        ("changed_at", "2026-10-20T06:25:04+02:00"),
        ("changed_at", "2026-10-20 06:25:04Z"),
        ("currency", "eur"),
        ("vendor", "ven_1"),
        ("lines", None),
        ("version", 0),
        ("surprise", "x"),
    ],
)
def test_record_when_a_value_breaks_the_contract_then_it_is_refused(field: str, value: object) -> None:
    served = {**entities.sample(entities.PurchaseOrder), field: value}
    with pytest.raises(ValidationError) as caught:
        entities.PurchaseOrder.record_model().model_validate(served)
    assert caught.value.errors()[0]["loc"][0] == field


def test_unified_fields_when_all_are_missing_then_nulls_and_empty_lists() -> None:
    empty = entities.WorkOrder().model_dump()
    assert empty == {field.name: field.empty for field in entities.WorkOrder.spec().fields}


@each_entity
def test_json_schema_when_used_alone_then_every_reference_is_inside(entity: type[Entity]) -> None:
    schema = entities.json_schema(entity)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for reference in references(schema):
        assert reference.removeprefix("#/$defs/") in schema["$defs"]


def test_json_schema_when_a_field_has_a_unit_then_it_says_so() -> None:
    schema = entities.json_schema(entities.PurchaseOrder)
    line = schema["$defs"]["PurchaseOrderLine"]["properties"]
    assert schema["properties"]["total_amount"]["x-unit"] == "currency"
    assert (line["quantity"]["x-unit"], line["unit_price"]["x-unit"]) == ("unit", "currency per unit")


def test_openapi_schemas_when_placed_in_a_document_then_every_reference_is_a_component() -> None:
    schemas = entities.openapi_schemas()
    assert {f"{entity.__name__}Record" for entity in ENTITIES.values()} < schemas.keys()
    for reference in references(schemas):
        assert reference.removeprefix("#/components/schemas/") in schemas


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("C62", "EA"),
        ("Each", "EA"),
        ("kgm", "KG"),
        ("Litre", "L"),
        (" square  metre ", "M2"),
        ("HUR", "H"),
        ("furlong", "unknown"),
        ("", None),
        ("  ", None),
        (None, None),
    ],
)
def test_unified_unit_when_a_source_names_a_unit_then_its_code(raw: str | None, code: str | None) -> None:
    assert unified_unit(raw) == code


def test_units_when_read_then_every_code_has_a_title_and_means_itself() -> None:
    unit = entities.InventoryItem.spec().by_name["unit"]
    assert set(unit.values) == set(TITLES)
    assert [unified_unit(code) for code in TITLES] == list(TITLES)


@pytest.mark.parametrize("name", documentation.pages().keys())
def test_docs_when_rendered_then_equal_to_the_committed_page(name: str) -> None:
    committed = (DOCS / name).read_text(encoding="utf-8")
    assert committed == documentation.pages()[name], "Render again: documentation.write_pages(Path('docs/entities'))"


def test_docs_when_listed_then_no_page_is_left_over() -> None:
    assert {path.name for path in DOCS.glob("*.md")} == documentation.pages().keys()


@each_entity
def test_docs_when_a_sample_is_shown_then_it_is_the_sample(entity: type[Entity]) -> None:
    shown = documentation.render(entity).split("```json\n")[1].split("```")[0]
    assert json.loads(shown) == entities.sample(entity)


def test_entities_when_imported_then_django_is_not() -> None:
    program = "import sys, integrations.entities.documentation; print('django' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=DOCS.parents[1], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.strip() == "False"
