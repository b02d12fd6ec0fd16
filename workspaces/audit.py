"""The audit log: who did what, written in the transaction of what was done.

Whoever acts is set once, where a request, a command or a duty begins (`acting`); services only say what happened:

    audit.record("connection.paused", workspace_id=connection.workspace_id, about=("connection", shown_id))

Names of actions are `<object>.<past tense>`. Details hold names and ids, never secrets or values of customers.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.http import HttpRequest

from core import ids
from core.callers import address_of
from core.seldom import Seldom
from workspaces.choices import ActorKind, AuditOutcome
from workspaces.models import AuditEvent

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Actor:
    """Who acts: `name` as people know them, the token they used, the address they came from."""

    kind: ActorKind
    name: str
    token_id: UUID | None = None
    address: str | None = None
    request_id: str = ""


PLATFORM = Actor(ActorKind.PLATFORM, "platform")
_current: ContextVar[Actor] = ContextVar("actor", default=PLATFORM)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """What is recorded inside was done by `actor`."""
    was = _current.set(actor)
    try:
        yield
    finally:
        _current.reset(was)


def current_actor() -> Actor:
    """Who acts now; the platform itself where nobody else was named."""
    return _current.get()


def actor_of(request: Any, kind: ActorKind, name: str, token_id: UUID | None = None) -> Actor:
    """The actor behind a request of Django's or DRF's."""
    plain: HttpRequest = getattr(request, "_request", request)
    return Actor(kind, name, token_id, _sane(address_of(plain)), getattr(plain, "request_id", ""))


def command_actor(command: str) -> Actor:
    """Whoever runs `manage.py <command>` on this machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return Actor(ActorKind.COMMAND, f"{user}: manage.py {command}")


def record(
    action: str,
    *,
    workspace_id: UUID | None,
    about: tuple[str, str] = ("", ""),
    outcome: AuditOutcome = AuditOutcome.DONE,
    details: Mapping[str, Any] | None = None,
    actor: Actor | None = None,
) -> None:
    """Write an event in the caller's transaction. `about` is the type and shown id of the object, e.g. ("token", "tok_...").

    `actor` only where the context cannot know it. Nothing is returned, so that it costs one INSERT.
    """
    who = actor or current_actor()
    AuditEvent.objects.with_scopes_disabled().bulk_create(
        [
            AuditEvent(
                workspace_id=workspace_id,
                actor_kind=who.kind,
                actor=who.name[:200],
                token_id=who.token_id,
                action=action,
                object_type=about[0],
                object_id=about[1][:80],
                address=who.address,
                request_id=who.request_id[:80],
                outcome=outcome,
                details=dict(details or {}),
            )
        ]
    )
    log.info("audit", action=action, actor=who.name, object=about[1], outcome=str(outcome))


def changed_names(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Names of what differs, for details: which fields, never what they hold."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def credential_used(connection_id: UUID, workspace_id: UUID, purpose: str) -> None:
    """The credential of a connection is about to be used, e.g. for `sync`, `operation`, `refresh`, `check`.

    Written about once an hour for each connection and purpose, whichever process it is, but always for a check or a raw
    call that a person or a token asked for. Call it before the credential is opened, outside of any transaction that may
    fail later.
    """
    asked = purpose in _ALWAYS_TOLD and current_actor().kind is not ActorKind.PLATFORM
    key, shown = (connection_id, purpose), ids.show("con", connection_id) or ""
    if not asked and (not _uses.is_due(key) or _is_told(workspace_id, shown, purpose)):
        return
    record("credential.used", workspace_id=workspace_id, about=("connection", shown), details={"purpose": purpose})
    # Only what was really written counts.
    transaction.on_commit(lambda: _uses.told(key))


def _is_told(workspace_id: UUID, shown: str, purpose: str) -> bool:
    """Whether another process did within the hour: workers are many, and begin anew all the time."""
    # Ids begin with their time, so the index leads to the late ones. Two at once may both tell.
    hour_ago = UUID(int=int((time.time() - USES_SECONDS) * 1000) << 80)
    told = AuditEvent.objects.with_scopes_disabled().filter(
        workspace_id=workspace_id, object_id=shown, pk__gte=hour_ago, action="credential.used", details__purpose=purpose
    )
    return bool(told.exists())


USES_SECONDS = 3600
_ALWAYS_TOLD = frozenset({"check", "passthrough"})
_uses = Seldom(seconds=USES_SECONDS)


def _sane(address: str | None) -> str | None:
    try:
        return str(ip_address(address or ""))
    except ValueError:
        return None
