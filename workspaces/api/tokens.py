"""Tokens: seen, made, rotated and revoked by tokens."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.api_errors import ForbiddenError, NotFoundHereError
from core.pagination import cursor_from, encode_cursor, filters_of, limit_from
from workspaces import tokens
from workspaces.choices import Scope
from workspaces.models import ApiToken
from workspaces.permissions import MissingScopeError
from workspaces.serializers import (
    CreateTokenSerializer,
    NewTokenSerializer,
    RotatedTokenSerializer,
    RotateTokenSerializer,
    TokenListSerializer,
    TokenSerializer,
    token_body,
)
from workspaces.views import ApiView

EVERYWHERE, EVERYWHERE_V6 = "0.0.0.0/0", "::/0"
_LIMIT = OpenApiParameter("limit", int, description="1 to 500, 100 when absent")
TOKEN_EXAMPLE: dict[str, Any] = {
    "id": "tok_01935000000070008000000000000004",
    "name": "Order service, production",
    "prefix": "lsh_live_4fGh81kLmN2p_",
    "status": "active",
    "environment": "live",
    "workspace": "ws_01935000000070008000000000000001",
    "connection": None,
    "person": None,
    "scopes": ["events:read", "records:read"],
    "allowed_networks": ["203.0.113.0/24"],
    "kept_at": None,
    "replaces": None,
    "created_at": "2026-03-01T08:00:00Z",
    "created_by": "token tok_01935000000070008000000000000005",
    "expires_at": "2027-03-01T08:00:00Z",
    "revoked_at": None,
    "last_used_at": None,
}
_ROTATED = {
    **TOKEN_EXAMPLE,
    "id": "tok_01935000000070008000000000000009",
    "prefix": "lsh_live_9sQ2vTx7Rb1m_",
    "replaces": TOKEN_EXAMPLE["id"],
    "token": "lsh_live_...",
    "replaced": {**TOKEN_EXAMPLE, "expires_at": "2026-06-01T09:00:00Z"},
}
_REQUEST = {name: TOKEN_EXAMPLE[name] for name in ("name", "scopes", "expires_at", "allowed_networks")}


class Tokens(ApiView):
    """The tokens that the caller's token may see, and new ones within its own bounds."""

    scopes = {"GET": Scope.TOKENS_WRITE, "POST": Scope.TOKENS_WRITE}
    parameters = {"GET": {"limit", "cursor"}}

    @extend_schema(
        operation_id="listTokens",
        tags=["tokens"],
        summary="List tokens",
        parameters=[_LIMIT, OpenApiParameter("cursor", str, description="`next_cursor` of the page before")],
        responses=TokenListSerializer,
        examples=[OpenApiExample("Page", {"data": [TOKEN_EXAMPLE], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        limit, after = limit_from(request), cursor_from(request, (UUID,), purpose="tokens")
        rows = visible_tokens(self.token).order_by("-id")
        page = list((rows.filter(id__lt=after[0]) if after else rows)[: limit + 1])
        more = len(page) > limit
        cursor = encode_cursor((page[limit - 1].id,), purpose="tokens", filters=filters_of(request)) if more else None
        return Response({"data": [token_body(token) for token in page[:limit]], "next_cursor": cursor})

    @extend_schema(
        operation_id="createToken",
        tags=["tokens"],
        summary="Create a token",
        description=(
            "The answer is the only time the token itself is shown. A token never makes one that may do or see more"
            " than it does: no other scope, environment or network, and a connection token only for its connection. The"
            " token of a person makes tokens of that person."
        ),
        request=CreateTokenSerializer,
        responses={201: NewTokenSerializer},
        examples=[
            OpenApiExample("Request", _REQUEST, request_only=True),
            OpenApiExample(
                "Created", {**TOKEN_EXAMPLE, "token": "lsh_live_..."}, response_only=True, status_codes=["201"]
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        serializer = CreateTokenSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        made, clear = tokens.create_within(
            self.token,
            workspace=self.workspace,
            created_by=str(request.user),
            **within(self.token, serializer.validated_data),
        )
        return shown_once({**token_body(made), "token": clear})


class OneToken(ApiView):
    """One token."""

    scopes = {"GET": Scope.TOKENS_WRITE}

    @extend_schema(
        operation_id="getToken",
        tags=["tokens"],
        summary="See a token",
        responses=TokenSerializer,
        examples=[OpenApiExample("Token", TOKEN_EXAMPLE, response_only=True)],
    )
    def get(self, request: Request, token_id: str) -> Response:
        return Response(token_body(find_token(self.token, token_id)))


class RotateToken(ApiView):
    """A new token in place of one."""

    scopes = {"POST": Scope.TOKENS_WRITE}

    @extend_schema(
        operation_id="rotateToken",
        tags=["tokens"],
        summary="Rotate a token",
        description=(
            "Makes a token that may do the same and shows it this once. Both work until the overlap is over; the old one"
            " never lives longer than it would have. Your token must itself be allowed all that the rotated one is; it may"
            " always rotate itself. 409 `TOKEN_ALREADY_ROTATED` the second time, `TOKEN_NOT_ACTIVE` when it has ended."
        ),
        request=RotateTokenSerializer,
        responses={201: RotatedTokenSerializer},
        examples=[
            OpenApiExample("Request", {"overlap_seconds": 3600}, request_only=True),
            OpenApiExample("Rotated", _ROTATED, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request, token_id: str) -> Response:
        old = find_token(self.token, token_id)
        serializer = RotateTokenSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        refuse_beyond(self.token, old)
        made, clear = tokens.rotate_token(token=old, by=str(request.user), **serializer.validated_data)
        return shown_once({**token_body(made), "token": clear, "replaced": token_body(old)})


class RevokeToken(ApiView):
    """The end of a token."""

    scopes = {"POST": Scope.TOKENS_WRITE}

    @extend_schema(
        operation_id="revokeToken",
        tags=["tokens"],
        summary="Revoke a token",
        description="It is refused from the next request on. Revoking twice changes nothing.",
        request=None,
        responses=TokenSerializer,
        examples=[
            OpenApiExample(
                "Revoked",
                {**TOKEN_EXAMPLE, "status": "revoked", "revoked_at": "2026-06-01T08:00:00Z"},
                response_only=True,
            )
        ],
    )
    def post(self, request: Request, token_id: str) -> Response:
        token = find_token(self.token, token_id)
        tokens.revoke_token(token=token, revoked_by=str(request.user))
        return Response(token_body(token))


def visible_tokens(own: ApiToken) -> Any:
    """Tokens of the caller's environment, and of its connection when it has one."""
    rows = ApiToken.objects.filter(environment=own.environment).select_related("person")
    return rows if own.connection_id is None else rows.filter(connection_id=own.connection_id)


def find_token(own: ApiToken, shown_id: str) -> ApiToken:
    """The visible token with this id, else 404."""
    value = ids.read(ApiToken.PREFIX, shown_id)
    token: ApiToken | None = visible_tokens(own).filter(pk=value).first() if value else None
    if token is None:
        raise NotFoundHereError("There is no such token.")
    return token


def within(own: ApiToken, wanted: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, completed from the caller's token; 403 for whatever would reach beyond it."""
    for scope in wanted["scopes"]:
        if not tokens.grants(own.scopes, scope):
            raise MissingScopeError(
                f"Your token has not the scope {scope}, so it cannot give it.", extra={"required_scope": str(scope)}
            )
    if wanted.setdefault("environment", own.environment) != own.environment:
        raise ForbiddenError(
            f"Your token is of the {own.environment} environment and makes tokens for that alone.",
            code="ENVIRONMENT_NOT_ALLOWED",
        )
    networks = wanted.get("allowed_networks") or own.allowed_networks
    tokens.refuse_wrong_networks(networks)
    bounds = {"person_id": own.person_id, "rate_limit_per_minute": own.rate_limit_per_minute}
    return {**wanted, **bounds, "allowed_networks": _inside(own, networks)}


def refuse_beyond(own: ApiToken, other: ApiToken) -> None:
    """403 where having the other token would let the caller do or reach more. Nobody gets another person's token."""
    if other.pk == own.pk:
        return
    if other.person_id not in (None, own.person_id):
        raise ForbiddenError("The token belongs to a person, who alone may rotate it.", code="TOKEN_OF_A_PERSON")
    within(own, {"scopes": other.scopes})
    _inside(own, other.allowed_networks or [EVERYWHERE, EVERYWHERE_V6])


def shown_once(body: dict[str, Any]) -> Response:
    """201 with a token in it."""
    location = f"/api/v1/tokens/{body['id']}"
    return Response(body, status=201, headers={"Location": location, "Cache-Control": "no-store"})


def _inside(own: ApiToken, networks: list[str]) -> list[str]:
    for network in networks if own.allowed_networks else ():
        if not tokens.covers(own.allowed_networks, network):
            raise ForbiddenError(
                f"{network[:64]} is not within the networks of your own token.", code="NETWORK_NOT_ALLOWED"
            )
    return networks
