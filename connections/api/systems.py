"""The catalogue: which systems can be connected, what they ask for and what they can do."""

from __future__ import annotations

from dataclasses import asdict

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from connections.api.examples import ONE_SYSTEM, SYSTEM
from connections.serializers import OneSystemSerializer, SystemListSerializer, setting_body, system_body
from connections.services import capabilities
from core.api_errors import NotFoundHereError
from integrations.registry import catalogue
from workspaces.choices import Scope
from workspaces.views import ApiView


class Systems(ApiView):
    """All systems."""

    scopes = {"GET": Scope.SYSTEMS_READ}

    @extend_schema(
        operation_id="listSystems",
        tags=["systems"],
        summary="List the systems that can be connected",
        responses=SystemListSerializer,
        examples=[OpenApiExample("Catalogue", {"data": [SYSTEM], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        return Response({"data": [system_body(connector) for connector in catalogue().values()], "next_cursor": None})


class OneSystem(ApiView):
    """One system."""

    scopes = {"GET": Scope.SYSTEMS_READ}

    @extend_schema(
        operation_id="getSystem",
        tags=["systems"],
        summary="See what a system asks for and can do",
        description="`config` lists the settings of a connection: those of kind `secret` go into its `secrets`.",
        responses=OneSystemSerializer,
        examples=[OpenApiExample("System", ONE_SYSTEM, response_only=True)],
    )
    def get(self, request: Request, slug: str) -> Response:
        connector = catalogue().get(slug)
        if connector is None:
            raise NotFoundHereError("There is no such system.")
        return Response(
            {
                **system_body(connector),
                "config": [setting_body(field) for field in connector.config],
                "limits": asdict(connector.limits),
                "capabilities": capabilities(connector),
            }
        )
