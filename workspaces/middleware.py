"""The scope of a signed-in person: the workspaces they belong to, with their role in each."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django_scopes import scope, scopes_disabled

from workspaces.models import Membership


class ScopeMiddleware:
    """Enter the person's workspaces for screens. API requests enter the token's scope in their view.

    A superuser is the operator of the installation and sees all.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith("/api/") or not request.user.is_authenticated:
            return self.get_response(request)
        if request.user.is_superuser:
            with scopes_disabled():
                return self.get_response(request)
        with scopes_disabled():
            roles = dict(Membership.objects.filter(user=request.user).values_list("workspace_id", "role"))
        request.workspace_roles = roles  # type: ignore[attr-defined]  # core.admin decides by them
        with scope(workspace=list(roles)):
            return self.get_response(request)
