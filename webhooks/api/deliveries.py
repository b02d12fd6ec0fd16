"""Deliveries: seen, with their attempts, and sent again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.pagination import cursor_from, encode_cursor, filters_of, limit_from
from core.parameters import choice_from, id_from, text_from
from webhooks.api import examples
from webhooks.api.endpoints import CURSOR, LIMIT, TAGS
from webhooks.api.visible import WebhookView
from webhooks.choices import DeliveryStatus
from webhooks.models import Delivery, WebhookEndpoint
from webhooks.serializers import (
    TYPES,
    DeliveryDetailSerializer,
    DeliveryListSerializer,
    DeliverySerializer,
    attempt_body,
    delivery_body,
)
from webhooks.services import resend
from webhooks.services.messages import TEST_TYPE
from workspaces.choices import Scope
from workspaces.event_catalogue import is_event_type
from workspaces.models import Event

SENT_TYPES = [*TYPES, TEST_TYPE]


class WebhookDeliveries(WebhookView):
    """The log of deliveries."""

    scopes = {"GET": Scope.WEBHOOKS_READ}
    parameters = {"GET": {"limit", "cursor", "endpoint", "status", "type", "event"}}

    @extend_schema(
        operation_id="listWebhookDeliveries",
        tags=TAGS,
        summary="List deliveries",
        description="Newest first, kept 30 days.",
        parameters=[
            OpenApiParameter("endpoint", str, description="Only to this endpoint"),
            OpenApiParameter("status", str, enum=DeliveryStatus.values),
            OpenApiParameter("type", str, description="Only of this type of event"),
            OpenApiParameter("event", str, description="Only of this event (evt_..., the message id)"),
            LIMIT,
            CURSOR,
        ],
        responses=DeliveryListSerializer,
        examples=[OpenApiExample("Page", {"data": [examples.DELIVERY], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        limit, after = limit_from(request), cursor_from(request, (UUID,), purpose="deliveries")
        rows = _filtered(self.deliveries(), request).defer("body").order_by("-pk")
        page = list((rows.filter(pk__lt=after[0]) if after else rows)[: limit + 1])
        shown, cursor = page[:limit], None
        if len(page) > limit:
            cursor = encode_cursor((shown[-1].pk,), purpose="deliveries", filters=filters_of(request))
        return Response({"data": [delivery_body(delivery) for delivery in shown], "next_cursor": cursor})


class OneWebhookDelivery(WebhookView):
    """One delivery with its attempts."""

    scopes = {"GET": Scope.WEBHOOKS_READ}

    @extend_schema(
        operation_id="getWebhookDelivery",
        tags=TAGS,
        summary="See a delivery",
        description="With each attempt, what came back, and the text that was sent.",
        responses=DeliveryDetailSerializer,
        examples=[
            OpenApiExample(
                "Delivery", {**examples.DELIVERY, "body": "{...}", "attempts": [examples.ATTEMPT]}, response_only=True
            )
        ],
    )
    def get(self, request: Request, delivery_id: str) -> Response:
        delivery = self.delivery(delivery_id)
        attempts = [attempt_body(attempt) for attempt in delivery.attempt_rows.order_by("-number", "-id")]
        return Response({**delivery_body(delivery), "body": _sent(delivery), "attempts": attempts})


class ResendDelivery(WebhookView):
    """One delivery once more."""

    scopes = {"POST": Scope.WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="resendWebhookDelivery",
        tags=TAGS,
        summary="Send a delivery again",
        description=(
            "One attempt at once, beside the schedule, under the same message id: a receiver that has the message knows"
            " it. Answers the delivery of this attempt; when it is taken, the one it repeats counts as delivered."
        ),
        request=None,
        responses={201: DeliverySerializer},
        examples=[
            OpenApiExample(
                "Sent again",
                {**examples.DELIVERY, "is_manual": True, "attempt_count": 0},
                response_only=True,
                status_codes=["201"],
            )
        ],
    )
    def post(self, request: Request, delivery_id: str) -> Response:
        body = delivery_body(resend(self.delivery(delivery_id), by=str(request.user)))
        return Response(body, status=201, headers={"Location": f"/api/v1/webhook-deliveries/{body['id']}"})


def _filtered(rows: QuerySet[Delivery], request: Request) -> QuerySet[Delivery]:
    """By what was asked; an id that nobody has finds nothing."""
    asked: dict[str, Any] = {
        "endpoint_id": id_from(request, "endpoint", WebhookEndpoint.PREFIX),
        "event_id": id_from(request, "event", Event.PREFIX),
        "status": choice_from(request, "status", DeliveryStatus.values),
        "event_type": _type_from(request),
    }
    return rows.filter(**{name: value for name, value in asked.items() if value is not None})


def _type_from(request: Request) -> str | None:
    """A type of the catalogue, the test's, or one that a flow emits."""
    asked = text_from(request, "type")
    return asked if asked and is_event_type(asked) else choice_from(request, "type", SENT_TYPES)


def _sent(delivery: Delivery) -> str | None:
    """The text of the message: thin ones are the event's own, which is kept as long as the feed keeps it."""
    if delivery.body:
        return delivery.body
    if not delivery.attempts:
        return None
    text: str | None = Event.objects.filter(pk=delivery.event_id).values_list("body", flat=True).first()
    return text
