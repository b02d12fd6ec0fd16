"""How the token's workspace uses a system, in the token's environment."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from connections.models import SystemSettings
from connections.services import systems
from core.api_errors import ForbiddenError, NotFoundHereError
from core.serializers import Plain, StrictSerializer
from integrations.registry import catalogue
from workspaces.choices import Environment, Scope
from workspaces.views import ApiView

_EXAMPLE = {
    "system": "oauth-erp",
    "environment": "live",
    "enabled": True,
    "oauth_client_id": "lineshaft-of-nordwerk",
    "has_oauth_client_secret": True,
    "oauth_redirect_uri": "https://lineshaft.example.com/link/oauth/callback",
    "oauth_hosts": ["erp.nordwerk.example"],
    "schedules": {"purchase_order": {"interval_seconds": 300}},
    "updated_at": "2026-03-01T08:00:00Z",
}


SHOWN = ("system", "environment", "enabled", "oauth_client_id", "oauth_hosts", "schedules")


class SystemSettingsSerializer(Plain):
    """How a workspace uses a system."""

    system = serializers.CharField()
    environment = serializers.ChoiceField(choices=Environment.choices)
    enabled = serializers.BooleanField(help_text="Whether customers may connect it.")
    oauth_client_id = serializers.CharField(allow_blank=True, help_text="Of the app registered with its maker.")
    has_oauth_client_secret = serializers.BooleanField()
    oauth_redirect_uri = serializers.CharField(help_text="Register this address with the system's maker.")
    oauth_hosts = serializers.ListField(
        child=serializers.CharField(),
        help_text="Where customers type the address of the sign-in: the hosts the client secret may be sent to.",
    )
    schedules = serializers.DictField(
        help_text="For new connections: {entity: {interval_seconds, full_interval_seconds, enabled}}."
    )
    updated_at = serializers.DateTimeField(allow_null=True)


class SystemSettingsChangeSerializer(StrictSerializer):
    """What may be changed; what is left out stays as it is."""

    enabled = serializers.BooleanField(required=False)
    oauth_client_id = serializers.CharField(required=False, allow_blank=True)
    oauth_client_secret = serializers.CharField(required=False, allow_null=True, write_only=True, trim_whitespace=False)
    oauth_hosts = serializers.JSONField(required=False)
    schedules = serializers.JSONField(required=False)


class OneSystemSettings(ApiView):
    """The settings of one system."""

    scopes = {"GET": Scope.SYSTEMS_READ, "PATCH": Scope.SYSTEMS_WRITE}

    @extend_schema(
        operation_id="getSystemSettings",
        tags=["systems"],
        summary="See how your workspace uses a system",
        description="Of the token's environment. A client secret is never shown again.",
        responses=SystemSettingsSerializer,
        examples=[OpenApiExample("Settings", _EXAMPLE, response_only=True)],
    )
    def get(self, request: Request, slug: str) -> Response:
        return Response(_body(systems.system_settings(self._workspace_id(), _known(slug), self.token.environment)))

    @extend_schema(
        operation_id="changeSystemSettings",
        tags=["systems"],
        summary="Change how your workspace uses a system",
        description=(
            "`oauth_client_secret` is stored encrypted; null removes it. `schedules` is replaced as a whole and holds for"
            " connections made from then on."
        ),
        request=SystemSettingsChangeSerializer,
        responses=SystemSettingsSerializer,
        examples=[
            OpenApiExample("Request", {"schedules": _EXAMPLE["schedules"]}, request_only=True),
            OpenApiExample("Changed", _EXAMPLE, response_only=True),
        ],
    )
    def patch(self, request: Request, slug: str) -> Response:
        self._workspace_id()
        serializer = SystemSettingsChangeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        changed = systems.update_system_settings(
            workspace=self.workspace,
            system=_known(slug),
            environment=self.token.environment,
            changes=serializer.validated_data,
            by=str(request.user),
        )
        return Response(_body(changed))

    def _workspace_id(self) -> Any:
        if self.token.connection_id is not None:
            raise ForbiddenError("A connection token sees its connection alone; use a workspace token.")
        return self.token.workspace_id


def _known(slug: str) -> str:
    if slug not in catalogue():
        raise NotFoundHereError("There is no such system.")
    return slug


def _body(row: SystemSettings) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in SHOWN},
        "has_oauth_client_secret": systems.has_client_secret(row),
        "oauth_redirect_uri": systems.redirect_uri(),
        "updated_at": row.updated_at,
    }
