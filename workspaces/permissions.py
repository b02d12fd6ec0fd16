"""What a token may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from core.api_errors import ForbiddenError, NotAuthenticatedError
from workspaces import tokens
from workspaces.choices import Scope
from workspaces.models import ApiToken
from workspaces.scopes import scope_of_entity

if TYPE_CHECKING:  # rest_framework.views imports this module, by way of the settings
    from rest_framework.views import APIView

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class MissingScopeError(ForbiddenError):
    """The token lacks the scope that the problem names in `required_scope`."""

    default_code = "MISSING_SCOPE"


class HasScope(BasePermission):
    """The token holds the scope that the view declares for the method: `scopes = {"GET": Scope.RECORDS_READ}`.

    A method without a declared scope is refused to everybody. Of a view of one entity (`entity_name`), the scope of that
    entity is enough: `records.purchase_order:read` for `records:read`.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        token = request.auth
        if not isinstance(token, ApiToken):
            raise NotAuthenticatedError(tokens.REFUSED, log_detail="no token was sent")
        method = "GET" if request.method == "HEAD" else str(request.method)
        needed = self.needed(request, view, method)
        if needed is None:
            log.error("scope_not_declared", view=type(view).__name__, method=method)
            raise ForbiddenError("No scope opens this method.", code="SCOPE_NOT_DECLARED")
        require_scope(token, needed)
        return True

    def needed(self, request: Request, view: APIView, method: str) -> str | None:
        """The scope for this request; None opens it to nobody."""
        declared: Scope | None = getattr(view, "scopes", {}).get(method)
        entity: str = getattr(view, "entity_name", "")
        return scope_of_entity(declared, entity) if declared is not None and entity else declared


def require_scope(token: ApiToken, needed: str) -> None:
    """Refuse with 403 MISSING_SCOPE what the token may not do."""
    if not tokens.grants(token.scopes, str(needed)):
        raise MissingScopeError(f"The token needs the scope {needed}.", extra={"required_scope": str(needed)})
