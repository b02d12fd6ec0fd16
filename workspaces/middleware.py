"""The scope of a signed-in person: the workspaces they belong to, with their role in each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django_scopes import scope, scopes_disabled

from workspaces.audit import acting, actor_of
from workspaces.choices import ActorKind
from workspaces.role_permissions import roles_of


class ScopeMiddleware:
    """Enter the person's workspaces for screens. API requests enter the token's scope in their view.

    A superuser is the operator of the installation and sees all.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith("/api/") or not request.user.is_authenticated:
            return self.get_response(request)
        with acting(actor_of(request, ActorKind.PERSON, str(request.user))):
            return self._answer(request)

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        user: Any = request.user
        if user.is_superuser:
            with scopes_disabled():
                return self.get_response(request)
        roles = roles_of(user)
        request.workspace_roles = roles  # type: ignore[attr-defined]  # core.admin decides by them
        with scope(workspace=list(roles)):
            return self.get_response(request)
