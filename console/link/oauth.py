"""The systems' own sign-in pages lead back here."""

from __future__ import annotations

from contextlib import nullcontext

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_GET

from connections.services import linking
from connections.services.linking import LinkError
from console.link.pages import LinkPage, as_customer, forget_way_back, refused, way_back
from core.errors import LineshaftError


@require_GET
def oauth_callback(request: HttpRequest) -> HttpResponseBase:
    """The system's answer to a sign-in that was begun in this browser."""
    token, browser = way_back(request)
    view = LinkPage()
    view.setup(request)
    view.token = token
    return forget_way_back(request, _taken(view, request, browser))


def _taken(view: LinkPage, request: HttpRequest, browser: str | None) -> HttpResponseBase:
    session = None
    try:
        if view.token:
            session = view.session = linking.find_session(view.token)
        with as_customer(request, session) if session else nullcontext():
            linking.take_oauth_answer(browser, request.GET)
    except LinkError as error:
        return refused(request, error, view.token, session=session)
    except LineshaftError as error:
        return view.failed(error)
    return view.go("result")
