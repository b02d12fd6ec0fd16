"""The address of a connection at which its system tells of changes."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from connections.models import Connection
from connections.views import find_connection
from core import ids
from core.serializers import StrictSerializer
from integrations.sdk.hooks import Hooks
from webhooks.models import HookAddress
from webhooks.services import hook_addresses
from workspaces.choices import Scope
from workspaces.views import ApiView

TAGS = ["connections"]
ADDRESS: dict[str, Any] = {
    "connection_id": "con_01935000000070008000000000000002",
    "created_at": "2026-03-01T07:00:00Z",
    "last_received_at": "2026-03-01T08:00:00Z",
    "has_signing_secret": True,
    "signature": {"kind": "hmac", "header": "x-maintainx-webhook-body-signature"},
    "events": {"NEW_WORK_ORDER": "work_order", "PART_CHANGE": "inventory_item"},
    "note": "In MaintainX: Settings, Integrations, Webhooks, New Webhook.",
}
URL = "https://lineshaft.example.com/hooks/con_01935000000070008000000000000002/kq3..."


class SigningSecretsSerializer(StrictSerializer):
    """The secrets the system signs with."""

    signing_secrets = serializers.ListField(
        child=serializers.CharField(max_length=hook_addresses.MOST_CHARACTERS, trim_whitespace=True),
        max_length=hook_addresses.MOST_SECRETS,
        help_text="What the system signs with or sends along; several where it has one for each kind. Empty: none",
    )


class NewHookAddressSerializer(SigningSecretsSerializer):
    """An address to be made or renewed."""

    signing_secrets = serializers.ListField(
        child=serializers.CharField(max_length=hook_addresses.MOST_CHARACTERS, trim_whitespace=True),
        max_length=hook_addresses.MOST_SECRETS,
        required=False,
        help_text="As above; left out: those that are stored stay",
    )


class SignatureSerializer(serializers.Serializer[Any]):
    """How the system proves that a message is its own."""

    kind = serializers.ChoiceField(choices=["hmac", "shared_secret"])
    header = serializers.CharField()


class HookAddressSerializer(serializers.Serializer[Any]):
    """Where the system tells of changes, without the address itself."""

    connection_id = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_received_at = serializers.DateTimeField(allow_null=True, help_text="To the minute; refused messages count")
    has_signing_secret = serializers.BooleanField()
    signature = SignatureSerializer(
        allow_null=True, help_text="Null: the system signs nothing, the address is the secret"
    )
    events = serializers.DictField(
        child=serializers.CharField(), help_text="The system's type -> the entity that syncs"
    )
    note = serializers.CharField(allow_blank=True, help_text="How it is set up there")


class MadeHookAddressSerializer(HookAddressSerializer):
    """With the address: the only time it is shown."""

    url = serializers.CharField(help_text="Enter it in the system; it cannot be shown again")


class ConnectionHookAddress(ApiView):
    """The one address of a connection."""

    scopes = {
        "GET": Scope.CONNECTIONS_READ,
        "POST": Scope.CONNECTIONS_WRITE,
        "PATCH": Scope.CONNECTIONS_WRITE,
        "DELETE": Scope.CONNECTIONS_WRITE,
    }

    @extend_schema(
        operation_id="getHookAddress",
        tags=TAGS,
        summary="See a connection's hook address",
        description="Without the address itself. 404 `NO_HOOK_ADDRESS` when none was made.",
        responses=HookAddressSerializer,
        examples=[OpenApiExample("Address", ADDRESS, response_only=True)],
    )
    def get(self, request: Request, connection_id: str) -> Response:
        connection = find_connection(self.token, connection_id)
        return Response(_body(hook_addresses.address_of(connection), hook_addresses.hooks_of(connection)))

    @extend_schema(
        operation_id="makeHookAddress",
        tags=TAGS,
        summary="Make or renew a connection's hook address",
        description=(
            "Where the customer's system tells of changes, so that they sync at once instead of at the next interval. The"
            " answer is the only time `url` is shown. A second call makes another address, and the former one is 404 from"
            " then on. Where the system signs, messages are refused until its secret is stored. A system that tells"
            " nothing is 422 `OPERATION_NOT_SUPPORTED`."
        ),
        request=NewHookAddressSerializer,
        responses={201: MadeHookAddressSerializer},
        examples=[
            OpenApiExample("Request", {"signing_secrets": ["5a1f..."]}, request_only=True),
            OpenApiExample("Made", {**ADDRESS, "url": URL}, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request, connection_id: str) -> Response:
        connection = find_connection(self.token, connection_id)
        serializer = NewHookAddressSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        row, url = hook_addresses.make_address(connection, **serializer.validated_data)
        row.refresh_from_db()
        body = {**_body(row, hook_addresses.hooks_of(connection)), "url": url}
        return Response(body, status=201, headers={"Cache-Control": "no-store"})

    @extend_schema(
        operation_id="storeHookSecrets",
        tags=TAGS,
        summary="Store the signing secrets of a hook address",
        description="All of them, in place of those that are stored. The address stays.",
        request=SigningSecretsSerializer,
        responses=HookAddressSerializer,
        examples=[
            OpenApiExample("Request", {"signing_secrets": ["5a1f..."]}, request_only=True),
            OpenApiExample("Stored", ADDRESS, response_only=True),
        ],
    )
    def patch(self, request: Request, connection_id: str) -> Response:
        connection = find_connection(self.token, connection_id)
        serializer = SigningSecretsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        row = hook_addresses.store_signing_secrets(connection, **serializer.validated_data)
        return Response(_body(row, hook_addresses.hooks_of(connection)))

    @extend_schema(
        operation_id="removeHookAddress",
        tags=TAGS,
        summary="Remove a connection's hook address",
        description="The system is answered 404 from then on. Its syncs go on by their intervals.",
        request=None,
        responses={204: OpenApiResponse(description="Removed")},
    )
    def delete(self, request: Request, connection_id: str) -> Response:
        hook_addresses.remove_address(find_connection(self.token, connection_id))
        return Response(status=204)


def _body(row: HookAddress, hooks: Hooks) -> dict[str, Any]:
    signature = hooks.signature
    return {
        "connection_id": ids.show(Connection.PREFIX, row.connection_id),
        "created_at": row.created_at,
        "last_received_at": row.last_received_at,
        "has_signing_secret": hook_addresses.has_signing_secret(row),
        "signature": None if signature is None else {"kind": signature.kind, "header": signature.header},
        "events": dict(hooks.entities),
        "note": hooks.note,
    }
