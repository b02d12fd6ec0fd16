"""Secrets of flows: stored and removed, never shown."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flows.api import examples
from flows.api.visible import FLOW_TAGS, FlowView
from flows.bodies import secret_body
from flows.flow_answers import FlowSecretListSerializer
from flows.serializers import FlowSecretSerializer
from flows.services.flow_secrets import remove_flow_secret, secrets_of, set_flow_secret
from workspaces.choices import Scope


class FlowSecrets(FlowView):
    """Which there are."""

    scopes = {"GET": Scope.FLOWS_READ}

    @extend_schema(
        operation_id="listFlowSecrets",
        tags=FLOW_TAGS,
        summary="List a flow's secrets",
        description="Their names; what they hold is never shown.",
        responses=FlowSecretListSerializer,
        examples=[OpenApiExample("Secrets", {"data": [examples.SECRET]}, response_only=True)],
    )
    def get(self, request: Request, flow_id: str) -> Response:
        return Response({"data": [secret_body(secret) for secret in secrets_of(self.flow(flow_id))]})


class OneFlowSecret(FlowView):
    """One of them."""

    scopes = {"PUT": Scope.FLOWS_WRITE, "DELETE": Scope.FLOWS_WRITE}

    @extend_schema(
        operation_id="storeFlowSecret",
        tags=FLOW_TAGS,
        summary="Store a secret of a flow",
        description=(
            "In place of one of the same name, for the next request that sends it: `secret_headers` of `http_request`"
            " steps name it. 201 for a new name, else 204."
        ),
        request=FlowSecretSerializer,
        responses={201: OpenApiResponse(description="Stored"), 204: OpenApiResponse(description="Replaced")},
        examples=[OpenApiExample("Request", {"value": "5a1f..."}, request_only=True)],
    )
    def put(self, request: Request, flow_id: str, secret_name: str) -> Response:
        flow = self.flow(flow_id)
        serializer = FlowSecretSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        value = serializer.validated_data["value"]
        is_new = set_flow_secret(flow, secret_name, value, by=str(request.user))
        return Response(status=201 if is_new else 204)

    @extend_schema(
        operation_id="removeFlowSecret",
        tags=FLOW_TAGS,
        summary="Remove a secret of a flow",
        description="Steps that send it fail from then on.",
        request=None,
        responses={204: OpenApiResponse(description="Removed")},
    )
    def delete(self, request: Request, flow_id: str, secret_name: str) -> Response:
        remove_flow_secret(self.flow(flow_id), secret_name, by=str(request.user))
        return Response(status=204)
