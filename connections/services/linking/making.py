"""Making link sessions, for a product's backend and the admin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django_scopes import scope

from connections.choices import Access
from connections.models import Connection, LinkSession
from connections.services.linking.digests import digest, new_value
from connections.services.linking.outcomes import lost_its_key
from connections.services.linking.sessions import tell
from connections.services.setting_values import check_values, faults_of_columns
from connections.services.systems import disabled_systems
from core.errors import ConflictError, FieldError
from core.json import pointer
from integrations.entities import ENTITIES
from integrations.registry import catalogue
from workspaces.choices import Environment
from workspaces.models import Workspace

MINUTES, DAYS = range(5, 1441), range(1, 8)
MAX_STATE = 500
_WHERE = "An owner registers it in the admin: Workspaces, this workspace, “{field}”."


def create_link_session(
    *,
    workspace: Workspace,
    environment: str,
    system: str = "",
    name: str = "",
    customer_reference: str = "",
    metadata: Mapping[str, Any] | None = None,
    entities: Mapping[str, str] | None = None,
    passthrough: bool = False,
    redirect_uri: str = "",
    origin: str = "",
    state: str = "",
    valid_minutes: int = 30,
    is_magic: bool = False,
    valid_days: int | None = None,
    connection: Connection | None = None,
    created_by: str,
) -> tuple[LinkSession, str]:
    """Make a session and answer it with its token, which nobody can show again; `link_address(token)` is its page.

    `entities`: {entity: "read" | "read_write"} of what is asked for; None asks for all, in a renewal for what is shared
    now. Valid for `valid_minutes` (5 to 1440), a magic link for `valid_days` (1 to 7). `connection` makes it a renewal,
    which keeps that one's system, environment, name and customer reference, and asks for raw calls again where that one
    lets them through.
    Errors: ValidationFailedError with a pointer per value, ConflictError CONNECTION_GONE or RECONNECT_NEEDED.
    """
    asked = {
        "system": system,
        "name": name,
        "customer_reference": customer_reference,
        "metadata": {} if metadata is None else metadata,
        "entities": None if entities is None else dict(entities),
        "redirect_uri": redirect_uri,
        "origin": origin,
        "state": state,
    }
    with scope(workspace=workspace.pk), transaction.atomic():
        life, faults = _life(valid_minutes, is_magic, valid_days)
        faults += _faults(workspace, environment, asked)
        if connection is not None:
            asked |= _renewed(connection, environment, asked, faults)
        check_values(faults)
        token = new_value()
        session = LinkSession.objects.create(
            workspace=workspace,
            environment=environment,
            digest=digest("token", token),
            passthrough=passthrough or (connection is not None and connection.passthrough_shared),
            is_magic=is_magic,
            connection=connection,
            is_renewal=connection is not None,
            expires_at=Now() + life,
            created_by=created_by[:160],
            **{**asked, "name": str(asked["name"]).strip()},
        )
        session.refresh_from_db()
        tell(
            session, "link.created", system=session.system, environment=environment, renewal=session.is_renewal,
            magic=is_magic,
        )  # fmt: skip
    return session, token


def _life(minutes: Any, is_magic: bool, days: Any) -> tuple[timedelta, list[FieldError]]:
    if is_magic or days is not None:
        days = 7 if days is None else days
        if not is_magic:
            return timedelta(), [FieldError("/valid_days", "INVALID", "Days are for magic links: set is_magic too.")]
        if _is_one_of(days, DAYS):
            return timedelta(days=days), []
        return timedelta(), [FieldError("/valid_days", "INVALID", "It must be a whole number from 1 to 7.")]
    if _is_one_of(minutes, MINUTES):
        return timedelta(minutes=minutes), []
    return timedelta(), [FieldError("/valid_minutes", "INVALID", "It must be a whole number from 5 to 1440.")]


def _is_one_of(value: Any, allowed: range) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in allowed


def _faults(workspace: Workspace, environment: str, asked: Mapping[str, Any]) -> Iterator[FieldError]:
    """What of the wishes cannot be."""
    columns = {name: asked[name] for name in ("customer_reference", "metadata")}
    yield from faults_of_columns({**columns, **({"name": asked["name"]} if asked["name"] else {})})
    if environment not in Environment.values:
        yield FieldError("/environment", "INVALID", f"Must be one of {', '.join(Environment.values)}.")
    elif asked["system"]:
        yield from _faults_of_system(workspace, environment, asked["system"])
    yield from _faults_of_entities(asked["system"], asked["entities"])
    if asked["redirect_uri"] and asked["redirect_uri"] not in workspace.link_redirect_uris:
        detail = "It is not exactly one of the workspace's redirect addresses. " + _WHERE
        yield FieldError("/redirect_uri", "NOT_REGISTERED", detail.format(field="Link redirect uris"))
    if asked["origin"] and asked["origin"] not in workspace.link_origins:
        detail = "It is not exactly one of the workspace's origins. " + _WHERE
        yield FieldError("/origin", "NOT_REGISTERED", detail.format(field="Link origins"))
    if not isinstance(asked["state"], str) or len(asked["state"]) > MAX_STATE or not asked["state"].isprintable():
        yield FieldError("/state", "INVALID", f"It must be one line of at most {MAX_STATE} characters.")


def _faults_of_system(workspace: Workspace, environment: str, system: str) -> Iterator[FieldError]:
    if system not in catalogue():
        detail = f"There is no system {system[:60]!r}. See /api/v1/systems for those there are."
        yield FieldError("/system", "UNKNOWN_SYSTEM", detail)
    elif system in disabled_systems(workspace.pk, environment):
        detail = (
            f"{catalogue()[system].title} is switched off for this workspace. Switch it on in the system's settings."
        )
        yield FieldError("/system", "SYSTEM_DISABLED", detail)


def _faults_of_entities(system: str, entities: Mapping[str, Any] | None) -> Iterator[FieldError]:
    if entities is None:
        return
    kind = catalogue().get(system)
    known = set(kind.resources()) if kind else set(ENTITIES)
    if not entities:
        yield FieldError("/entities", "REQUIRED", "Name one entity at least, or leave entities out to ask for all.")
    for entity, access in entities.items():
        if entity not in ENTITIES:
            detail = f"There is no such entity. Known: {', '.join(ENTITIES)}."
            yield FieldError(pointer("entities", str(entity)[:60]), "UNKNOWN_ENTITY", detail)
        elif access not in Access.values:
            yield FieldError(pointer("entities", entity), "INVALID", f"Must be {' or '.join(Access.values)}.")
    if kind and entities and not known & set(entities):
        detail = f"{kind.title} has none of these. It has {', '.join(kind.resources())}."
        yield FieldError("/entities", "UNKNOWN_ENTITY", detail)


def _renewed(
    connection: Connection, environment: str, asked: Mapping[str, Any], faults: list[FieldError]
) -> dict[str, Any]:
    """What a renewal takes from its connection."""
    if connection.purge_requested_at is not None:
        raise ConflictError("The connection is deleted; make a new one.", code="CONNECTION_GONE")
    if lost_its_key(connection):
        detail = (
            "The key of the connection's client certificate went when it was disconnected, and no customer can enter it"
            " by a link: reconnect the connection with client_key."
        )
        raise ConflictError(detail, code="RECONNECT_NEEDED")
    if connection.environment != environment:
        faults.append(FieldError("/connection", "INVALID", f"It is a {connection.environment} connection."))
    if asked["system"] not in ("", connection.system):
        faults.append(FieldError("/system", "INVALID", f"The connection's system is {connection.system}."))
    if connection.system not in catalogue():
        faults.append(FieldError("/connection", "UNKNOWN_SYSTEM", "The connector of this connection is not installed."))
    kept = {"system": connection.system, "name": connection.name, "customer_reference": connection.customer_reference}
    entities = asked["entities"] if asked["entities"] is not None else connection.shared
    return {**kept, "metadata": connection.metadata, "entities": entities}
