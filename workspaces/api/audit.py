"""The audit log: read and exported, never written."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.api_errors import ForbiddenError, NotFoundHereError
from core.pagination import cursor_from, encode_cursor, filters_of, limit_from
from core.parameters import choice_from, datetime_from, text_from, wrong_parameter
from workspaces import audit
from workspaces.audit_reading import FORMATS, Wanted, audit_body, export_response, select
from workspaces.audit_serializers import AuditEventSerializer, AuditListSerializer
from workspaces.choices import AuditOutcome, Environment, Scope
from workspaces.models import AuditEvent
from workspaces.views import ApiView

FILTERS = frozenset({"action", "object", "actor", "outcome", "since", "until"})
_PARAMETERS = [
    OpenApiParameter(
        "action", str, description="One action, such as `connection.paused`, or all of it: `connection.*`"
    ),
    OpenApiParameter("object", str, description="Id of what it was done to, such as con_..."),
    OpenApiParameter("actor", str, description="Who did it: the name as it is shown, or the id of a token (tok_...)"),
    OpenApiParameter("outcome", str, enum=AuditOutcome.values),
    OpenApiParameter("since", OpenApiTypes.DATETIME, description="Done at this time or later"),
    OpenApiParameter("until", OpenApiTypes.DATETIME, description="Done before this time"),
]
_EVENT = {
    "id": "aud_01935000000070008000000000000006",
    "at": "2026-03-01T08:00:00Z",
    "workspace": "ws_01935000000070008000000000000001",
    "actor_kind": "token",
    "actor": "token tok_01935000000070008000000000000005",
    "token": "tok_01935000000070008000000000000005",
    "action": "connection.paused",
    "object_type": "connection",
    "object": "con_01935000000070008000000000000002",
    "outcome": "done",
    "address": "203.0.113.7",
    "request_id": "0193500000007000800000000000000b",
    "details": {},
}


class AuditView(ApiView):
    """The log tells of the whole workspace and of both environments, so tokens that see less do not read it."""

    scopes = {"GET": Scope.AUDIT_READ}

    def rows(self) -> Any:
        """The workspace's events. Errors: ForbiddenError."""
        if self.token.connection_id is not None:
            raise ForbiddenError("A connection token sees its connection alone; use a workspace token.")
        if self.token.environment != Environment.LIVE:
            raise ForbiddenError(
                "The audit log tells of both environments; use a live token.", code="ENVIRONMENT_NOT_ALLOWED"
            )
        return AuditEvent.objects.filter(workspace_id=self.token.workspace_id)


class AuditEvents(AuditView):
    """The log, newest first."""

    parameters = {"GET": FILTERS | {"limit", "cursor"}}

    @extend_schema(
        operation_id="listAuditEvents",
        tags=["audit"],
        summary="List audit events",
        description=(
            "What people, tokens, commands and the platform did in your workspace, in both environments, newest first."
            " A live workspace token reads it."
        ),
        parameters=[
            *_PARAMETERS,
            OpenApiParameter("limit", int, description="1 to 500, 100 when absent"),
            OpenApiParameter("cursor", str, description="`next_cursor` of the page before"),
        ],
        responses=AuditListSerializer,
        examples=[OpenApiExample("Page", {"data": [_EVENT], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        limit, after = limit_from(request), cursor_from(request, (UUID,), purpose="audit-events")
        rows = select(self.rows(), wanted_from(request)).order_by("-id")
        page = list((rows.filter(id__lt=after[0]) if after else rows)[: limit + 1])
        more = len(page) > limit
        last = page[limit - 1].id if more else None
        cursor = encode_cursor((last,), purpose="audit-events", filters=filters_of(request)) if last else None
        return Response({"data": [audit_body(event) for event in page[:limit]], "next_cursor": cursor})


class OneAuditEvent(AuditView):
    """One event."""

    @extend_schema(
        operation_id="getAuditEvent",
        tags=["audit"],
        summary="See an audit event",
        responses=AuditEventSerializer,
        examples=[OpenApiExample("Event", _EVENT, response_only=True)],
    )
    def get(self, request: Request, audit_event_id: str) -> Response:
        value = ids.read(AuditEvent.PREFIX, audit_event_id)
        try:
            event = self.rows().filter(pk=value).first() if value else None
        except ForbiddenError:  # an object that a token may not see is not there
            event = None
        if event is None:
            raise NotFoundHereError("There is no such audit event.")
        return Response(audit_body(event))


class AuditExport(AuditView):
    """The log as a file."""

    parameters = {"GET": FILTERS | {"format"}}

    @extend_schema(
        operation_id="exportAuditEvents",
        tags=["audit"],
        summary="Export the audit log",
        description=(
            "Everything that fits the filters, oldest first, as a stream of any length: one JSON object a line (`jsonl`),"
            " or `csv` with the same names in its first line. Give `since` and `until` to fetch the log piece by piece."
            " The export is itself an audit event."
        ),
        parameters=[*_PARAMETERS, OpenApiParameter("format", str, enum=list(FORMATS), description="jsonl when absent")],
        responses={(200, kind.partition(";")[0]): OpenApiTypes.STR for kind in FORMATS.values()},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        form = choice_from(request, "format", tuple(FORMATS)) or "jsonl"
        rows = select(self.rows(), wanted_from(request))
        filters = {name: request.GET[name] for name in ("since", "until") if name in request.GET}
        audit.record("audit.exported", workspace_id=self.token.workspace_id, details={"format": form, **filters})
        return export_response(rows, form)


def wanted_from(request: Request) -> Wanted:
    """The filters of a request. Errors: 400 with the name of the parameter."""
    since, until = datetime_from(request, "since"), datetime_from(request, "until")
    if since and until and since >= until:
        raise wrong_parameter("until", "must be later than ?since")
    return Wanted(
        action=text_from(request, "action", max_length=60),
        object_id=text_from(request, "object", max_length=80),
        actor=text_from(request, "actor", max_length=200),
        outcome=choice_from(request, "outcome", AuditOutcome.values),
        since=since,
        until=until,
    )
