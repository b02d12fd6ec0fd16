"""Every page of the connect flow by who has no link, another link, or the link without the browser that began it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import get_resolver

from connections.services.linking import create_link_session
from tests.clients import fresh_client
from tests.tenancy.callers import Answer
from tests.tenancy.plant import SLUG
from tests.tenancy.routes import walk
from tests.tenancy.world import Side, World, state_of

PAGES = sorted(path for path, _ in walk(get_resolver()) if path.startswith("link/<str:token>"))
STEPS = {"system", "connect", "result", "places", "share"}
"""Pages for the browser alone in which the customer began."""
METHODS = ("get", "post")
every = pytest.mark.parametrize


@dataclass
class Customer:
    """Somebody with a link, in the browser in which they began."""

    token: str
    browser: Client
    name: str


@pytest.fixture
def customers(world: World) -> tuple[Customer, Customer]:
    """One of the owner's workspace, one of the other's."""
    return _customer(world.mine), _customer(world.theirs)


def _customer(side: Side) -> Customer:
    name = f"customer of {side.word}"
    _, token = create_link_session(
        workspace=side.workspace, environment="live", system=SLUG, name=name, customer_reference=f"{name} 1",
        created_by="the matrix",
    )  # fmt: skip
    browser = fresh_client()
    assert browser.post(f"/link/{token}").status_code == 303
    return Customer(token, browser, name)


def visits(browser: Client, page: str, token: str) -> Iterator[tuple[str, Answer]]:
    """Every method of a page; what it wrote stays."""
    for method in METHODS:
        with transaction.atomic():
            response: Any = getattr(browser, method)("/" + page.replace("<str:token>", token))
        yield method, Answer(response.status_code, response.content.decode(), response.get("Location", ""))


@every("page", PAGES)
def test_page_shows_the_workspace_of_its_link_alone(
    world: World, customers: tuple[Customer, Customer], page: str
) -> None:
    mine, theirs = customers
    before = state_of(world.mine)
    for browser in (theirs.browser, fresh_client()):
        for method, answer in visits(browser, page, theirs.token):
            assert answer.status < 500, f"{method}: {answer.text[:400]}"
            shown = answer.leaks(world.mine.traces | {mine.name, mine.token})
            assert not shown, f"{method}: {shown}"
    assert state_of(world.mine) == before, "a link of another workspace wrote something"


@every("page", PAGES)
def test_page_of_a_link_that_nobody_has_is_not_there(
    world: World, customers: tuple[Customer, Customer], page: str
) -> None:
    before = state_of(world.mine)
    for token in (f"{customers[0].token[:-1]}{'A' if customers[0].token[-1] != 'A' else 'B'}", "x", "con_" + "0" * 32):
        for method, answer in visits(customers[0].browser, page, token):
            assert answer.status in (404, 405), f"{method}: {answer.status} {answer.text[:400]}"
            assert not answer.leaks(world.mine.traces | world.theirs.traces | {customers[0].name}), method
    assert state_of(world.mine) == before


@every("page", [page for page in PAGES if page.rpartition("/")[2] in STEPS])
def test_step_is_for_the_browser_alone_that_began(
    world: World, customers: tuple[Customer, Customer], page: str
) -> None:
    """The link may have been seen by others: with it alone nothing of what was filled in is seen or changed."""
    mine, theirs = customers
    own = dict(visits(mine.browser, page, mine.token))
    assert own["get"].status in (200, 303), own["get"].text[:400]
    before = state_of(world.mine)
    for browser in (theirs.browser, fresh_client()):
        for method, answer in visits(browser, page, mine.token):
            assert answer.status == 409, f"{method}: {answer.status} {answer.text[:400]}"
            assert not answer.leaks({mine.name, *world.plant.traces}), method
    assert state_of(world.mine) == before, "another browser wrote something"


def test_answer_of_a_system_belongs_to_the_browser_that_was_sent_away(
    world: World, customers: tuple[Customer, Customer]
) -> None:
    before = state_of(world.mine)
    for browser in (*(customer.browser for customer in customers), fresh_client()):
        response = browser.get("/link/oauth/callback", {"state": "x" * 43, "code": "c"})
        assert response.status_code == 400
        assert not Answer(400, response.content.decode()).leaks(world.mine.traces | world.theirs.traces)
    assert state_of(world.mine) == before


def test_every_page_is_one_of_the_flow() -> None:
    assert len(PAGES) >= 10 and {page.rpartition("/")[2] for page in PAGES} >= STEPS
