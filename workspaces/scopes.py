"""What tokens may do: scopes of areas, and of single entities within `records`.

Areas are the words of `Scope`. `records.<entity>:read|write` opens one entity alone. This room does not know the
entities: the one above registers them when the platform starts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache

from workspaces.choices import Scope

ENTITY_SCOPE = re.compile(r"records\.([a-z]+(?:_[a-z]+)*):(read|write)")
_RECORDS = {Scope.RECORDS_READ: "read", Scope.RECORDS_WRITE: "write"}
_entities: dict[str, str] = {}


def register_entities(plurals: Mapping[str, str]) -> None:
    """Open `records.<entity>:...` for these: name (`purchase_order`) -> what people call many (`purchase orders`)."""
    _entities.update(plurals)


def entity_scopes() -> dict[str, str]:
    """Every scope of a single entity, with what it means."""
    words = {"read": "Read {}", "write": "Create, change and delete {} in the systems"}
    return {
        f"records.{name}:{action}": words[action].format(plural)
        for name, plural in _entities.items()
        for action in words
    }


def known_scopes() -> list[str]:
    """All that a token can hold."""
    return [*Scope.values, *entity_scopes()]


def scope_choices() -> list[tuple[str, str]]:
    """All that a token can hold, with what it means: areas first."""
    return [*Scope.choices, *entity_scopes().items()]


def is_scope(text: str) -> bool:
    """Whether a token can hold it."""
    found = ENTITY_SCOPE.fullmatch(text)
    return found[1] in _entities if found else text in Scope.values


@cache
def scope_of_entity(area: str, entity: str) -> str:
    """What `records:read` or `records:write` is for one entity; every other scope is the same for all."""
    action = _RECORDS.get(Scope(area))
    return f"records.{entity}:{action}" if action else area


def grants(held: Collection[str], needed: str) -> bool:
    """Whether scopes cover `needed`: `write` includes `read`, and an area includes its entities."""
    if needed in held:
        return True
    where, _, action = needed.partition(":")
    area = where.partition(".")[0]
    enough = ("read", "write") if action == "read" else (action,)
    return any(f"{one}:{what}" in held for one in {where, area} for what in enough)


def entities_of(held: Iterable[str], action: str) -> list[str]:
    """The entities that single scopes open for `read` or `write`."""
    found = [match for scope in held if (match := ENTITY_SCOPE.fullmatch(scope))]
    return sorted({match[1] for match in found if match[2] == action or action == "read"})
