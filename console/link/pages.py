"""What all steps share: the session behind the address, the one browser that may go on, the workspace's face."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views import View
from django_scopes import scope

from connections.models import LinkSession
from connections.services import linking
from connections.services.linking import LinkError
from console.link.branding import brand_of
from console.link.failures import failure_page
from console.link.headers import guard
from core import ids
from core.errors import LineshaftError
from integrations.registry import catalogue
from workspaces.audit import acting, actor_of
from workspaces.choices import ActorKind

OAUTH_PATH, OAUTH_SECONDS = "/link/oauth/", 3600
STEPS = (("system", "System"), ("connect", "Sign in"), ("result", "Check"), ("share", "Share"))


class LinkPage(View):
    """A step of one session. With `bound`, only for the browser that began; others are sent to the start or told so."""

    step = ""
    bound = True
    token: str
    session: LinkSession

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.token = str(kwargs.pop("token"))
        try:
            self.session = linking.find_session(self.token)
        except LinkError as error:
            return self.ended(request, error)
        with as_customer(request, self.session):
            try:
                if self.bound and self.session.browser_digest is None:
                    return self.go("start")
                if self.session.browser_digest is not None and self.bound:
                    linking.begin(self.session, self.browser)
                return guard(super().dispatch(request, *args, **kwargs))
            except LinkError as error:
                return self.ended(request, error)
            except LineshaftError as error:
                return self.failed(error)

    def ended(self, request: HttpRequest, error: LinkError) -> HttpResponseBase:
        """The page of a refusal. Whoever finished, and did not see the answer arrive, gets it once more."""
        session = error.session or getattr(self, "session", None)
        if session is None or error.code != "LINK_FINISHED":
            return refused(request, error, self.token, session=session)
        self.session = session
        with as_customer(request, session):
            if not linking.may_hand_over_again(session, self.browser):
                return refused(request, error, self.token)
            if self.step != "share" or request.method != "POST":
                return refused(request, error, self.token, resume=True)
            finished = linking.hand_over_again(session, self.browser)
            return guard(self.page("done", finished=finished, steps=[]))

    def is_outdated(self, data: QueryDict | None) -> bool:
        """Whether a form was drawn for another test than the last one, e.g. in a second tab."""
        current = linking.attempt_of(self.session)
        return data is not None and data.get("drawn-for", current) != current

    def choose_fixed(self) -> None:
        """Choose the system that the link names, as long as none is chosen. Errors: LinkError LINK_SYSTEM_UNAVAILABLE."""
        if self.session.system and not self.session.chosen_system:
            linking.choose_system(self.session, self.session.system)

    @property
    def browser(self) -> str | None:
        """What this browser was given when it began; nothing when it never did."""
        return self.request.COOKIES.get(_browser_cookie(self.session)) or None

    @property
    def system_title(self) -> str:
        kind = catalogue().get(self.session.chosen_system or self.session.system)
        return kind.title if kind else ""

    def page(self, template: str, *, status: int = 200, **more: Any) -> HttpResponse:
        """One page, drawn now: within the scope of the session's workspace."""
        context = {
            "brand": brand_of(self.session.workspace),
            "session": self.session,
            "token": self.token,
            "system_title": self.system_title,
            "renewed": self.session.connection if self.session.is_renewal else None,
            "steps": steps(self.session, self.step),
            "attempt": linking.attempt_of(self.session),
            **more,
        }
        return render(self.request, f"link/{template}.html", context, status=status)

    def go(self, step: str) -> HttpResponseBase:
        """Another page, asked for by GET."""
        return guard(HttpResponse(status=303, headers={"Location": reverse(f"link-{step}", args=[self.token])}))

    def failed(self, error: LineshaftError) -> HttpResponse:
        """A page about what did not work, from which the step can be tried again."""
        again = reverse(f"link-{self.step}", args=[self.token]) if self.step else ""
        workspace = self.session.workspace
        return failure_page(self.request, error, workspace=workspace, token=self.token, again=again)


@contextmanager
def as_customer(request: HttpRequest, session: LinkSession) -> Iterator[None]:
    """See the session's workspace alone, and be known to the audit log as the customer with this link."""
    name = f"customer by link {ids.show(session.PREFIX, session.pk)}"
    with scope(workspace=session.workspace_id), acting(actor_of(request, ActorKind.CUSTOMER, name)):
        yield


