"""What helps to write flows: the JSON Schema, ready templates, and a look at what is wrong."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import ValidationFailedError
from flows.api import examples
from flows.api.visible import FLOW_TAGS, FlowView
from flows.definitions.ready import READY
from flows.definitions.schema import json_schema
from flows.flow_answers import TemplateListSerializer, ValidatedSerializer
from flows.serializers import ValidateSerializer
from flows.services.drafts import read_draft
from workspaces.choices import Scope
from workspaces.views import ApiView


class FlowSchema(ApiView):
    """The form of definitions."""

    scopes = {"GET": Scope.FLOWS_READ}

    @extend_schema(
        operation_id="getFlowSchema",
        tags=FLOW_TAGS,
        summary="The JSON Schema of definitions",
        description="Draft 2020-12, for editors and for checks of your own.",
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        return Response(json_schema())


class FlowTemplates(ApiView):
    """Ready flows."""

    scopes = {"GET": Scope.FLOWS_READ}

    @extend_schema(
        operation_id="listFlowTemplates",
        tags=FLOW_TAGS,
        summary="List ready flows",
        description="Begin with one: `POST /flows` with `template`.",
        responses=TemplateListSerializer,
    )
    def get(self, request: Request) -> Response:
        return Response({"data": [_template(slug) for slug in READY]})


class ValidateFlow(FlowView):
    """A look at a definition that stores nothing."""

    scopes = {"POST": Scope.FLOWS_WRITE}

    @extend_schema(
        operation_id="validateFlow",
        tags=FLOW_TAGS,
        summary="Check a definition",
        description="Stores nothing. Whether connections are bound is asked when a flow is published.",
        request=ValidateSerializer,
        responses=ValidatedSerializer,
        examples=[
            OpenApiExample("Request", {"definition": examples.DEFINITION}, request_only=True),
            OpenApiExample("Well", {"errors": []}, response_only=True),
            OpenApiExample("Wrong", examples.PROBLEMS, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        serializer = ValidateSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response({"errors": problems_of(serializer.validated_data["definition"])})


def problems_of(definition: Any) -> list[dict[str, str]]:
    """What is wrong in a definition, by pointer."""
    try:
        read_draft(definition)
    except ValidationFailedError as error:
        return [{"pointer": one.pointer, "code": one.code, "detail": one.detail} for one in error.errors]
    return []


def _template(slug: str) -> dict[str, Any]:
    ready = READY[slug]
    return {"slug": slug, "title": ready.title, "summary": ready.summary, "definition": ready.definition}
