"""Full payloads: rendered once, at the first attempt, and frozen, so that each attempt sends the same bytes.

Records live in a room above. It registers its renderer by name: `settings.WEBHOOK_RENDERER` is the dotted path of a
function that makes an event into one or more JSON texts.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string
from django_scopes import scope

from webhooks.choices import DeliveryStatus
from webhooks.models import Delivery, WebhookEndpoint
from webhooks.services.claiming import Claimed
from workspaces.models import Event


def freeze(claimed: Claimed) -> str:
    """The body of a claimed delivery whose endpoint wants full payloads. Further parts become deliveries of their own.

    Answers an empty text when the event is gone, or when the delivery was ended while it was rendered.
    """
    render: Callable[[Event], list[str]] = import_string(settings.WEBHOOK_RENDERER)
    with scope(workspace=claimed.workspace_id):
        event = Event.objects.filter(pk=claimed.event_id).first()
        parts = render(event) if event is not None else []
        if not parts:
            return ""
        with transaction.atomic():
            WebhookEndpoint.objects.select_for_update(no_key=True).filter(pk=claimed.endpoint_id).first()
            held = Delivery.objects.filter(pk=claimed.id, fence=claimed.fence, status=DeliveryStatus.PENDING)
            if not held.update(body=parts[0]):
                return ""
            Delivery.objects.bulk_create(
                [_part(claimed, number, body) for number, body in enumerate(parts[1:], 1)], ignore_conflicts=True
            )
    return parts[0]


def _part(claimed: Claimed, number: int, body: str) -> Delivery:
    return Delivery(
        workspace_id=claimed.workspace_id,
        endpoint_id=claimed.endpoint_id,
        event_id=claimed.event_id,
        part=number,
        event_type=claimed.event_type,
        position=claimed.position,
        body=body,
    )