def refused(
    request: HttpRequest, error: LinkError, token: str, session: LinkSession | None = None, *, resume: bool = False
) -> HttpResponse:
    """The page of a link that does not lead on, with the workspace's face if the link was ever one. `resume`: this
    browser made the connection, and may go back with it."""
    known = session or error.session
    if known is None:
        return failure_page(request, error)
    ways = {"resume": True} if resume else _ways_on(error, known, token)
    with scope(workspace=known.workspace_id):
        return failure_page(request, error, workspace=known.workspace, token=token, **ways)


# Where one can go on after a failure, by its code.
_AGAIN = {
    "LINK_DENIED": "connect",
    "LINK_OAUTH_FAILED": "connect",
    "LINK_STATE_FOREIGN": "connect",
    "LINK_NOT_TESTED": "connect",
    "LINK_OVERTAKEN": "result",
    "LINK_BUSY": "connect",
    "LINK_SYSTEM_UNAVAILABLE": "system",
    "LINK_NOTHING_TO_RENEW": "share",
}


def _ways_on(error: LinkError, session: LinkSession, token: str) -> dict[str, Any]:
    if error.code == "LINK_SYSTEM_UNAVAILABLE" and session.system:
        return {"again": reverse("link-start", args=[token]), "cancel": reverse("link-cancel", args=[token])}
    if not token or error.code not in (*_AGAIN, "LINK_OTHER_BROWSER"):
        return {}
    if error.code == "LINK_OTHER_BROWSER":
        return {"take_over": True}
    again = reverse(f"link-{_AGAIN[error.code]}", args=[token])
    return {"again": again, "cancel": reverse("link-cancel", args=[token])}


def next_step(session: LinkSession) -> str:
    """Where the customer stands: the first step that is not done."""
    if not session.chosen_system:
        return "system"
    outcome = linking.outcome_of(session)
    if outcome is None or not outcome.ok:
        return "connect"
    return "result"


def steps(session: LinkSession, current: str) -> list[dict[str, str]]:
    """The way as it is shown above each page: which steps are done, which one this is."""
    way = [step for step in STEPS if step[0] != "system" or not session.system]
    names = [name for name, _ in way]
    if current not in names:
        return []
    here = names.index(current)
    states = ["done" if place < here else "current" if place == here else "open" for place in range(len(way))]
    return [{"label": label, "state": state} for (_, label), state in zip(way, states, strict=True)]


def remember_browser(response: HttpResponseBase, session: LinkSession, browser: str) -> HttpResponseBase:
    """Keep what shows that it is still the same browser, until it is closed."""
    return _keep(response, _browser_cookie(session), browser, "/link/")


def remember_way_back(response: HttpResponseBase, address: str, token: str, browser: str) -> HttpResponseBase:
    """For the system's answer, which holds nothing of ours but the state that stands in `address`."""
    state = parse_qs(urlsplit(address).query).get("state", [""])[-1]
    return _keep(response, _oauth_cookie(state), f"{token}.{browser}", OAUTH_PATH, seconds=OAUTH_SECONDS)


def way_back(request: HttpRequest) -> tuple[str, str | None]:
    """The link's token and this browser's value, of the sign-in that the request answers; ("", None) for a foreign one."""
    token, _, browser = request.COOKIES.get(_oauth_cookie(request.GET.get("state", "")), "").partition(".")
    return token, browser or None


def forget_way_back(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """One answer is taken once."""
    name = _oauth_cookie(request.GET.get("state", ""))
    response.delete_cookie(name, path=OAUTH_PATH, samesite="Lax")
    return response


def _browser_cookie(session: LinkSession) -> str:
    """One for each link: two can be open at once."""
    return f"lineshaft_link_{session.pk.hex}"


def _oauth_cookie(state: str) -> str:
    return f"lineshaft_oauth_{hashlib.sha256(state.encode('utf-8', 'replace')).hexdigest()[:32]}"


def _keep(response: HttpResponseBase, name: str, value: str, path: str, seconds: int | None = None) -> HttpResponseBase:
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=path,
        httponly=True,
        samesite="Lax",  # it must come along when a system leads back here
        secure=settings.SESSION_COOKIE_SECURE,
    )
    return response


def with_answer(address: str, **values: str) -> str:
    """A registered address with what is told to it; what it holds already stays."""
    told = urlencode({name: value for name, value in values.items() if value})
    return f"{address}{'&' if '?' in address else '?'}{told}" if told else address
