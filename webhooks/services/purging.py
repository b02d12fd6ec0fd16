"""Taking out of deliveries what they hold of a customer whose connection is purged. The rows stay, and say when and where."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import Q

from webhooks.choices import DeliveryStatus
from webhooks.models import Delivery, DeliveryAttempt, WebhookEndpoint


def blank_deliveries(event_ids: Collection[UUID], *, workspace_id: UUID, environment: str) -> int:
    """Empty the bodies of these events' deliveries and the answers to them, in the caller's transaction and scope.

    What still waits is cancelled, as nothing is left to tell, but for what tells of the connection itself. Answers how
    many deliveries were touched.
    """
    if not event_ids:
        return 0
    endpoints = WebhookEndpoint.objects.filter(workspace_id=workspace_id, environment=environment)
    locked = endpoints.select_for_update(no_key=True).order_by("pk")
    about = Q(endpoint_id__in=list(locked.values_list("pk", flat=True)), event_id__in=event_ids)
    # Each half has an index of its own.
    found = list(Delivery.objects.filter(about, is_manual=False).values_list("pk", flat=True))
    found += Delivery.objects.filter(about, is_manual=True).values_list("pk", flat=True)
    rows = Delivery.objects.filter(pk__in=found)
    waiting = rows.filter(status=DeliveryStatus.PENDING).exclude(event_type__startswith="connection.")
    waiting.update(status=DeliveryStatus.CANCELLED, due_at=None, lease_until=None)
    rows.exclude(body="").update(body="")
    DeliveryAttempt.objects.filter(delivery_id__in=found).exclude(answer="").update(answer="")
    return len(found)
