"""Endpoints paused, resumed and enabled; their secret rotated; tests sent; what was missed delivered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from webhooks.api import examples
from webhooks.api.endpoints import TAGS
from webhooks.api.visible import WebhookView, body_of
from webhooks.models import WebhookEndpoint
from webhooks.serializers import (
    DeliverySerializer,
    EndpointSerializer,
    NewSecretSerializer,
    RecoveredSerializer,
    RecoverSerializer,
    RotateSecretSerializer,
    TestSendSerializer,
    delivery_body,
)
from webhooks.services import recover, send_test
from webhooks.services.endpoints import enable_endpoint, pause_endpoint, resume_endpoint, rotate_secret
from workspaces.choices import Scope


class _ChangeState(WebhookView):
    """A change that needs no body."""

    scopes = {"POST": Scope.WEBHOOKS_WRITE}
    change: ClassVar[Callable[..., WebhookEndpoint]]

    def post(self, request: Request, endpoint_id: str) -> Response:
        return Response(body_of(type(self).change(self.endpoint(endpoint_id))))


_ANSWER: dict[str, Any] = {"request": None, "responses": EndpointSerializer, "tags": TAGS}


@extend_schema_view(
    post=extend_schema(
        operation_id="pauseWebhookEndpoint",
        summary="Pause a webhook endpoint",
        description=(
            "Nothing is sent until it is resumed; what happens meanwhile waits, for 30 days at most. Pausing twice changes"
            " nothing."
        ),
        examples=[OpenApiExample("Paused", {**examples.ENDPOINT, "status": "paused"}, response_only=True)],
        **_ANSWER,
    )
)
class PauseWebhookEndpoint(_ChangeState):
    """A rest."""

    change = staticmethod(pause_endpoint)


@extend_schema_view(
    post=extend_schema(
        operation_id="resumeWebhookEndpoint",
        summary="Resume a webhook endpoint",
        description="What waited is sent. 409 `ENDPOINT_DISABLED` when it was disabled: enable it.",
        examples=[OpenApiExample("Resumed", examples.ENDPOINT, response_only=True)],
        **_ANSWER,
    )
)
class ResumeWebhookEndpoint(_ChangeState):
    """The end of a rest."""

    change = staticmethod(resume_endpoint)


@extend_schema_view(
    post=extend_schema(
        operation_id="enableWebhookEndpoint",
        summary="Enable a webhook endpoint",
        description="After it was disabled: failures are forgotten, what is due is sent at once, what waited after it.",
        examples=[OpenApiExample("Enabled", examples.ENDPOINT, response_only=True)],
        **_ANSWER,
    )
)
class EnableWebhookEndpoint(_ChangeState):
    """A new start."""

    change = staticmethod(enable_endpoint)


class RotateWebhookSecret(WebhookView):
    """A new signing secret."""

    scopes = {"POST": Scope.WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="rotateWebhookSecret",
        tags=TAGS,
        summary="Rotate a signing secret",
        description=(
            "Answers the new secret, this once. Until the overlap is over each message is signed with both, so that"
            " either verifies. Never more than two sign: rotating again ends the oldest now."
        ),
        request=RotateSecretSerializer,
        responses={201: NewSecretSerializer},
        examples=[
            OpenApiExample("Request", {"overlap_seconds": 86400}, request_only=True),
            OpenApiExample("Rotated", examples.ROTATED, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request, endpoint_id: str) -> Response:
        endpoint = self.endpoint(endpoint_id)
        serializer = RotateSecretSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        overlap = timedelta(seconds=serializer.validated_data["overlap_seconds"])
        secret = rotate_secret(endpoint, overlap=overlap)
        return Response({**body_of(endpoint), "secret": secret}, status=201, headers={"Cache-Control": "no-store"})


class SendTestEvent(WebhookView):
    """A message to try an endpoint out."""

    scopes = {"POST": Scope.WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="sendTestEvent",
        tags=TAGS,
        summary="Send a test",
        description=(
            "Sends a sample of a type of event, signed as ever, also while the endpoint is paused or disabled; `position`"
            " in it is 0. It is in no feed and not tried again. See the delivery for what came back."
        ),
        request=TestSendSerializer,
        responses={201: DeliverySerializer},
        examples=[
            OpenApiExample("Request", {"type": "record.updated"}, request_only=True),
            OpenApiExample(
                "Sent",
                {**examples.DELIVERY, "position": 0, "attempt_count": 0},
                response_only=True,
                status_codes=["201"],
            ),
        ],
    )
    def post(self, request: Request, endpoint_id: str) -> Response:
        endpoint = self.endpoint(endpoint_id)
        serializer = TestSendSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        made = send_test(endpoint, serializer.validated_data["type"], by=str(request.user))
        body = delivery_body(made)
        return Response(body, status=201, headers={"Location": f"/api/v1/webhook-deliveries/{body['id']}"})


class RecoverDeliveries(WebhookView):
    """What an endpoint has missed."""

    scopes = {"POST": Scope.WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="recoverWebhookDeliveries",
        tags=TAGS,
        summary="Deliver what was missed",
        description=(
            "Everything since a time that the endpoint did not take is due now, on a fresh schedule: what was given up,"
            " what waits, and what it was never told. What it took already is not sent again."
        ),
        request=RecoverSerializer,
        responses={202: RecoveredSerializer},
        examples=[
            OpenApiExample("Request", {"since": "2026-03-01T00:00:00Z"}, request_only=True),
            OpenApiExample("Recovering", {"deliveries": 128}, response_only=True, status_codes=["202"]),
        ],
    )
    def post(self, request: Request, endpoint_id: str) -> Response:
        endpoint = self.endpoint(endpoint_id)
        serializer = RecoverSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        count = recover(endpoint, since=serializer.validated_data["since"], by=str(request.user))
        return Response({"deliveries": count}, status=202)
