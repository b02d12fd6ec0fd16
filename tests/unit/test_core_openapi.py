"""The published schema says how every operation fails and how to sign in."""

from typing import Any

from django.urls import path
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from core.openapi import ProblemAutoSchema, TokenScheme
from core.rendering import JsonRenderer, StrictJsonParser


class ThingSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()


class ThingView(APIView):
    authentication_classes = ()
    permission_classes = ()
    renderer_classes = (JsonRenderer,)
    parser_classes = (StrictJsonParser,)
    schema = ProblemAutoSchema()

    @extend_schema(operation_id="thing_read", responses=ThingSerializer)
    def get(self, request):
        return Response({"name": "x"})

    @extend_schema(
        operation_id="thing_write", request=ThingSerializer, responses={202: ThingSerializer, 404: ThingSerializer}
    )
    def post(self, request):
        return Response({"name": "x"}, status=202)


def schema():
    return SchemaGenerator(patterns=[path("api/v1/things", ThingView.as_view())]).get_schema(request=None, public=True)


def test_every_operation_lists_its_problems():
    operations = schema()["paths"]["/api/v1/things"]
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for operation, success in ((operations["get"], "200"), (operations["post"], "202")):
        assert set(operation["responses"]) == {success, "400", "401", "403", "404", "429", "default"}
        assert operation["responses"]["default"]["content"] == problem
    # What a view declares itself stays.
    assert "application/json" in operations["post"]["responses"]["404"]["content"]


def test_the_problem_schema_requires_everything_but_the_source():
    problem = schema()["components"]["schemas"]["Problem"]
    assert set(problem["properties"]) - set(problem["required"]) == {"source"}


def test_the_token_class_is_described_as_a_bearer_token():
    assert TokenScheme in OpenApiAuthenticationExtension._registry
    definition = TokenScheme(target=None).get_security_definition(ProblemAutoSchema())
    assert (definition["type"], definition["scheme"], definition["bearerFormat"]) == ("http", "bearer", "lsh")
