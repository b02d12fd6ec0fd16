"""The base of every API view."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django_scopes import scope
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from core.parameters import check_query_parameters
from workspaces.audit import acting, actor_of
from workspaces.choices import ActorKind, Scope
from workspaces.models import ApiToken, Workspace
from workspaces.rate_limits import Quota, headers_of, refuse_exceeded, take_request


class OneFormat(DefaultContentNegotiation):
    """Whatever a client says it accepts, the answer is JSON: there is no other form to choose."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, first.media_type


class ApiView(APIView):
    """A view that sees one workspace: that of the caller's token, from the check of the token to the answer.

        class Things(ApiView):
            scopes = {"GET": Scope.RECORDS_READ}
            parameters = {"GET": {"limit", "cursor"}}

    A method without a scope is refused; a query parameter that is not declared is 400. What the view returns must be
    plain data: a queryset left to the renderer would be read outside the scope, which raises.
    """

    scopes: ClassVar[Mapping[str, Scope]] = {}
    parameters: ClassVar[Mapping[str, Collection[str]]] = {}
    content_negotiation_class = OneFormat
    metadata_class = None
    _entered: ExitStack
    _quotas: Sequence[Quota] = ()

    @property
    def token(self) -> ApiToken:
        """The caller's token. Only within a request: the schema is made from views without one."""
        token = self.request.auth
        if not isinstance(token, ApiToken):
            raise RuntimeError("There is no token before authentication.")
        return token

    @property
    def workspace(self) -> Workspace:
        """The token's workspace (one query at the first use; `token.workspace_id` costs none)."""
        return self.token.workspace

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with ExitStack() as self._entered:
            return super().dispatch(request, *args, **kwargs)

    def perform_authentication(self, request: Request) -> None:
        super().perform_authentication(request)
        if isinstance(request.auth, ApiToken):
            actor = actor_of(request, ActorKind.TOKEN, str(request.user), request.auth.pk)
            self._entered.enter_context(acting(actor))
            self._entered.enter_context(scope(workspace=request.auth.workspace_id))
            named = (
                self.kwargs.get("connection_id")
                or request.headers.get("X-Connection-Id")
                or request.GET.get("connection")
            )
            self._quotas = take_request(request.auth, named)
            refuse_exceeded(self._quotas)

    def check_permissions(self, request: Request) -> None:
        """405 for what the view has no method for, rather than a word about scopes."""
        if self._handler(request) is None:
            self.http_method_not_allowed(request)
        super().check_permissions(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = "GET" if request.method == "HEAD" else str(request.method)
        check_query_parameters(request, self.parameters.get(method, ()))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Data runs no scripts: a policy for them is left out, which would cost a twentieth of a list."""
        final = super().finalize_response(request, response, *args, **kwargs)
        for name, value in headers_of(self._quotas).items():
            final[name] = value
        final._csp_exempt = True  # type: ignore[attr-defined]  # what django-csp looks at
        return final

    def _handler(self, request: Request) -> Callable[..., Any] | None:
        name = str(request.method).lower()
        known = name in self.http_method_names and name != "options"
        handler: Callable[..., Any] | None = getattr(self, name, None) if known else None
        return handler
