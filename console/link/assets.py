"""What the pages load besides the common stylesheet: the workspace's colour and logo, systems' logos, and link.js."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_GET
from django_scopes import scope

from connections.models import SystemLogo
from connections.services import linking
from connections.services.linking import LinkError
from console.link.branding import theme_of
from console.link.headers import guard
from workspaces.models import Workspace

SCRIPT = Path(__file__).resolve().parent.parent / "static" / "link" / "link.js"
LOGO_SECONDS, SCRIPT_SECONDS = 3600, 3600


@require_GET
def theme(request: HttpRequest, token: str) -> HttpResponseBase:
    """The workspace's colour, as a stylesheet since the policy allows no style inside a page."""
    return guard(HttpResponse(theme_of(_workspace_of(token)), content_type="text/css; charset=utf-8"))


@require_GET
def logo(request: HttpRequest, token: str) -> HttpResponseBase:
    workspace = _workspace_of(token)
    if not workspace.logo or not workspace.logo_type:
        raise Http404
    return _picture(workspace.logo, workspace.logo_type)


@require_GET
def system_logo(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Logos of systems are the installation's and the same for everybody."""
    found = SystemLogo.objects.filter(system=slug).first()
    if found is None:
        raise Http404
    return _picture(found.image, found.image_type)


@require_GET
def script(request: HttpRequest) -> HttpResponse:
    """link.js for the pages of other products: it may be loaded from any site."""
    response = HttpResponse(_script(), content_type="text/javascript; charset=utf-8")
    response["Cache-Control"] = f"public, max-age={SCRIPT_SECONDS}"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@cache
def _script() -> bytes:
    return SCRIPT.read_bytes()


def _workspace_of(token: str) -> Workspace:
    """Whose link it is, also when it has ended: its last page is as coloured as the others."""
    try:
        session = linking.find_session(token)
    except LinkError as error:
        if error.session is None:
            raise Http404 from error
        session = error.session
    with scope(workspace=session.workspace_id):
        return session.workspace


def _picture(content: bytes | memoryview, media_type: str) -> HttpResponseBase:
    response = HttpResponse(bytes(content), content_type=media_type)
    response["Cache-Control"] = f"private, max-age={LOGO_SECONDS}"
    return guard(response)
