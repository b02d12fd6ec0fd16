"""Editing a mapping on what is stored, and how well the unified fields are filled."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from connections.api.mappings import TAGS, entity_of
from connections.views import find_connection
from core import ids
from core.errors import FieldError, ValidationFailedError
from core.json import pointer
from core.parameters import text_from
from core.serializers import Plain, StrictSerializer
from integrations.entities import ENTITIES
from syncs.mapping_bodies import coverage_body, findings_body, progress_body, tried_body
from syncs.services.field_coverage import coverage
from syncs.services.mapping_trials import MOST_PREVIEWED, raw_findings, try_rows
from syncs.services.remap_progress import remap_progress
from workspaces.choices import Scope
from workspaces.views import ApiView

_FIELD = {
    "path": "acceptance.location.code",
    "kind": "text",
    "coverage_percent": 92.4,
    "examples": ["K-12", "K-14"],
    "used_by": [],
    "proposal": {"row": {"target": "location", "source": "acceptance.location.code"}, "custom": False, "score": 1.0},
}
_FINDINGS = {
    "entity": "purchase_order", "sampled": 500, "quarantined": 0, "complete": False, "cut": False, "fields": [_FIELD],
}  # fmt: skip
_TRIED = {
    "record_id": "po_01935000000070008000000000000004",
    "remote_id": "4711",
    "quarantined": False,
    "changed": ["custom.gate"],
    "before": {"custom": {}},
    "after": {"custom": {"gate": "3"}},
    "error_before": None,
    "error": None,
    "error_field": "",
}
_PROGRESS = {
    "entity": "purchase_order", "state": "running", "default_version": 2, "override_version": 5, "first_sync": False,
    "run": {"id": "run_01935000000070008000000000000003", "status": "running", "mode": "remap", "read": 61500,
            "updated": 812, "unchanged": 60688, "quarantined": 0, "created_at": "2026-03-01T08:00:00Z", "finished_at": None},
}  # fmt: skip
_COVERAGE = {
    "entity": "purchase_order", "sampled": 500, "complete": False,
    "fields": [{"name": "vendor", "kind": "reference", "mapped": True, "seen": 500, "filled": 488,
                "filled_percent": 97.6, "unknown": 0}],
}  # fmt: skip


class FindingsSerializer(Plain):
    """What stands in the newest stored objects."""

    entity = serializers.CharField()
    sampled = serializers.IntegerField(help_text="Objects looked at")
    quarantined = serializers.IntegerField(help_text="How many of them could not be copied")
    complete = serializers.BooleanField(help_text="These are all there are")
    cut = serializers.BooleanField(help_text="There are more places than are told")
    fields = serializers.ListField(  # type: ignore[assignment]
        child=serializers.DictField(), help_text="[{path, kind, coverage_percent, examples, used_by, proposal}]"
    )


class TrySerializer(StrictSerializer):
    """Rows to try on stored records."""

    rows = serializers.ListField(max_length=200, help_text="As an override, whole")
    record_ids = serializers.ListField(
        child=serializers.CharField(max_length=80),
        required=False,
        max_length=MOST_PREVIEWED,
        help_text="Records to try them on; the latest ten when absent, quarantined ones first",
    )


class TriedListSerializer(Plain):
    """What records become."""

    data = serializers.ListField(child=serializers.DictField(), help_text="One for each record")  # type: ignore[assignment]


class RemapProgressSerializer(Plain):
    """How far the mapping in force is applied."""

    entity = serializers.CharField()
    state = serializers.ChoiceField(choices=["none", "due", "running", "applied", "failed"])
    first_sync = serializers.BooleanField(help_text="The first sync has not ended; it applies the mapping by itself")
    default_version = serializers.IntegerField()
    override_version = serializers.IntegerField(allow_null=True)
    run = serializers.DictField(allow_null=True, help_text="The run that maps what is stored anew")


class CoverageSerializer(Plain):
    """How well the unified fields are filled."""

    data = serializers.ListField(child=serializers.DictField(), help_text="[{entity, sampled, complete, fields}]")  # type: ignore[assignment]


class MappingSuggestions(ApiView):
    """Raw fields, and what they could become."""

    scopes = {"GET": Scope.CONNECTIONS_WRITE}

    @extend_schema(
        operation_id="suggestMapping",
        tags=TAGS,
        summary="See what a system's objects hold, and what could be mapped",
        description=(
            "Every place in the 500 newest stored objects: how often it is filled, up to three examples (secrets cut),"
            " which fields are made from it, and a row to add where none is. Asks nothing upstream. It shows values of"
            " records, so it takes the scope that changing mappings takes."
        ),
        responses=FindingsSerializer,
        examples=[OpenApiExample("Findings", _FINDINGS, response_only=True)],
    )
    def get(self, request: Request, connection_id: str, entity: str) -> Response:
        connection, name = find_connection(self.token, connection_id), entity_of(entity)
        return Response(findings_body(name, raw_findings(connection, name)))


class TryMapping(ApiView):
    """Rows tried on stored records."""

    scopes = {"POST": Scope.CONNECTIONS_WRITE}

    @extend_schema(
        operation_id="tryMapping",
        tags=TAGS,
        summary="Try mapping rows on stored records",
        description=(
            "What records become with `rows` as the override, beside what they are with the mapping in force. `changed`"
            " names the fields that differ; `before` and `after` hold these alone. Stores nothing, asks nothing upstream."
        ),
        request=TrySerializer,
        responses=TriedListSerializer,
        examples=[
            OpenApiExample("Rows", {"rows": [{"target": "custom.gate", "source": "gate"}]}, request_only=True),
            OpenApiExample("Tried", {"data": [_TRIED]}, response_only=True),
        ],
    )
    def post(self, request: Request, connection_id: str, entity: str) -> Response:
        connection, name = find_connection(self.token, connection_id), entity_of(entity)
        serializer = TrySerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        wanted = _record_ids(name, given.get("record_ids", ()))
        tried = try_rows(connection, name, given["rows"], record_ids=wanted)
        return Response({"data": [tried_body(name, one) for one in tried]})


class MappingProgress(ApiView):
    """Whether the mapping in force is applied."""

    scopes = {"GET": Scope.CONNECTIONS_READ}

    @extend_schema(
        operation_id="getMappingProgress",
        tags=TAGS,
        summary="See how far a published mapping is applied",
        description="`due` until a tick starts the run, within seconds; `applied` when every stored record is mapped with it.",
        responses=RemapProgressSerializer,
        examples=[OpenApiExample("Progress", _PROGRESS, response_only=True)],
    )
    def get(self, request: Request, connection_id: str, entity: str) -> Response:
        connection, name = find_connection(self.token, connection_id), entity_of(entity)
        return Response(progress_body(name, remap_progress(connection, name)))


class ConnectionCoverage(ApiView):
    """How well the unified fields of a connection are filled."""

    scopes = {"GET": Scope.CONNECTIONS_READ}
    parameters = {"GET": {"entity"}}

    @extend_schema(
        operation_id="getCoverage",
        tags=["connections"],
        summary="See how well the fields of a connection are filled",
        description=(
            "For each entity, how many of its 500 newest records have something in each field, with how many were looked"
            " at. What is inside of lists is counted by their elements. `unknown` counts choices without a counterpart."
        ),
        parameters=[OpenApiParameter("entity", str, description="Only this entity: `purchase-orders`")],
        responses=CoverageSerializer,
        examples=[OpenApiExample("Coverage", {"data": [_COVERAGE]}, response_only=True)],
    )
    def get(self, request: Request, connection_id: str) -> Response:
        connection = find_connection(self.token, connection_id)
        asked = text_from(request, "entity", max_length=60)
        found = coverage(connection, None if asked is None else [entity_of(asked)])
        return Response({"data": [coverage_body(one) for one in found]})


def _record_ids(entity: str, shown: Iterable[str]) -> list[UUID]:
    """Errors: ValidationFailedError with a pointer for what is no id of this entity."""
    prefix = ENTITIES[entity].describes.id_prefix
    found = [(number, ids.read(prefix, text)) for number, text in enumerate(shown)]
    errors = tuple(
        FieldError(pointer("record_ids", number), "INVALID_ID", f"An id of this entity begins with {prefix}_.")
        for number, value in found
        if value is None
    )
    if errors:
        raise ValidationFailedError(errors[0].detail, errors=errors)
    return [value for _, value in found if value is not None]
