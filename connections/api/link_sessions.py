"""Link, the connect flow, as a product's backend uses it: make a link, see how far it came, take the code."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from connections.api import examples
from connections.choices import LinkStatus
from connections.link_serializers import (
    CreatedLinkSessionSerializer,
    ExchangedSerializer,
    ExchangeSerializer,
    LinkSessionListSerializer,
    LinkSessionSerializer,
    NewLinkSessionSerializer,
    link_session_body,
)
from connections.models import LinkSession
from connections.serializers import connection_body
from connections.services import linking
from connections.services.credentials import stored_names
from connections.views import find_connection
from core import ids
from core.api_errors import ForbiddenError, NotFoundHereError
from core.pagination import cursor_from, encode_cursor, filters_of, limit_from
from core.parameters import choice_from, text_from
from workspaces.api.tokens import within
from workspaces.choices import Scope
from workspaces.serializers import token_body
from workspaces.views import ApiView

TAGS = ["link"]
_ASKED = {
    "name": "Acme, plant north",
    "customer_reference": "4711",
    "metadata": {"plan": "gold"},
    "entities": {"purchase_order": "read_write", "vendor": "read"},
    "passthrough": False,
    "redirect_uri": "https://app.example.com/connected",
}
_NEW = {**_ASKED, "state": "c2Vzc2lvbi00Mg", "valid_minutes": 30}
_SESSION = {
    "id": "lnk_01935000000070008000000000000009",
    "status": "open",
    "environment": "live",
    "system": "",
    **_ASKED,
    "origin": "",
    "is_magic": False,
    "is_renewal": False,
    "connection": None,
    "created_at": "2026-03-01T08:00:00Z",
    "created_by": "token tok_01935000000070008000000000000005",
    "expires_at": "2026-03-01T08:30:00Z",
    "finished_at": None,
    "exchanged_at": None,
}
_TOKEN = "q3Vb0m0nT1kq9m5oX2cB7hQy8Zr4Wd6LfJ1sGtUvNpA"  # noqa: S105  an example
_CREATED = {**_SESSION, "url": f"https://lineshaft.example.com/link/{_TOKEN}", "token": _TOKEN}
_GOING_ON = [LinkStatus.OPEN, LinkStatus.STARTED]


class LinkView(ApiView):
    """For workspace tokens: for a connection token there are no link sessions, and it makes none."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.token.connection_id is not None and not kwargs:
            raise ForbiddenError("A connection token cannot invite customers to connect; use a workspace token.")

    def session(self, session_id: str) -> LinkSession:
        """The session of the token's environment with this id, else 404."""
        value = ids.read(LinkSession.PREFIX, session_id)
        found = self.sessions().filter(pk=value).first() if value else None
        if found is None:
            raise NotFoundHereError("There is no such link session.")
        return found

    def sessions(self) -> QuerySet[LinkSession]:
        """Those of the token's environment."""
        rows: QuerySet[LinkSession] = LinkSession.objects.filter(environment=self.token.environment)
        return rows if self.token.connection_id is None else rows.none()


