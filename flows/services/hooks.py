"""Messages that start flows: stored as they came, verified, and turned into a run, all in one transaction.

Whoever knows the address may send; where the trigger declares a signature, the message must be signed as well. What is
refused is kept too, so that people see why nothing happened.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from core import ids
from core.errors import ConflictError, LineshaftError, NotFoundError, RateLimitedError
from core.json import loads_strict, utc_text
from flows.choices import HookMessageStatus, TriggerKind
from flows.definitions.model import Definition, HookSignature, HookTrigger
from flows.models import Flow, FlowHookAddress, FlowHookMessage, FlowRun
from flows.services.addresses import digest_of, signing_secret_of
from flows.services.starting import Started, definition_of, key_of, published, start_run
from integrations.sdk.hooks import HmacSignature
from webhooks.services import clock
from webhooks.services.inbound import kept_headers
from workspaces.rate_limits import take_named

__all__ = ["MAX_BODY_BYTES", "Answer", "admit", "receive"]

MAX_BODY_BYTES = 256 * 1024
MESSAGE_IDS = ("webhook-id", "idempotency-key", "x-message-id")
MOST_SHOWN_HEADERS, MOST_SHOWN_CHARACTERS = 20, 500
_SHOWN = ("content-type", "user-agent", "idempotency-key")
_SHOWN_BEGINNINGS, _HIDDEN_BEGINNINGS = ("x-", "webhook-"), ("x-forwarded", "x-real-ip")
_TOUCHED_EVERY = timedelta(seconds=60)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Answer:
    """What the sender is told: the status of the message, an HTTP status, the run's shown id or why there is none."""

    status: HookMessageStatus
    http_status: int
    run: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class _Wish:
    """A message that may start a run."""

    input: dict[str, Any]
    key: str | None


@dataclass(eq=False)
class _Refused(Exception):
    """Why a message starts nothing."""

    http_status: int
    detail: str
    status: HookMessageStatus = HookMessageStatus.REFUSED


def admit(flow_id: str, secret: str) -> FlowHookAddress:
    """Whether somebody may send here, before the body is read. Answers the address with its flow and version.

    Errors: NotFoundError, RateLimitedError.
    """
    with scopes_disabled():
        # The look-up by digest takes as long whatever the secret is: near misses have digests that are far away.
        rows = FlowHookAddress.objects.select_related("flow__version").filter(digest=digest_of(secret))
        address: FlowHookAddress | None = rows.first()
    if address is None or ids.read(Flow.PREFIX, flow_id) != address.flow_id:
        raise NotFoundError("There is nothing here under this address.")
    quota = take_named("hooks", address.pk.hex, settings.RATE_LIMIT_HOOKS)
    if quota is not None and quota.is_exceeded:
        detail = f"More than {quota.limit} messages a minute at this address. Wait {quota.reset_seconds} s."
        raise RateLimitedError(detail, retry_after=quota.reset_seconds)
    return address


def receive(address: FlowHookAddress, headers: Mapping[str, str], body: bytes) -> Answer:
    """Judge a message, store it with what became of it, and start its run. Header names are in lower case."""
    flow = address.flow
    with scope(workspace=flow.workspace_id):
        trigger = _trigger_of(flow)
        signature = trigger.signature if trigger else None
        kept = kept_headers(headers, without=[signature.header] if signature else ())
        judged = _judge(address, trigger, headers, kept, body)
        with transaction.atomic():
            answer, run = _start(flow, judged)
            FlowHookMessage(
                workspace_id=flow.workspace_id,
                flow=flow,
                headers=kept,
                body=body,
                status=answer.status,
                run=run,
                error=answer.detail[:300],
            ).save(force_insert=True)
            _touch(address)
    return answer


# --- judged -----------------------------------------------------------------------------------------------------------


def _judge(
    address: FlowHookAddress,
    trigger: HookTrigger | None,
    headers: Mapping[str, str],
    kept: Mapping[str, str],
    body: bytes,
) -> _Wish | _Refused:
    try:
        return _wish(address, trigger, headers, kept, body)
    except _Refused as refused:
        return refused
    except LineshaftError as error:
        return _Refused(503, f"{error.code}: {error.detail}", HookMessageStatus.FAILED)
    except Exception as error:  # a message's end: what happened is stored with it
        log.exception("flow_hook_not_judged", flow_id=str(address.flow_id))
        return _Refused(503, f"It could not be judged: {type(error).__name__}.", HookMessageStatus.FAILED)


