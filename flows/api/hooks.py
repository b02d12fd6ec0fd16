"""The address of a flow at which others start it, and what they sent there."""

from __future__ import annotations

from typing import Any

from django.db.models import BinaryField
from django.db.models.functions import Length, Substr
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.parameters import choice_from
from flows.api import examples
from flows.api.visible import FLOW_TAGS, PAGING, FlowView, page_body, page_of
from flows.bodies import message_body
from flows.choices import HookMessageStatus
from flows.flow_answers import FlowHookSerializer, FlowMessageListSerializer, MadeFlowHookSerializer
from flows.models import Flow, FlowHookAddress, FlowHookMessage
from flows.serializers import HookSerializer, SigningSecretSerializer
from flows.services import addresses
from workspaces.choices import Scope

SHOWN_BYTES = 4096


class FlowHook(FlowView):
    """The one address of a flow."""

    scopes = {
        "GET": Scope.FLOWS_READ,
        "POST": Scope.FLOWS_WRITE,
        "PATCH": Scope.FLOWS_WRITE,
        "DELETE": Scope.FLOWS_WRITE,
    }

    @extend_schema(
        operation_id="getFlowHook",
        tags=FLOW_TAGS,
        summary="See a flow's hook address",
        description="Without the address itself. 404 `NO_HOOK_ADDRESS` when none was made.",
        responses=FlowHookSerializer,
        examples=[OpenApiExample("Address", examples.HOOK, response_only=True)],
    )
    def get(self, request: Request, flow_id: str) -> Response:
        return Response(_body(addresses.address_of(self.flow(flow_id))))

    @extend_schema(
        operation_id="makeFlowHook",
        tags=FLOW_TAGS,
        summary="Make or renew a flow's hook address",
        description=(
            "Each message sent there by POST starts a run of a flow whose trigger is `hook`. The answer is the only time"
            " `url` is shown. A second call makes another address, and the former one is 404 from then on."
        ),
        request=HookSerializer,
        responses={201: MadeFlowHookSerializer},
        examples=[
            OpenApiExample("Request", {"signing_secret": "5a1f..."}, request_only=True),
            OpenApiExample("Made", {**examples.HOOK, "url": examples.URL}, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request, flow_id: str) -> Response:
        flow = self.flow(flow_id)
        serializer = HookSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        row, url = addresses.renew_hook_address(flow, by=str(request.user), **serializer.validated_data)
        return Response({**_body(row), "url": url}, status=201, headers={"Cache-Control": "no-store"})

    @extend_schema(
        operation_id="storeFlowHookSecret",
        tags=FLOW_TAGS,
        summary="Store the signing secret of a flow's hook address",
        description="In place of the one that is stored. The address stays.",
        request=SigningSecretSerializer,
        responses=FlowHookSerializer,
        examples=[
            OpenApiExample("Request", {"signing_secret": "5a1f..."}, request_only=True),
            OpenApiExample("Stored", {**examples.HOOK, "has_signing_secret": True}, response_only=True),
        ],
    )
    def patch(self, request: Request, flow_id: str) -> Response:
        flow = self.flow(flow_id)
        serializer = SigningSecretSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response(_body(addresses.store_signing_secret(flow, by=str(request.user), **serializer.validated_data)))

    @extend_schema(
        operation_id="removeFlowHook",
        tags=FLOW_TAGS,
        summary="Remove a flow's hook address",
        description="Who sends there is answered 404 from then on.",
        request=None,
        responses={204: OpenApiResponse(description="Removed")},
    )
    def delete(self, request: Request, flow_id: str) -> Response:
        addresses.remove_hook_address(self.flow(flow_id), by=str(request.user))
        return Response(status=204)


class FlowMessages(FlowView):
    """What was sent to a flow's address."""

    scopes = {"GET": Scope.FLOWS_READ}
    parameters = {"GET": {"limit", "cursor", "status"}}

    @extend_schema(
        operation_id="listFlowMessages",
        tags=FLOW_TAGS,
        summary="List messages to a flow",
        description="Newest first, kept 14 days; refused ones too.",
        parameters=[OpenApiParameter("status", str, enum=HookMessageStatus.values), *PAGING],
        responses=FlowMessageListSerializer,
        examples=[OpenApiExample("Page", {"data": [examples.MESSAGE], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request, flow_id: str) -> Response:
        flow, status = self.flow(flow_id), choice_from(request, "status", HookMessageStatus.values)
        rows = FlowHookMessage.objects.filter(flow_id=flow.pk, **{"status": status} if status else {})
        start = Substr("body", 1, SHOWN_BYTES, output_field=BinaryField())
        rows = rows.defer("body").annotate(start=start, size=Length("body"))
        page, cursor = page_of(request, rows, purpose=f"messages of {flow_id}")
        return Response(page_body([message_body(message) for message in page], cursor))


def _body(row: FlowHookAddress) -> dict[str, Any]:
    return {
        "flow": ids.show(Flow.PREFIX, row.flow_id),
        "created_at": row.created_at,
        "last_received_at": row.last_received_at,
        "has_signing_secret": addresses.has_signing_secret(row),
    }