class LinkSessions(LinkView):
    """Invitations to connect."""

    scopes = {"GET": Scope.CONNECTIONS_READ, "POST": Scope.CONNECTIONS_WRITE}
    parameters = {"GET": {"limit", "cursor", "status", "customer_reference"}}

    @extend_schema(
        operation_id="listLinkSessions",
        tags=TAGS,
        summary="List link sessions",
        description="Newest first, those that ended too.",
        parameters=[
            OpenApiParameter("limit", int, description="1 to 500, 100 when absent"),
            OpenApiParameter("cursor", str, description="`next_cursor` of the page before"),
            OpenApiParameter("status", str, enum=LinkStatus.values),
            OpenApiParameter("customer_reference", str, description="Exactly this reference"),
        ],
        responses=LinkSessionListSerializer,
        examples=[OpenApiExample("Page", {"data": [_SESSION], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        limit, after = limit_from(request), cursor_from(request, (UUID,), purpose="link sessions")
        rows = _filtered(self.sessions(), request).order_by("-pk")
        page = list((rows.filter(pk__lt=after[0]) if after else rows)[: limit + 1])
        shown, cursor = page[:limit], None
        if len(page) > limit:
            cursor = encode_cursor((shown[-1].pk,), purpose="link sessions", filters=filters_of(request))
        return Response({"data": [link_session_body(session) for session in shown], "next_cursor": cursor})

    @extend_schema(
        operation_id="createLinkSession",
        tags=TAGS,
        summary="Make a link",
        description=(
            "Answers the address of a page on which your customer chooses a system, signs in, sees a live test of it and"
            " says what to share. Send the customer there or open it by link.js. In the end the page returns to"
            " `redirect_uri` with `code` and `state`, or tells them to the page at `origin`; both must be registered in"
            " the workspace, exactly. With `connection` the same page signs an existing connection in again. The address"
            " is shown this once."
        ),
        request=NewLinkSessionSerializer,
        responses={201: CreatedLinkSessionSerializer},
        examples=[
            OpenApiExample("Request", _NEW, request_only=True),
            OpenApiExample("Created", _CREATED, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        serializer = NewLinkSessionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = dict(serializer.validated_data)
        if "connection" in values:
            values["connection"] = find_connection(self.token, values["connection"])
        session, token = linking.create_link_session(
            workspace=self.workspace,
            environment=self.token.environment,
            is_magic="valid_days" in values,
            created_by=str(request.user),
            **values,
        )
        body = {**link_session_body(session), "url": linking.link_address(token), "token": token}
        location = f"/api/v1/link-sessions/{body['id']}"
        return Response(body, status=201, headers={"Location": location, "Cache-Control": "no-store"})


class OneLinkSession(LinkView):
    """One invitation."""

    scopes = {"GET": Scope.CONNECTIONS_READ}

    @extend_schema(
        operation_id="getLinkSession",
        tags=TAGS,
        summary="See a link session",
        description="How far the customer has come; once finished, `connection` is the one that was made.",
        responses=LinkSessionSerializer,
        examples=[OpenApiExample("Link session", _SESSION, response_only=True)],
    )
    def get(self, request: Request, session_id: str) -> Response:
        return Response(link_session_body(self.session(session_id)))


class CancelLinkSession(LinkView):
    """The end of an invitation."""

    scopes = {"POST": Scope.CONNECTIONS_WRITE}

    @extend_schema(
        operation_id="cancelLinkSession",
        tags=TAGS,
        summary="Cancel a link session",
        description=(
            "Its address leads nowhere from now on, and what the customer entered is erased. Cancelling twice changes"
            " nothing. One that is finished is 409 LINK_FINISHED: disconnect its connection instead."
        ),
        request=None,
        responses=LinkSessionSerializer,
        examples=[OpenApiExample("Cancelled", {**_SESSION, "status": "cancelled"}, response_only=True)],
    )
    def post(self, request: Request, session_id: str) -> Response:
        return Response(link_session_body(linking.cancel(self.session(session_id))))


class ExchangeCode(LinkView):
    """A code for a connection and its token."""

    scopes = {"POST": Scope.CONNECTIONS_WRITE}

    @extend_schema(
        operation_id="exchangeLinkCode",
        tags=TAGS,
        summary="Exchange a code for a connection token",
        description=(
            "The code came back with your customer's browser. It works once, within five minutes, and only for the"
            " workspace and environment that made the link: else 404 CODE_UNKNOWN, 410 CODE_EXPIRED, 409 CODE_USED."
            " The token sees this connection alone. Without `scopes` it may read, start syncs and, where the customer"
            " shares an entity for writing, write; never more than your own token may, and raw calls only by name."
        ),
        request=ExchangeSerializer,
        responses={201: ExchangedSerializer},
        examples=[
            OpenApiExample("Request", {"code": _TOKEN}, request_only=True),
            OpenApiExample(
                "Exchanged",
                {"connection": examples.CONNECTION, "token": "lsh_live_...", "token_details": examples.TOKEN},
                response_only=True,
                status_codes=["201"],
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        serializer = ExchangeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data.get("scopes")
        bounds = within(self.token, {"scopes": list(wanted or [])})
        connection, token, clear = linking.exchange(
            serializer.validated_data["code"],
            workspace=self.workspace,
            environment=self.token.environment,
            scopes=wanted,
            allowed_networks=bounds["allowed_networks"],
            within=self.token.scopes,
            person_id=bounds["person_id"],
            created_by=str(request.user),
        )
        body = {
            "connection": connection_body(connection, stored_names(connection)),
            "token": clear,
            "token_details": token_body(token),
        }
        return Response(body, status=201, headers={"Cache-Control": "no-store"})


def _filtered(rows: QuerySet[LinkSession], request: Request) -> QuerySet[LinkSession]:
    if reference := text_from(request, "customer_reference"):
        rows = rows.filter(customer_reference=reference)
    status = choice_from(request, "status", LinkStatus.values)
    if status == LinkStatus.EXPIRED:
        return rows.filter(status__in=_GOING_ON, expires_at__lte=Now())
    if status in _GOING_ON:
        return rows.filter(status=status, expires_at__gt=Now())
    return rows.filter(status=status) if status else rows
