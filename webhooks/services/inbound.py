"""Messages of systems: stored as they came, verified, and worked off into the names of entities that sync now.

Nothing of a message comes into the copy: it only says where to look.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone
from django_scopes import scope

from connections.choices import ConnectionStatus
from core.errors import LineshaftError, NotFoundError, RateLimitedError
from core.redaction import redact_item
from integrations.registry import get_connector
from integrations.sdk.hooks import Hooks, SharedSecret, Told
from webhooks.choices import HookStatus
from webhooks.models import HookAddress, InboundHook
from webhooks.services.hook_addresses import declared_of, find_address, signing_secrets_of
from workspaces.rate_limits import take_named

MAX_BODY_BYTES = 1024 * 1024
KEPT_FOR = timedelta(days=14)
FORGOTTEN_AT_ONCE = 1000
MOST_HEADERS, MOST_CHARACTERS, MOST_ID_CHARACTERS = 60, 1_000, 200
_NEVER_KEPT = frozenset({"authorization", "proxy-authorization", "cookie"})
_TOUCHED_EVERY = timedelta(seconds=60)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Wish:
    """An entity of a connection of which a system told; `gone` are ids of objects it says were deleted."""

    workspace_id: UUID
    connection_id: UUID
    entity: str
    gone: set[str]


def admit(connection_id: str, secret: str) -> HookAddress:
    """Whether somebody may send here, before the body is read.

    Errors: NotFoundError, GoneError when the connection was ended, RateLimitedError.
    """
    address = find_address(connection_id, secret)
    declared_of(address)
    quota = take_named("hooks", address.pk.hex, settings.RATE_LIMIT_HOOKS)
    if quota is not None and quota.is_exceeded:
        detail = f"More than {quota.limit} messages a minute at this address. Wait {quota.reset_seconds} s."
        raise RateLimitedError(detail, retry_after=quota.reset_seconds)
    return address


def receive(address: HookAddress, headers: Mapping[str, str], body: bytes) -> InboundHook:
    """Store a message as it came, with whether it is believed: `received`, `refused`, or `failed` when we cannot tell.

    Header names are in lower case. Answers only once it is stored.
    """
    hooks = declared_of(address)
    status, error = _judge(address, hooks, headers, body)
    with scope(workspace=address.workspace_id):
        hook = InboundHook(
            workspace_id=address.workspace_id,
            connection_id=address.connection_id,
            headers=_kept(headers, hooks),
            body=body,
            status=status,
            error=error[:300],
        )
        hook.save(force_insert=True)
        _touch(address)
    return hook


def _judge(address: HookAddress, hooks: Hooks, headers: Mapping[str, str], body: bytes) -> tuple[HookStatus, str]:
    """Verify by the connector's declaration. What goes wrong meanwhile is kept on the row: the message is not lost."""
    if hooks.signature is None:
        return HookStatus.RECEIVED, ""
    try:
        with scope(workspace=address.workspace_id):
            secrets = signing_secrets_of(address)
        if not secrets:
            return HookStatus.REFUSED, "No signing secret is stored for this address: store the one of the system."
        refusal = hooks.signature.refusal(headers, body, secrets, time.time())
    except LineshaftError as error:
        return HookStatus.FAILED, f"{error.code}: {error.detail}"
    except Exception as error:  # a message's end: what happened is stored with it
        log.exception("hook_not_verified", connection_id=str(address.connection_id))
        return HookStatus.FAILED, f"It could not be verified: {type(error).__name__}."
    return (HookStatus.REFUSED, refusal) if refusal else (HookStatus.RECEIVED, "")


def _kept(headers: Mapping[str, str], hooks: Hooks) -> dict[str, str]:
    is_secret = isinstance(hooks.signature, SharedSecret)
    return kept_headers(headers, without={hooks.signature.header} if hooks.signature and is_secret else ())


def kept_headers(headers: Mapping[str, str], *, without: Iterable[str] = ()) -> dict[str, str]:
    """The headers that are stored: without credentials, secrets cut. Names are in lower case."""
    never = _NEVER_KEPT | {name.lower() for name in without}
    named = [(name, value) for name, value in headers.items() if name not in never][:MOST_HEADERS]
    return {name[:100]: str(redact_item(name, value[:MOST_CHARACTERS].replace("\x00", ""))) for name, value in named}


def _touch(address: HookAddress) -> None:
    """Note when something came last, at most once a minute: many come at once, and all would wait for one row."""
    last: datetime | None = address.last_received_at
    if last is None or timezone.now() - last > _TOUCHED_EVERY:
        HookAddress.objects.filter(pk=address.pk).update(last_received_at=Now())


