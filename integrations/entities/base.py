"""What all entities share, and the envelope in which their records are served."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, StringConstraints, create_model

from integrations.entities.spec import EntitySpec, field_specs
from integrations.entities.types import COMPLETE, Part, UtcText

ConnectionId = Annotated[str, StringConstraints(pattern=r"^[a-z]+_[0-9a-f]{32}$")]
RemoteId = Annotated[str, StringConstraints(min_length=1)]


class Entity(Part):
    """Base of the unified fields, which a mapping fills.

    `describes` holds what is true of the whole entity (its `fields` come from the declaration); `example` is one full,
    realistic set of unified fields.
    """

    model_config = COMPLETE

    describes: ClassVar[EntitySpec]
    example: ClassVar[dict[str, Any]]

    @classmethod
    def spec(cls) -> EntitySpec:
        """Return the entity with its field table, derived once from the declaration."""
        return _spec(cls)

    @classmethod
    def record_model(cls) -> type[RecordTail]:
        """Return the model of a served record: the unified fields in their envelope."""
        return _record_model(cls)


class RecordHead(Part):
    """How a served record begins."""

    model_config = COMPLETE

    id: str = Field(description="Our id: the entity's prefix and 32 hexadecimal digits. It never changes.")
    connection_id: ConnectionId = Field(description="The connection the record was read from.")
    entity: str = Field(description="Name of the entity.")
    remote_id: RemoteId = Field(description="The source's id of the object.")


class RecordTail(Part):
    """How a served record ends."""

    model_config = COMPLETE

    custom: dict[str, Any] = Field(description="Fields mapped for this connection beside the unified ones.")
    remote_created_at: UtcText | None = Field(description="When it was created, as the source says.")
    remote_updated_at: UtcText | None = Field(description="When it last changed, as the source says.")
    changed_at: UtcText = Field(description="When our copy last changed; `modified_after` compares with it.")
    deleted_at: UtcText | None = Field(description="When it was found deleted at the source; null while it exists.")
    version: Annotated[int, Field(ge=1)] = Field(description="Rises with every change of our copy; it is the ETag.")


@cache
def _spec(entity: type[Entity]) -> EntitySpec:
    return replace(entity.describes, fields=field_specs(entity))


@cache
def _record_model(entity: type[Entity]) -> type[RecordTail]:
    described = entity.describes
    own_id = Annotated[str, StringConstraints(pattern=rf"^{described.id_prefix}_[0-9a-f]{{32}}$")]
    texts = {name: info.description for name, info in RecordHead.model_fields.items()}
    # Pydantic collects fields from the last base to the first: head, unified fields, tail.
    bases: Any = (RecordTail, entity, RecordHead)
    narrowed: dict[str, Any] = {
        "id": (own_id, Field(description=texts["id"])),
        "entity": (Literal[described.name], Field(description=texts["entity"])),
    }
    model: Any = create_model(f"{entity.__name__}Record", __base__=bases, __doc__=described.description, **narrowed)
    return cast("type[RecordTail]", model)
