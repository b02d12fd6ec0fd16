"""The steps: begin, choose a system, sign in, see what was found, choose what to share, go back."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase

from connections.services import linking
from connections.services.linking import LinkError, Outcome
from console.link.catalogue import found, tint_of
from console.link.forms import PlacesForm, ShareForm, SignInForm
from console.link.pages import (
    LinkPage,
    next_step,
    refused,
    remember_browser,
    remember_way_back,
    with_answer,
)
from console.link.sharing import permissions, shares
from core.errors import LineshaftError, ValidationFailedError


class Start(LinkPage):
    """Who asks for what. Looking binds nothing: mail programs open links before people do."""

    bound = False

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if self.session.browser_digest is not None:
            linking.begin(self.session, self.browser)  # told at once when another browser works on it
        return self.page("start")

    def post(self, request: HttpRequest) -> HttpResponseBase:
        browser = linking.begin(self.session, self.browser)
        try:
            self.choose_fixed()
            answer = self.go(next_step(self.session))
        except LinkError as error:
            answer = refused(request, error, self.token, session=self.session)
        return remember_browser(answer, self.session, browser)


class TakeOver(LinkPage):
    """Go on in this browser instead of the one that began; what was filled in there is erased."""

    bound = False
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponseBase:
        browser = linking.take_over(self.session)
        return remember_browser(self.go("start"), self.session, browser)


class System(LinkPage):
    """Choose a system. Searching works by GET; with a script the list follows the typing."""

    step = "system"

    def get(self, request: HttpRequest) -> HttpResponseBase:
        return self._page()

    def post(self, request: HttpRequest) -> HttpResponseBase:
        slug = request.POST.get("system", "")
        if slug not in [choice.slug for choice in linking.systems_of(self.session)]:
            return self._page(status=422, fault="Choose a system of the list.")
        linking.choose_system(self.session, slug)
        return self.go("connect")

    def _page(self, status: int = 200, **more: Any) -> HttpResponseBase:
        if self.session.system:
            self.choose_fixed()
            return self.go("connect")
        every = linking.systems_of(self.session)
        query = self.request.GET.get("q", "").strip()[:80]
        category = self.request.GET.get("category", "")[:60]
        return self.page(
            "system",
            status=status,
            systems=[(choice, tint_of(choice.slug)) for choice in found(every, query, category)],
            categories=sorted({name for choice in every for name in choice.categories}),
            category=category,
            query=query,
            **more,
        )


class Connect(LinkPage):
    """The connector's own form, or the way to the system's own sign-in."""

    step = "connect"

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if not self.session.chosen_system:
            return self.go("system")
        return self._page(self._form())

    def post(self, request: HttpRequest) -> HttpResponseBase:
        if not self.session.chosen_system:
            return self.go("system")
        if request.POST.get("drawn-for", self.session.chosen_system) != self.session.chosen_system:
            return self.go("connect")  # another tab chose another system: this one's password is not for it
        form = self._form(request.POST)
        config, secrets = form.values()
        try:
            if linking.uses_oauth(self.session):
                return self._leave(config)
            outcome = linking.submit(self.session, config, secrets)
        except ValidationFailedError as error:
            form.refuse(error)
            return self._page(form, status=422)
        return self.go("result") if outcome.ok else self._page(form, status=422, outcome=outcome)

    def _leave(self, config: dict[str, Any]) -> HttpResponseBase:
        """A page that leads to the system: browsers follow no form to another site under our policy."""
        browser = self.browser or ""
        address = linking.start_oauth(self.session, config, browser)
        return remember_way_back(self.page("leave", address=address), address, self.token, browser)

    def _form(self, data: Any = None) -> SignInForm:
        return SignInForm(linking.form_of(self.session), self.session.config, data)

    def _page(self, form: SignInForm, status: int = 200, outcome: Outcome | None = None) -> HttpResponseBase:
        oauth = linking.uses_oauth(self.session)
        failed = [check for check in outcome.checks if not check.ok] if outcome else []
        return self.page("connect", status=status, form=form, oauth=oauth, outcome=outcome, failed=failed)


class Result(LinkPage):
    """What the live test found."""

    step = "result"

    def get(self, request: HttpRequest) -> HttpResponseBase:
        outcome = linking.outcome_of(self.session)
        if outcome is None:
            return self.go(next_step(self.session))
        table, following = permissions(outcome.matrix), "places" if outcome.choices else "share"
        checks = [check for check in outcome.checks if check.name != "permissions"]  # the table tells them
        status = 200 if outcome.ok else 422
        return self.page("result", status=status, outcome=outcome, checks=checks, table=table, following=following)


class Places(LinkPage):
    """Which company, site or database of those that the system offers."""

    step = "result"

    def get(self, request: HttpRequest) -> HttpResponseBase:
        return self._answer()

    def post(self, request: HttpRequest) -> HttpResponseBase:
        return self._answer(request.POST)

    def _answer(self, data: Any = None) -> HttpResponseBase:
        outcome = linking.outcome_of(self.session)
        if outcome is None or not outcome.ok:
            return self.go(next_step(self.session))
        if not outcome.choices:
            return self.go("share")
        if self.is_outdated(data):
            return self.go("result")
        form = PlacesForm(outcome.choices, self.session.config, data)
        if data is not None and form.is_valid():
            try:
                tried = linking.choose_places(self.session, form.values())
                return self.go("share" if tried.ok else "result")
            except ValidationFailedError as error:
                form.refuse(error)
        return self.page("places", status=200 if data is None else 422, form=form, outcome=outcome)


AT_THE_FORM = frozenset({"VALIDATION_FAILED", "LINK_NOTHING_SHARED"})
"""Refusals of the end that another choice mends."""


class Share(LinkPage):
    """What to share, and the end: from here on the connection stands."""

    step = "share"

    def get(self, request: HttpRequest) -> HttpResponseBase:
        return self._answer()

    def post(self, request: HttpRequest) -> HttpResponseBase:
        return self._answer(request.POST)

    def _answer(self, data: Any = None) -> HttpResponseBase:
        outcome = linking.outcome_of(self.session)
        if outcome is None or not outcome.ok:
            return self.go(next_step(self.session))
        if self.is_outdated(data):
            return self.go("result")
        renewed = self.session.connection if self.session.is_renewal else None
        form = ShareForm(
            shares(outcome.matrix, renewed.shared if renewed else None),
            passthrough=self.session.passthrough,
            held=renewed.passthrough_shared if renewed else False,
            data=data,
        )
        if data is not None and form.is_valid():
            try:
                return self._finish(form, renew="renew" in data)
            except LineshaftError as error:
                if error.code not in AT_THE_FORM:
                    raise
                form.refuse(error)
        return self.page("share", status=200 if data is None else 422, form=form, outcome=outcome)

    def _finish(self, form: ShareForm, *, renew: bool) -> HttpResponseBase:
        renew = renew or self.session.is_renewal
        finished = linking.finish(self.session, shared=form.values(), passthrough=form.passthrough, renew=renew)
        return self.page("done", finished=finished, steps=[])


class Cancel(LinkPage):
    """End it without connecting anything; what was typed is erased."""

    bound = False

    def get(self, request: HttpRequest) -> HttpResponseBase:
        self._check_browser()
        return self.page("cancel", back=next_step(self.session) if self.session.browser_digest else "start")

    def post(self, request: HttpRequest) -> HttpResponseBase:
        self._check_browser()
        linking.cancel(self.session)
        address = linking.return_address(self.session)
        back = with_answer(address, error="cancelled", state=self.session.state) if address else ""
        return self.page("cancelled", back=back, origin=linking.opener_origin(self.session))

    def _check_browser(self) -> None:
        if self.session.browser_digest is not None:
            linking.begin(self.session, self.browser)