def _wish(
    address: FlowHookAddress,
    trigger: HookTrigger | None,
    headers: Mapping[str, str],
    kept: Mapping[str, str],
    body: bytes,
) -> _Wish:
    """The run it asks for. Raises _Refused: who cannot sign learns no more than that."""
    if trigger is None:
        raise _Refused(409, "This flow is not published with an inbound hook as its trigger.")
    if trigger.signature is not None:
        _verify(address, trigger.signature, headers, body)
    if address.flow.is_paused:
        raise _Refused(409, "This flow is paused; messages start nothing until it is resumed. Send it again then.")
    try:
        value = loads_strict(body, max_bytes=MAX_BODY_BYTES)
        input = {
            "kind": TriggerKind.HOOK.value,
            "at": utc_text(clock.now()),
            "body": value,
            "headers": _shown(kept),
        }
        key = key_of(_definition(address.flow), input) or _message_id(headers)
    except LineshaftError as error:
        raise _Refused(400, error.detail) from error
    return _Wish(input, key)


def _verify(address: FlowHookAddress, declared: HookSignature, headers: Mapping[str, str], body: bytes) -> None:
    secret = signing_secret_of(address)
    if not secret:
        raise _Refused(401, "No signing secret is stored for this address: store the one the sender signs with.")
    signature = HmacSignature(declared.header, encoding=declared.encoding, prefix=declared.prefix)
    if told := signature.refusal(headers, body, [secret], time.time()):
        raise _Refused(401, told)


def _trigger_of(flow: Flow) -> HookTrigger | None:
    trigger = _definition(flow).trigger if flow.version is not None else None
    return trigger if isinstance(trigger, HookTrigger) else None


def _definition(flow: Flow) -> Definition:
    return definition_of(published(flow))


def _message_id(headers: Mapping[str, str]) -> str | None:
    """The sender's own id of the message: one that comes again starts nothing."""
    found = next((headers[name].strip() for name in MESSAGE_IDS if headers.get(name, "").strip()), None)
    return None if found is None else f"hook:{found}".replace("\x00", "")


def _shown(kept: Mapping[str, str]) -> dict[str, str]:
    """What expressions see of the headers."""
    named = (
        (name, value[:MOST_SHOWN_CHARACTERS])
        for name, value in kept.items()
        if name in _SHOWN or (name.startswith(_SHOWN_BEGINNINGS) and not name.startswith(_HIDDEN_BEGINNINGS))
    )
    return dict(list(named)[:MOST_SHOWN_HEADERS])


# --- started ----------------------------------------------------------------------------------------------------------


def _start(flow: Flow, judged: _Wish | _Refused) -> tuple[Answer, FlowRun | None]:
    """In the caller's transaction; a failure leaves it whole, so that the message is kept."""
    if isinstance(judged, _Refused):
        return Answer(judged.status, judged.http_status, detail=judged.detail), None
    try:
        with transaction.atomic():
            started: Started = start_run(
                flow, trigger=TriggerKind.HOOK, input=judged.input, by="hook", key=judged.key, version=flow.version
            )
    except ConflictError as error:
        return Answer(HookMessageStatus.REFUSED, 409, detail=error.detail), None
    except Exception as error:  # a message's end: what happened is stored with it
        log.exception("flow_hook_not_started", flow_id=str(flow.pk))
        told = f"It could not start a run: {type(error).__name__}."
        return Answer(HookMessageStatus.FAILED, 503, detail=told), None
    status = HookMessageStatus.STARTED if started.is_new else HookMessageStatus.KNOWN
    return Answer(status, 202, run=ids.show(FlowRun.PREFIX, started.run.pk)), started.run


def _touch(address: FlowHookAddress) -> None:
    """Note when something came last, at most once a minute: many come at once, and all would wait for one row."""
    last: datetime | None = address.last_received_at
    if last is None or timezone.now() - last > _TOUCHED_EVERY:
        FlowHookAddress.objects.filter(pk=address.pk).update(last_received_at=Now())
