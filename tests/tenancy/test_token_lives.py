"""Every route by tokens of the other environment, from foreign networks, and of two generations."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection as database
from django.db.models.functions import Now
from django_scopes import scope, scopes_disabled

from tests.tenancy.callers import OF_BOTH_ENVIRONMENTS, Caller, call, owner
from tests.tenancy.routes import Route, api_routes, headers_of
from tests.tenancy.sending import send, send_within
from tests.tenancy.world import World
from tests.tenants import make_token
from workspaces import tokens
from workspaces.models import ApiToken

ROUTES = api_routes()
OBJECT_ROUTES = [route for route in ROUTES if route.is_object]
INSIDE, OUTSIDE = "10.7.0.9", "10.8.0.9"
HOUR = 3600
every = pytest.mark.parametrize


@pytest.fixture(scope="module")
def office(built_world: World) -> Caller:
    """A token with all scopes that may be used from one network."""
    made = make_token(built_world.mine.workspace, name="office", allowed_networks=["10.7.0.0/16"])
    return Caller("office", *made, built_world.plant, frozenset())


@pytest.fixture(scope="module")
def generations(built_world: World) -> list[Caller]:
    """An old token and the one it was rotated into, with an hour of overlap."""
    old, old_clear = make_token(built_world.mine.workspace, name="rotated")
    with scope(workspace=built_world.mine.workspace.pk):
        new, new_clear = tokens.rotate_token(token=old, overlap_seconds=HOUR, by="the matrix")
    hidden = owner(built_world).hidden
    return [
        Caller("old", old, old_clear, built_world.plant, hidden),
        Caller("new", new, new_clear, built_world.plant, hidden),
    ]


@every("route", OBJECT_ROUTES, ids=str)
def test_object_of_the_other_environment_is_not_there(world: World, route: Route) -> None:
    """A test token on a live connection, a live token on a test connection, and the connection's own test token."""
    live, test = world.plant, world.mine.places["trial"]
    for place, made, hidden in (
        (live, world.mine.tokens["test"], live.traces),
        (live, (test.token, test.clear), live.traces),
        (test, world.mine.tokens["live"], test.traces),
        (test, (live.token, live.clear), test.traces),
    ):
        caller = Caller(f"token {made[0].name}", *made, place, hidden)
        named = {"X-Connection-Id": place.shown_id} if route.names_connection else {}
        answer = send(caller, route, place, headers=named)
        if route.path in OF_BOTH_ENVIRONMENTS and made is world.mine.tokens["live"]:
            assert answer.status == 200
            continue
        assert answer.status == 404, f"{caller.name} at {place.word}: {answer.status} {answer.text[:400]}"
        assert not answer.leaks(hidden, sent=route.address(place)), caller.name


@every("route", ROUTES, ids=str)
def test_route_from_a_foreign_network_is_refused(world: World, office: Caller, route: Route) -> None:
    expected = send(owner(world), route, world.plant).status
    assert send_within(office.token, office.clear, route, world.plant, come_from=INSIDE).status == expected < 300
    refused = send_within(office.token, office.clear, route, world.plant, come_from=OUTSIDE)
    assert (refused.status, refused.code) == (403, "NETWORK_NOT_ALLOWED"), refused.text[:400]
    assert not refused.leaks(world.mine.traces, sent=route.address(world.plant))


@every("route", ROUTES, ids=str)
def test_both_generations_of_a_token_work_during_the_overlap_and_one_after_it(
    world: World, generations: list[Caller], route: Route
) -> None:
    old, new = generations
    expected = send(owner(world), route, world.plant).status
    assert [send(caller, route, world.plant).status for caller in generations] == [expected] * 2
    expire(old, seconds_left=5)
    assert send(old, route, world.plant).status == expected
    expire(old, seconds_left=0)
    ended = call(
        old.clear, route.method, route.address(world.plant), body=route.body(),
        headers=headers_of(route, world.plant, token=old.token),
    )  # fmt: skip
    assert ended.status == 401 and not ended.leaks(world.mine.traces), ended.text[:400]
    assert send(new, route, world.plant).status == expected


def expire(caller: Caller, *, seconds_left: float) -> None:
    """As if the overlap had begun earlier. The check asks for the time of the day, which is past that of the transaction."""
    assert database.in_atomic_block
    with scopes_disabled():
        rows = ApiToken.objects.filter(pk=caller.token.pk)
        assert rows.update(expires_at=Now() + timedelta(seconds=seconds_left + 60 * bool(seconds_left))) == 1
