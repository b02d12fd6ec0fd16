"""Every route by the personal tokens of each role, and every screen by people of each role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from django_scopes import scopes_disabled

from tests.tenancy.callers import Caller, owner
from tests.tenancy.routes import PREPARED, Route, api_routes
from tests.tenancy.screens import (
    ADDITIONS,
    LOGIN,
    OPERATORS_ONLY,
    Screen,
    open_screen,
    permission_of,
    rows_made,
    screens,
    stranger_is_refused,
    visit,
)
from tests.tenancy.sending import opens, send, send_within
from tests.tenancy.world import Side, World, state_of
from tests.tenants import make_person, make_token
from workspaces.choices import Role
from workspaces.models import ApiToken, Membership
from workspaces.role_permissions import permits
from workspaces.roles import ROLE_SCOPES

pytestmark = pytest.mark.filterwarnings("ignore:No directory at")
ROUTES = api_routes()
SCREENS = [screen for screen in screens() if screen.name != "redirect"]
OBJECT_SCREENS = [screen for screen in SCREENS if screen.is_object]
GONE = ("left", "not active")
Tokens = Mapping[str, tuple[ApiToken, str]]
every = pytest.mark.parametrize


# --- by API ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(built_world: World) -> Tokens:
    """Personal tokens with all scopes in the owner's workspace, by role; of people who are none any more, too."""
    side = built_world.mine
    made = {role: _token(side, side.people[role]) for role in Role.values}
    elsewhere = make_person("auditor", side.workspace)
    with scopes_disabled():
        Membership.objects.create(workspace=built_world.theirs.workspace, user=elsewhere, role="owner")
    made["auditor, owner elsewhere"] = _token(side, elsewhere)
    for state in GONE:
        person = make_person("owner", side.workspace)
        made[state] = _token(side, person)
        if state == "left":
            with scopes_disabled():
                Membership.objects.filter(user=person).delete()
        else:
            person.is_active = False
            person.save(update_fields=["is_active"])
    return made


@pytest.fixture(scope="module")
def foreign(built_world: World) -> Tokens:
    """The same of the people of another workspace, in theirs."""
    return {role: _token(built_world.theirs, built_world.theirs.people[role]) for role in Role.values}


def _token(side: Side, person: Any) -> tuple[ApiToken, str]:
    return make_token(side.workspace, name="for myself", person_id=person.pk)


def scopes_left(who: str) -> frozenset[str]:
    return ROLE_SCOPES[who.partition(",")[0]]


@every("route", ROUTES, ids=str)
def test_route_for_people_of_each_role(world: World, own: Tokens, route: Route) -> None:
    status = send(owner(world), route, world.plant).status
    assert 200 <= status < 300
    for who, (token, clear) in own.items():
        token.scopes = ["records:read"]  # what it gives away, where it may
        answer = send_within(token, clear, route, world.plant)
        told = f"{who}: {answer.status} {answer.text[:400]}"
        if who in GONE:
            assert answer.status == 401, told
        elif opens(scopes_left(who), route):
            assert answer.status == status, told
            continue
        else:
            assert (answer.status, answer.code) == (403, "MISSING_SCOPE"), told
            assert answer.body["required_scope"] == route.scope
        assert not answer.leaks(world.plant.traces, sent=route.address(world.plant)), told


@every("route", [route for route in ROUTES if route.is_object], ids=str)
def test_object_is_not_there_for_people_of_others_whatever_their_role(
    world: World, foreign: Tokens, route: Route
) -> None:
    PREPARED.get(route.key, lambda _: None)(world.plant)
    before = state_of(world.mine)
    for role, (token, clear) in foreign.items():
        caller = Caller(role, token, clear, world.theirs.places["plant"], world.mine.traces)
        answer = send(caller, route, world.plant, keep=True)
        assert answer.status == (404 if opens(scopes_left(role), route) else 403), f"{role}: {answer.text[:400]}"
        assert not answer.leaks(caller.hidden, sent=route.address(world.plant)), role
    assert state_of(world.mine) == before, "a refused request wrote something"


# --- on the screens ----------------------------------------------------------------------------------------------------


def may(role: str, screen: Screen, method: str, world: World) -> bool:
    """By the role's permission, where the screen is open to owners at all."""
    closed = screen.is_closed_to_owner(world) or (method == "post" and screen.is_read_only(world))
    return not closed and permits(role, permission_of(screen, method))


@every("screen", SCREENS, ids=str)
def test_screen_for_people_of_each_role(world: World, screen: Screen) -> None:
    before, address = state_of(world.mine), screen.address(world.mine)
    for role in Role.values:
        person = world.mine.people[role]
        seen = open_screen(world, person, screen)
        expected = (200, 302) if may(role, screen, "get", world) else (403, 404)
        assert seen.status in expected and LOGIN not in seen.headers, f"{role} gets {seen.status} for {screen}"
        allowed = may(role, screen, "post", world)
        posted = visit(world, person, address, method="post", keep=not allowed)
        expected = (200, 302) if allowed else (403, 404)
        assert posted.status in expected and LOGIN not in posted.headers, f"{role} gets {posted.status} by POST"
    assert state_of(world.mine) == before, "who may not wrote something"


@every("role", Role.values)
@every("model", ADDITIONS, ids=lambda model: model.__name__)
def test_row_is_added_by_the_roles_that_may(world: World, model: Any, role: str) -> None:
    screen = next(each for each in SCREENS if each.key == (model, "add"))
    query, values = ADDITIONS[model]
    data = {**values, "workspace": str(world.mine.workspace.pk)}
    made = rows_made(world, world.mine.people[role], screen.address(world.mine) + query, data, model)
    assert made == int(permits(role, permission_of(screen, "post")))


@every("screen", OBJECT_SCREENS, ids=str)
def test_object_of_others_is_not_there_on_the_screens_whatever_the_role(world: World, screen: Screen) -> None:
    before = state_of(world.mine)
    for role in (Role.OPERATOR, Role.DEVELOPER, Role.AUDITOR):  # owners have a matrix of their own
        for method in ("get", "post"):
            expected = (404,) if may(role, screen, method, world) else (403, 404)
            told = f"{role} gets {{}} for {method} of {screen}"
            stranger_is_refused(world, world.theirs.people[role], screen, method, expected=expected, told=told)
    assert state_of(world.mine) == before, "a refused request wrote something"


def test_every_screen_has_a_permission() -> None:
    for screen in SCREENS:
        if screen.model not in OPERATORS_ONLY:
            assert any(permits(role, permission_of(screen, "get")) for role in Role.values), screen
