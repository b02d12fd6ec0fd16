"""What people ask for by hand: one more attempt, what was missed, a test."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction

from core import ids
from core.api_errors import GoneError
from core.errors import ConflictError, FieldError, ValidationFailedError
from webhooks.choices import DeliveryStatus, EndpointStatus
from webhooks.models import Delivery, WebhookEndpoint
from webhooks.services import clock
from webhooks.services.hinting import deliver_soon
from webhooks.services.matching import MAKE, MATCHES
from webhooks.services.messages import TEST_TYPE
from workspaces import audit
from workspaces.choices import EventType
from workspaces.event_catalogue import CATALOGUE, sample_event
from workspaces.models import Event, Workspace

# What waits or was given up begins its schedule anew. A claim of this moment is left to its holder;
# one that has ended cannot be written into the new schedule.
_RENEW = f"""UPDATE webhooks_delivery d SET status = 'pending', attempts = 0, due_at = %(at)s,
    fence = d.fence + 1
FROM webhooks_webhookendpoint e JOIN workspaces_event ev ON {MATCHES}
WHERE e.id = %(endpoint)s AND d.endpoint_id = e.id AND d.event_id = ev.id AND ev.created_at >= %(since)s
  AND NOT d.is_manual AND (d.status = 'exhausted'
    OR d.status = 'pending' AND (d.lease_until IS NULL OR d.lease_until <= %(at)s))"""  # noqa: S608 (our own text)


@transaction.atomic
def resend(delivery: Delivery, *, by: str) -> Delivery:
    """Make one more attempt now, beside the schedule, under the same message id. Answers the row that shows it.

    Errors: ConflictError ENDPOINT_NOT_ACTIVE, DELIVERY_CANCELLED; GoneError EVENT_EXPIRED.
    """
    endpoint = _lock_active(delivery.endpoint_id)
    if delivery.status == DeliveryStatus.CANCELLED:
        raise ConflictError(
            "The data this delivery told of was purged; nothing is left to send.", code="DELIVERY_CANCELLED"
        )
    if not delivery.body and not Event.objects.filter(pk=delivery.event_id).exists():
        raise GoneError("The event is no longer kept, so it cannot be sent again.", code="EVENT_EXPIRED")
    again = _send_now(
        endpoint,
        event_id=delivery.event_id,
        part=delivery.part,
        event_type=delivery.event_type,
        position=delivery.position,
        body=delivery.body,
        created_at=delivery.created_at,  # it is forgotten with its event
    )
    _tell("webhook_delivery.resent", endpoint, delivery=ids.show(Delivery.PREFIX, delivery.pk), by=by)
    return again


@transaction.atomic
def recover(endpoint: WebhookEndpoint, *, since: datetime, by: str) -> int:
    """Deliver everything the endpoint asks for and was not told of since a time: what was given up, what waits, and what
    was never made. Answers how many deliveries are due now.

    The feed keeps events 30 days. Errors: ConflictError ENDPOINT_NOT_ACTIVE.
    """
    locked = _lock_active(endpoint.pk)
    count = _recover(locked.pk, since=since, upto=locked.position)
    WebhookEndpoint.objects.filter(pk=locked.pk).update(probe_at=None)
    _tell("webhook_endpoint.recovered", locked, since=since.isoformat(), deliveries=count, by=by)
    deliver_soon(locked.pk)
    return count


@transaction.atomic
def send_test(endpoint: WebhookEndpoint, event_type: str, *, by: str) -> Delivery:
    """Send a sample of an event now, whatever the endpoint's state: one attempt, signed like any other.

    `event_type` is one of the feed or `webhook.test`. Errors: ValidationFailedError UNKNOWN_EVENT_TYPE.
    """
    if event_type not in CATALOGUE and event_type != TEST_TYPE:
        detail = f"{event_type[:60]!r} is no type of event; docs/guides/events.md lists them."
        raise ValidationFailedError(detail, errors=(FieldError("/type", "UNKNOWN_EVENT_TYPE", detail),))
    locked, event_id = _lock(endpoint.pk), ids.new_id()
    body = orjson.dumps(_sample(locked, event_id, event_type)).decode()
    test = _send_now(locked, event_id=event_id, part=0, event_type=event_type, position=0, body=body)
    _tell("webhook_endpoint.tested", locked, type=event_type, by=by)
    return test


def _sample(endpoint: WebhookEndpoint, event_id: UUID, event_type: str) -> dict[str, Any]:
    """A body like an event's; `reason` says that it is a test."""
    frame: dict[str, Any] = {
        "id": ids.show(Event.PREFIX, event_id),
        "timestamp": clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "workspace": ids.show(Workspace.PREFIX, endpoint.workspace_id),
        "position": 0,
        "reason": "test",
    }
    if event_type == TEST_TYPE:
        return {"type": TEST_TYPE, **frame, "connection": None, "origin_run": None, "data": {}}
    return sample_event(EventType(event_type), **frame)


def _send_now(endpoint: WebhookEndpoint, **facts: Any) -> Delivery:
    """A row of its own for one attempt; a worker is told of it."""
    made = Delivery(workspace_id=endpoint.workspace_id, endpoint=endpoint, is_manual=True, **facts)
    made.save(force_insert=True)
    made.refresh_from_db()
    deliver_soon(endpoint.pk)
    return made


def _recover(endpoint_id: UUID, *, since: datetime, upto: int) -> int:
    values: dict[str, Any] = {"at": clock.now(), "endpoint": endpoint_id, "since": since, "after": 0, "upto": upto}
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, values)
        renewed = cursor.rowcount
        cursor.execute(MAKE, values)
        return int(renewed + cursor.rowcount)


def _lock(endpoint_id: UUID) -> WebhookEndpoint:
    """Errors: ConflictError when somebody deleted it meanwhile."""
    found: WebhookEndpoint | None = (
        WebhookEndpoint.objects.select_for_update(no_key=True).filter(pk=endpoint_id).first()
    )
    if found is None:
        raise ConflictError("Somebody deleted this endpoint meanwhile.", code="ENDPOINT_DELETED")
    return found


def _lock_active(endpoint_id: UUID) -> WebhookEndpoint:
    found = _lock(endpoint_id)
    if found.status != EndpointStatus.ACTIVE:
        raise ConflictError(
            f"The endpoint is {found.status}, so nothing is sent to it. Resume or enable it first.",
            code="ENDPOINT_NOT_ACTIVE",
        )
    return found


def _tell(action: str, endpoint: WebhookEndpoint, **details: Any) -> None:
    about = ("webhook_endpoint", str(ids.show(WebhookEndpoint.PREFIX, endpoint.pk)))
    audit.record(action, workspace_id=endpoint.workspace_id, about=about, details=details)
