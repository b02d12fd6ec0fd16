"""Connection tokens: listed and made for one connection, within the bounds of the caller's own token."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from connections.api import examples
from connections.choices import ConnectionStatus
from connections.models import Connection
from connections.serializers import NewConnectionTokenSerializer
from connections.views import find_connection
from core.errors import ConflictError
from core.pagination import cursor_from, encode_cursor, filters_of, limit_from
from workspaces.api.tokens import shown_once, visible_tokens, within
from workspaces.choices import Scope
from workspaces.models import ApiToken
from workspaces.serializers import NewTokenSerializer, TokenListSerializer, token_body
from workspaces.tokens import create_token
from workspaces.views import ApiView

TAGS = ["tokens"]


class ConnectionTokens(ApiView):
    """The tokens that see one connection alone."""

    scopes = {"GET": Scope.TOKENS_WRITE, "POST": Scope.TOKENS_WRITE}
    parameters = {"GET": {"limit", "cursor"}}

    @extend_schema(
        operation_id="listConnectionTokens",
        tags=TAGS,
        summary="List a connection's tokens",
        description="Newest first, revoked and expired ones too. `/tokens/{id}/revoke` ends one.",
        parameters=[
            OpenApiParameter("limit", int, description="1 to 500, 100 when absent"),
            OpenApiParameter("cursor", str, description="`next_cursor` of the page before"),
        ],
        responses=TokenListSerializer,
        examples=[OpenApiExample("Page", {"data": [examples.TOKEN], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request, connection_id: str) -> Response:
        connection = find_connection(self.token, connection_id)
        purpose = f"tokens of {connection.pk.hex}"
        limit, after = limit_from(request), cursor_from(request, (UUID,), purpose=purpose)
        rows = visible_tokens(self.token).filter(connection_id=connection.pk).order_by("-id")
        page = list((rows.filter(id__lt=after[0]) if after else rows)[: limit + 1])
        shown, cursor = page[:limit], None
        if len(page) > limit:
            cursor = encode_cursor((shown[-1].id,), purpose=purpose, filters=filters_of(request))
        return Response({"data": [token_body(token) for token in shown], "next_cursor": cursor})

    @extend_schema(
        operation_id="createConnectionToken",
        tags=TAGS,
        summary="Create a token for a connection",
        description=(
            "It sees this connection alone, in the connection's environment. The answer is the only time the token"
            " itself is shown. No scope or network goes beyond those of your own token. A connection that was ended gets"
            " none: 409 CONNECTION_DISCONNECTED."
        ),
        request=NewConnectionTokenSerializer,
        responses={201: NewTokenSerializer},
        examples=[
            OpenApiExample("Request", examples.NEW_TOKEN, request_only=True),
            OpenApiExample(
                "Created", {**examples.TOKEN, "token": "lsh_live_..."}, response_only=True, status_codes=["201"]
            ),
        ],
    )
    def post(self, request: Request, connection_id: str) -> Response:
        connection = find_connection(self.token, connection_id)
        serializer = NewConnectionTokenSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = within(self.token, serializer.validated_data)
        made, clear = _create(connection, created_by=str(request.user), **values)
        return shown_once({**token_body(made), "token": clear})


@transaction.atomic
def _create(connection: Connection, **values: Any) -> tuple[ApiToken, str]:
    """Make the token, unless the connection was ended.

    The lock is the one `disconnect_connection` takes: no token is made after it revoked them all.
    """
    locked = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
    if locked.health == ConnectionStatus.DISCONNECTED:
        raise ConflictError("The connection was ended; reconnect it first.", code="CONNECTION_DISCONNECTED")
    return create_token(workspace=locked.workspace, connection_id=locked.pk, **values)
