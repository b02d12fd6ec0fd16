"""Pages on which the way ends: what happened, and what to do next. Nothing of the inside is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.csrf import csrf_failure as plain_csrf_failure

from connections.services.linking import LinkError
from console.link.branding import Brand, brand_of
from console.link.headers import guard
from core.errors import LineshaftError, WhoMustAct
from core.problem_mapping import problem_of
from workspaces.models import Workspace

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Failure:
    """One page: its HTTP status, heading, and what to do next. {name} is the workspace's."""

    status: int
    title: str
    text: str
    tone: str = "bad"


NEW_LINK = "Ask {name} for a new link."
FAILURES = {
    "LINK_UNKNOWN": Failure(
        404,
        "This link does not work",
        "The address may have been cut off or mistyped. Open the link again exactly as you got it, or ask for a new one.",
    ),
    "LINK_EXPIRED": Failure(
        410, "This link has expired", "For your safety links work for a limited time only. " + NEW_LINK, "warn"
    ),
    "LINK_FINISHED": Failure(
        410,
        "This link was used already",
        "The connection was made with it. There is nothing left to do here: you can close this window."
        " To connect something else, ask {name} for another link.",
        "good",
    ),
    "LINK_CANCELLED": Failure(
        410,
        "This link was cancelled",
        "Nothing was connected and nothing of what was typed was kept. " + NEW_LINK,
        "warn",
    ),
    "LINK_OTHER_BROWSER": Failure(
        409,
        "This link is open in another browser",
        "Only the browser in which you began can go on. Return to it, or start anew here: what was filled in there is"
        " then erased.",
        "warn",
    ),
    "LINK_DENIED": Failure(
        403,
        "You did not allow access",
        "The system was told that {name} may not use your account, and nothing was stored. Try again if you did not mean"
        " to, or cancel.",
        "warn",
    ),
    "LINK_STATE_FOREIGN": Failure(
        400,
        "This sign-in does not belong to this browser",
        "The answer of the system fits no sign-in that was begun here, or was used already. Nothing was stored."
        " Return to the link that you got and start again.",
    ),
}
_BY_OPERATOR = (
    "This cannot be connected at the moment, for a reason that you cannot mend. Nothing was stored. Tell {name}, and give"
    " the reference below."
)
_BY_TIME = "This did not work just now and nothing was stored. Try again in a few minutes."


def failure_of(error: LineshaftError) -> Failure:
    """The page of an error. Texts for customers are shown as they are; what others must mend is only said to be so."""
    known = FAILURES.get(error.code)
    if known is not None:
        return known
    if error.who_must_act == WhoMustAct.CUSTOMER:
        text = error.detail.replace("{", "").replace("}", "")
    else:
        text = _BY_TIME if error.retryable else _BY_OPERATOR
    status = error.http_status if isinstance(error, LinkError) else problem_of(error).status
    return Failure(status, "This did not work", text)


def failure_page(
    request: HttpRequest,
    error: LineshaftError,
    *,
    workspace: Workspace | None = None,
    token: str = "",
    **more: Any,
) -> HttpResponse:
    """The page of an error, with the workspace's face where it is known. `more` offers ways on (see failure.html)."""
    failure = failure_of(error)
    level = log.warning if failure.status >= 500 or error.code not in FAILURES else log.info
    level("link.page_refused", code=error.code, status=failure.status, detail=error.detail, log_detail=error.log_detail)
    return _page(request, failure, brand_of(workspace) if workspace else None, token, code=error.code, **more)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that was not sent from our page, or by a browser without cookies. Django's own page elsewhere."""
    if not request.path_info.startswith("/link/"):
        return plain_csrf_failure(request, reason)
    failure = Failure(
        403,
        "Your browser did not send what we need",
        "This page needs cookies to know that it is still you. Allow cookies for this site, then open the link again.",
    )
    return _page(request, failure, None, "")


def _page(request: HttpRequest, failure: Failure, brand: Brand | None, token: str, **more: Any) -> HttpResponse:
    context = {
        "failure": failure,
        "text": failure.text.replace("{name}", brand.name if brand else "whoever sent it to you"),
        "brand": brand,
        "token": token if brand else "",
        "request_id": getattr(request, "request_id", ""),
        "show_reference": failure.text == _BY_OPERATOR,
        "public_url": settings.PUBLIC_URL,
        **more,
    }
    return guard(render(request, "link/failure.html", context, status=failure.status))  # type: ignore[return-value]
