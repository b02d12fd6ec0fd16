"""The types entity fields are declared with. Everything may be null (the source has no such value), except lists."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, TypedDict, Unpack

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from integrations.entities.spec import KindMark

ID_PATTERN = r"^(po|wo|itm|ast|loc|ven)_[0-9a-f]{32}$"


def _real_date(value: str) -> str:
    date.fromisoformat(value)
    return value


def _real_time(value: str) -> str:
    datetime.fromisoformat(value)
    return value


DecimalText = Annotated[str, StringConstraints(pattern=r"^-?[0-9]+(\.[0-9]+)?$", max_length=64)]
DateText = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    AfterValidator(_real_date),
    Field(json_schema_extra={"format": "date"}),
]
UtcText = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$"),
    AfterValidator(_real_time),
    Field(json_schema_extra={"format": "date-time"}),
]

String = Annotated[str | None, KindMark("string")]
Text = Annotated[str | None, KindMark("text")]
Decimal = Annotated[DecimalText | None, KindMark("decimal")]
Amount = Annotated[DecimalText | None, KindMark("amount"), Field(json_schema_extra={"x-unit": "currency"})]
Quantity = Annotated[DecimalText | None, KindMark("quantity"), Field(json_schema_extra={"x-unit": "unit"})]
Date = Annotated[DateText | None, KindMark("date")]
UtcTime = Annotated[UtcText | None, KindMark("datetime")]
Currency = Annotated[Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None, KindMark("string")]
CountryCode = Annotated[Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None, KindMark("string")]


class Traits(TypedDict, total=False):
    """What a declaration may say of a field; the meanings are those of `FieldSpec`."""

    unit: str
    target: str
    filterable: bool
    writable: bool
    required_on_create: bool
    max_length: int


def about(description: str, **traits: Unpack[Traits]) -> Any:
    """Declare a field that may be null."""
    return Field(default=None, description=description, json_schema_extra=_extra(traits))


def list_of(description: str, **traits: Unpack[Traits]) -> Any:
    """Declare a list of objects; empty when the source has none."""
    return Field(default_factory=list, description=description, json_schema_extra=_extra(traits))


def _extra(traits: Traits) -> dict[str, Any]:
    return {f"x-{name.replace('_', '-')}": value for name, value in traits.items()}


def _tidy_schema(schema: dict[str, Any]) -> None:
    """Leave out what says nothing, and let fields be added without breaking a client that validates."""
    schema.pop("additionalProperties", None)
    for field in schema.get("properties", {}).values():
        field.pop("default", None)
        field.pop("title", None)


class Part(BaseModel):
    """Base of everything inside a record. Unknown keys are refused here, but not by the published schema.

    An object inside of a list leaves out what the connection's mapping does not fill; entities themselves have all.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra=_tidy_schema,
    )


COMPLETE = ConfigDict(json_schema_serialization_defaults_required=True)
"""Of what always has all of its fields."""


class Reference(Part):
    """Another record. In a write, `id` or `remote_id` is enough."""

    model_config = COMPLETE

    id: Annotated[str, StringConstraints(pattern=ID_PATTERN)] | None = Field(
        default=None, description="Our id of that record; null when the source names it in words only."
    )
    remote_id: str | None = Field(default=None, description="The source's id of it.")
    name: str | None = Field(default=None, description="How people call it, as the source says beside the reference.")


Ref = Annotated[Reference | None, KindMark("reference")]


class Person(Part):
    """Somebody who works with the record. People are not synchronised as records of their own."""

    remote_id: String = about("The source's id or login of the person.")
    name: String = about("Name as the source shows it.")
    email: String = about("E-mail address.", max_length=320)


class Address(Part):
    """A postal address."""

    name: String = about("Addressee or label of the address.")
    street: String = about("Street and number.")
    street2: String = about("Second address line.")
    city: String = about("City or town.")
    region: String = about("State, province or county.")
    postal_code: String = about("Postal code.", max_length=32)
    country_code: CountryCode = about("Country, ISO 3166-1 alpha-2, such as `DE`.", max_length=2)
    country: String = about("Country as the source writes it.")
