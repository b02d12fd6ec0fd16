"""Issues: what needs somebody's attention."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from connections.models import Connection
from core import ids
from core.api_errors import NotFoundHereError
from core.errors import WhoMustAct
from core.pagination import cursor_from, encode_cursor, filters_of, limit_from
from core.parameters import choice_from
from core.serializers import Plain
from syncs.api.visible import asked_connection
from syncs.choices import IssueKind
from syncs.models import Issue
from syncs.services.issues import acknowledge, issue_link
from workspaces.choices import Scope
from workspaces.models import ApiToken
from workspaces.views import ApiView

STATES = ("open", "resolved")
EXAMPLE: dict[str, Any] = {
    "id": "iss_01935000000070008000000000000008",
    "kind": "sync_overdue",
    "state": "open",
    "connection_id": "con_01935000000070008000000000000001",
    "subject": "purchase_order",
    "title": "Purchase order of Nordwerk was not synced for 2 h 5 min",
    "detail": "erp.nordwerk.example took too long to answer.",
    "action": "Nothing to do: it is tried again by itself. If it lasts, ask who runs the system.",
    "who_must_act": "source",
    "link": "https://lineshaft.example/admin/connections/connection/01935000-0000-7000-8000-000000000001/change/",
    "opened_at": "2026-03-01T08:00:00Z",
    "resolved_at": None,
    "acknowledged_at": None,
    "acknowledged_by": "",
}


class IssueSerializer(Plain):
    """Something that needs somebody's attention, or did."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=IssueKind.choices)
    state = serializers.ChoiceField(choices=STATES)
    connection_id = serializers.CharField(allow_null=True, help_text="Null: about no connection")
    subject = serializers.CharField(allow_blank=True, help_text="An entity, a webhook endpoint's id, or nothing")
    title = serializers.CharField(help_text="What is wrong, in one line")
    detail = serializers.CharField(allow_blank=True)
    action = serializers.CharField(help_text="What to do")
    who_must_act = serializers.ChoiceField(choices=[who.value for who in WhoMustAct])
    link = serializers.CharField(help_text="The admin's page about it")
    opened_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True, help_text="Since then there is no mail about it")
    acknowledged_by = serializers.CharField(allow_blank=True)


class IssueListSerializer(Plain):
    """A page of issues, newest first."""

    data = IssueSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class Issues(ApiView):
    """What is wrong, and what was."""

    scopes = {"GET": Scope.CONNECTIONS_READ}
    parameters = {"GET": {"limit", "cursor", "connection", "kind", "state"}}

    @extend_schema(
        operation_id="listIssues",
        tags=["issues"],
        summary="List issues",
        description=(
            "Newest first. An issue is opened when a rule finds something wrong and resolved when it does not any more;"
            " the same trouble later is another issue. Resolved ones are kept 90 days. A connection token sees its own."
        ),
        parameters=[
            OpenApiParameter("limit", int, description="1 to 500, 100 when absent"),
            OpenApiParameter("cursor", str, description="`next_cursor` of the page before"),
            OpenApiParameter("connection", str, description="Only those of this connection (`con_...`)"),
            OpenApiParameter("kind", str, enum=IssueKind.values),
            OpenApiParameter("state", str, enum=list(STATES), description="Both when absent"),
        ],
        responses=IssueListSerializer,
        examples=[OpenApiExample("Page", {"data": [EXAMPLE], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        limit, after = limit_from(request), cursor_from(request, (UUID,), purpose="issues")
        connection, kind = asked_connection(self.token, request), choice_from(request, "kind", IssueKind.values)
        state = choice_from(request, "state", STATES)
        rows = _issues_of(self.token)
        if connection:
            rows = rows.filter(connection_id=connection)
        if kind:
            rows = rows.filter(kind=kind)
        if state:
            rows = rows.filter(resolved_at__isnull=state == "open")
        page = list((rows.filter(pk__lt=after[0]) if after else rows).order_by("-pk")[: limit + 1])
        more, page = len(page) > limit, page[:limit]
        cursor = encode_cursor((page[-1].pk,), purpose="issues", filters=filters_of(request)) if more else None
        return Response({"data": [issue_body(issue) for issue in page], "next_cursor": cursor})


class OneIssue(ApiView):
    """One issue."""

    scopes = {"GET": Scope.CONNECTIONS_READ}

    @extend_schema(
        operation_id="getIssue",
        tags=["issues"],
        summary="See an issue",
        responses=IssueSerializer,
        examples=[OpenApiExample("Issue", EXAMPLE, response_only=True)],
    )
    def get(self, request: Request, issue_id: str) -> Response:
        return Response(issue_body(_find(self.token, issue_id)))


class AcknowledgeIssue(ApiView):
    """Somebody knows of it."""

    scopes = {"POST": Scope.CONNECTIONS_WRITE}

    @extend_schema(
        operation_id="acknowledgeIssue",
        tags=["issues"],
        summary="Acknowledge an issue",
        description=(
            "Somebody knows of it: there is no more mail about it. It stays open until its rule does not find it any"
            " more. Acknowledged twice, the first time counts."
        ),
        request=None,
        responses=IssueSerializer,
        examples=[
            OpenApiExample(
                "Issue",
                {**EXAMPLE, "acknowledged_at": "2026-03-01T08:05:00Z", "acknowledged_by": "token tok_..."},
                response_only=True,
            )
        ],
    )
    def post(self, request: Request, issue_id: str) -> Response:
        return Response(issue_body(acknowledge(_find(self.token, issue_id), by=str(request.user))))


def issue_body(issue: Issue) -> dict[str, Any]:
    """An issue as the API shows it."""
    return {
        "id": ids.show(Issue.PREFIX, issue.pk),
        "kind": issue.kind,
        "state": "resolved" if issue.resolved_at else "open",
        "connection_id": ids.show(Connection.PREFIX, issue.connection_id),
        "subject": issue.subject,
        "title": issue.title,
        "detail": issue.detail,
        "action": issue.action,
        "who_must_act": issue.who_must_act,
        "link": issue_link(issue),
        "opened_at": issue.opened_at,
        "resolved_at": issue.resolved_at,
        "acknowledged_at": issue.acknowledged_at,
        "acknowledged_by": issue.acknowledged_by,
    }


def _issues_of(token: ApiToken) -> Any:
    """The visible ones: of the workspace and environment, of no connection that was deleted, of its own one alone."""
    rows = Issue.objects.filter(
        Q(connection=None) | Q(connection__purge_requested_at=None),
        workspace_id=token.workspace_id,
        environment=token.environment,
    )
    return rows if token.connection_id is None else rows.filter(connection_id=token.connection_id)


def _find(token: ApiToken, shown_id: str) -> Issue:
    value = ids.read(Issue.PREFIX, shown_id)
    found: Issue | None = _issues_of(token).filter(pk=value).first() if value else None
    if found is None:
        raise NotFoundHereError("There is no such issue.")
    return found
