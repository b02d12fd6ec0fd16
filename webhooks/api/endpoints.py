"""Webhook endpoints: seen, made, changed and deleted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from connections.models import Connection
from connections.views import visible_connections
from core import ids
from core.errors import FieldError, ValidationFailedError
from core.pagination import cursor_from, encode_cursor, filters_of, limit_from
from webhooks.api import examples
from webhooks.api.visible import WebhookView, bodies, body_of, with_secrets
from webhooks.serializers import (
    EndpointFieldsSerializer,
    EndpointListSerializer,
    EndpointSerializer,
    NewEndpointSerializer,
    NewSecretSerializer,
)
from webhooks.services.endpoints import create_endpoint, delete_endpoint, update_endpoint
from workspaces.choices import Scope
from workspaces.models import ApiToken

TAGS = ["webhooks"]
LIMIT = OpenApiParameter("limit", int, description="1 to 500, 100 when absent")
CURSOR = OpenApiParameter("cursor", str, description="`next_cursor` of the page before")


class WebhookEndpoints(WebhookView):
    """The endpoints of the token's environment, and new ones."""

    scopes = {"GET": Scope.WEBHOOKS_READ, "POST": Scope.WEBHOOKS_WRITE}
    parameters = {"GET": {"limit", "cursor"}}

    @extend_schema(
        operation_id="listWebhookEndpoints",
        tags=TAGS,
        summary="List webhook endpoints",
        description="Newest first.",
        parameters=[LIMIT, CURSOR],
        responses=EndpointListSerializer,
        examples=[OpenApiExample("Page", {"data": [examples.ENDPOINT], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        limit, after = limit_from(request), cursor_from(request, (UUID,), purpose="webhook endpoints")
        rows = with_secrets(self.endpoints()).order_by("-pk")
        page = list((rows.filter(pk__lt=after[0]) if after else rows)[: limit + 1])
        shown, cursor = page[:limit], None
        if len(page) > limit:
            cursor = encode_cursor((shown[-1].pk,), purpose="webhook endpoints", filters=filters_of(request))
        return Response({"data": bodies(shown), "next_cursor": cursor})

    @extend_schema(
        operation_id="createWebhookEndpoint",
        tags=TAGS,
        summary="Create a webhook endpoint",
        description=(
            "It is told of what happens from now on, signed by the Standard Webhooks specification with `secret`, which"
            " is shown this once. At most 50 in each environment: 409 `TOO_MANY_ENDPOINTS`."
        ),
        request=NewEndpointSerializer,
        responses={201: NewSecretSerializer},
        examples=[
            OpenApiExample("Request", examples.NEW, request_only=True),
            OpenApiExample("Created", examples.CREATED, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        values = _values(self.token, NewEndpointSerializer(data=request.data))
        endpoint, secret = create_endpoint(
            workspace=self.workspace, environment=self.token.environment, created_by=str(request.user), **values
        )
        body = {**body_of(endpoint), "secret": secret}
        location = f"/api/v1/webhook-endpoints/{body['id']}"
        return Response(body, status=201, headers={"Location": location, "Cache-Control": "no-store"})


class OneWebhookEndpoint(WebhookView):
    """One endpoint."""

    scopes = {"GET": Scope.WEBHOOKS_READ, "PATCH": Scope.WEBHOOKS_WRITE, "DELETE": Scope.WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="getWebhookEndpoint",
        tags=TAGS,
        summary="See a webhook endpoint",
        responses=EndpointSerializer,
        examples=[OpenApiExample("Endpoint", examples.ENDPOINT, response_only=True)],
    )
    def get(self, request: Request, endpoint_id: str) -> Response:
        return Response(body_of(self.endpoint(endpoint_id)))

    @extend_schema(
        operation_id="updateWebhookEndpoint",
        tags=TAGS,
        summary="Change a webhook endpoint",
        description=(
            "Each field that is sent, and no other. What is chosen holds for events that are told from now on; a new"
            " address also for deliveries that wait."
        ),
        request=EndpointFieldsSerializer,
        responses=EndpointSerializer,
        examples=[
            OpenApiExample("Request", {"event_types": ["record.updated"]}, request_only=True),
            OpenApiExample("Changed", examples.ENDPOINT, response_only=True),
        ],
    )
    def patch(self, request: Request, endpoint_id: str) -> Response:
        endpoint = self.endpoint(endpoint_id)
        values = _values(self.token, EndpointFieldsSerializer(data=request.data))
        return Response(body_of(update_endpoint(endpoint, **values)))

    @extend_schema(
        operation_id="deleteWebhookEndpoint",
        tags=TAGS,
        summary="Delete a webhook endpoint",
        description="With its deliveries. Nothing is sent to it any more.",
        request=None,
        responses={204: None},
    )
    def delete(self, request: Request, endpoint_id: str) -> Response:
        delete_endpoint(self.endpoint(endpoint_id))
        return Response(status=204)


def _values(token: ApiToken, serializer: EndpointFieldsSerializer) -> dict[str, Any]:
    """What was sent, with the connections as ids of rows."""
    serializer.is_valid(raise_exception=True)
    values = dict(serializer.validated_data)
    if "connections" in values:
        values["connection_ids"] = _connections(token, values.pop("connections"))
    return values


def _connections(token: ApiToken, shown: list[str]) -> list[UUID]:
    """Errors: ValidationFailedError naming each that is not visible."""
    named = {text: ids.read(Connection.PREFIX, text) for text in shown}
    wanted = [value for value in named.values() if value is not None]
    found = set(visible_connections(token).filter(pk__in=wanted).values_list("pk", flat=True))
    detail = "There is no such connection."
    wrong = tuple(
        FieldError(f"/connections/{index}", "UNKNOWN_CONNECTION", detail)
        for index, text in enumerate(shown)
        if named[text] not in found
    )
    if wrong:
        raise ValidationFailedError(detail, errors=wrong)
    return sorted(found)