# --- worked off -------------------------------------------------------------------------------------------------------


def work_off(limit: int) -> tuple[int, list[Wish]]:
    """Work off the oldest messages, in the caller's transaction and no scope. Answers how many, and what is to sync.

    Others' messages are passed by. Where the transaction is lost, they are still there. One that comes a second time is
    ignored by its message id; two that are worked off at the very same moment both count, which makes no second run.
    """
    rows = InboundHook.objects.filter(status=HookStatus.RECEIVED).select_related("connection")
    hooks = list(rows.select_for_update(skip_locked=True, of=("self",)).order_by("received_at", "pk")[:limit])
    read = [(hook, told) for hook in hooks if (told := _read(hook)) is not None]
    known = _known_messages({(hook.connection_id, told.message_id) for hook, told in read if told.message_id})
    wishes: dict[tuple[UUID, str], Wish] = {}
    for hook, told in read:
        _heed(hook, told, known, wishes)
    InboundHook.objects.bulk_update(hooks, ["status", "entities", "message_id", "error"])
    InboundHook.objects.filter(pk__in=[hook.pk for hook in hooks]).update(done_at=Now())
    return len(hooks), list(wishes.values())


def try_again(hook: InboundHook) -> bool:
    """Let a message that failed while it was worked off be worked off once more; whether it was one."""
    again = InboundHook.objects.filter(pk=hook.pk, status=HookStatus.FAILED, done_at__isnull=False)
    return bool(again.update(status=HookStatus.RECEIVED, error="", done_at=None))


def _read(hook: InboundHook) -> Told | None:
    """What the message says; None when it cannot be read, which is noted."""
    try:
        declared = get_connector(hook.connection.system).hooks
        if declared is None:
            raise NotFoundError("Its connector declares no messages.")
        told = declared.read(bytes(hook.body))
        return replace(told, message_id=told.message_id[:MOST_ID_CHARACTERS])
    except LineshaftError as error:
        hook.status, hook.error = HookStatus.FAILED, error.detail[:300]
    except Exception as error:  # a message's end: one that breaks its connector must not hold up the others
        log.exception("hook_not_read", hook_id=str(hook.pk))
        hook.status, hook.error = HookStatus.FAILED, f"It could not be read: {type(error).__name__}."
    return None


def _known_messages(messages: set[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Those (connection, message id) that were worked off before."""
    rows = InboundHook.objects.filter(
        connection_id__in={connection_id for connection_id, _ in messages},
        message_id__in={message_id for _, message_id in messages},
        status=HookStatus.DONE,
    )
    return messages & set(rows.values_list("connection_id", "message_id"))


def _heed(hook: InboundHook, told: Told, known: set[tuple[UUID, str]], wishes: dict[tuple[UUID, str], Wish]) -> None:
    """Note what the message is about, and wish for it."""
    hook.message_id = told.message_id
    if told.message_id and (hook.connection_id, told.message_id) in known:
        hook.status, hook.error = HookStatus.IGNORED, "It came before, under the same message id."
        return
    known.add((hook.connection_id, told.message_id))
    if not told.entities:
        what = f"Messages of type {told.type[:80]}" if told.type else "Messages without a type"
        hook.status, hook.error = HookStatus.IGNORED, f"{what} name nothing that is synced."
        return
    hook.status, hook.entities = HookStatus.DONE, list(told.entities)
    gone = {told.remote_id} if told.is_gone and told.remote_id else set[str]()
    for entity in told.entities:
        wish = wishes.setdefault(
            (hook.connection_id, entity), Wish(hook.workspace_id, hook.connection_id, entity, set())
        )
        wish.gone.update(gone)


# --- forgotten --------------------------------------------------------------------------------------------------------


def forget_old_hooks(*, limit: int = FORGOTTEN_AT_ONCE) -> int:
    """Delete at most `limit` messages older than 14 days. In no scope; answers how many."""
    old = InboundHook.objects.filter(received_at__lt=Now() - KEPT_FOR).order_by("received_at")
    found = list(old.values_list("pk", flat=True)[:limit])
    return int(InboundHook.objects.filter(pk__in=found).delete()[0]) if found else 0


def forget_ended_addresses(*, limit: int = FORGOTTEN_AT_ONCE) -> int:
    """Delete addresses of connections that were ended, with their signing secrets. In no scope; answers how many."""
    ended = HookAddress.objects.filter(connection__health=ConnectionStatus.DISCONNECTED)
    found = list(ended.values_list("pk", flat=True)[:limit])
    return int(HookAddress.objects.filter(pk__in=found).delete()[0]) if found else 0
