"""Who calls the API: a service with a token, never a browser of another site."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from core import ids
from core.api_errors import ForbiddenError
from core.callers import address_of
from workspaces import tokens
from workspaces.models import ApiToken


@dataclass(frozen=True)
class Principal:
    """The service behind a token, where DRF expects a user."""

    token_id: UUID
    name: str
    is_authenticated: bool = True
    is_active: bool = True

    def __str__(self) -> str:
        return f"token {ids.show(ApiToken.PREFIX, self.token_id)}"


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`. Without that header nobody is authenticated; the permission refuses then."""

    def authenticate(self, request: Request) -> tuple[Principal, ApiToken] | None:
        scheme, _, clear = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer":
            return None
        address, request_id = address_of(request), getattr(request._request, "request_id", "")
        token = tokens.authenticate(clear.strip(), address=address, request_id=request_id)
        structlog.contextvars.bind_contextvars(token_id=str(token.id), workspace_id=str(token.workspace_id))
        if _is_foreign_browser(request):
            tokens.note_refusal("token.browser_refused", token, address=address, request_id=request_id)
            raise ForbiddenError(
                "API tokens are for servers. Call us from your own server, and revoke this token if it was built into"
                " a page or an app.",
                code="BROWSER_NOT_ALLOWED",
                log_detail=f"token {token.id} was sent by a browser",
            )
        return Principal(token.id, token.name), token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="lineshaft"'


def _is_foreign_browser(request: Request) -> bool:
    """Browsers alone send these headers, and pages cannot forge them."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return True
    origin = request.headers.get("Origin")
    return origin is not None and origin.lower() not in _own_origins(request)


def _own_origins(request: Request) -> set[str]:
    public = urlsplit(settings.PUBLIC_URL)
    return {f"{request.scheme}://{request.get_host()}".lower(), f"{public.scheme}://{public.netloc}".lower()}
