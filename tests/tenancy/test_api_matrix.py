"""Every route of the API as everybody: its owner, strangers of three kinds, tokens without the scope, and no token."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import get_resolver

from core.ids import new_id
from syncs.api.records import RecordView
from tests.tenancy.callers import Answer, Caller, call, outsiders, own_connection, owner, without_scope
from tests.tenancy.routes import (
    API,
    EMPTY_INSTEAD_OF_404,
    OUTSIDE_THE_API,
    SHARED,
    Route,
    api_routes,
    headers_of,
    value_of,
    walk,
)
from tests.tenancy.world import Place, World, state_of
from workspaces.tokens import revoke_token
from workspaces.views import ApiView

ROUTES = api_routes()
OBJECT_ROUTES = [route for route in ROUTES if route.is_object]
COLLECTIONS = [route for route in ROUTES if not route.is_object and route.path not in SHARED]
PAGED = [route for route in ROUTES if "cursor" in route.parameters]
FILTERS = [(route, name) for route in ROUTES for name in route.parameters if name != "cursor"]
every = pytest.mark.parametrize


def send(caller: Caller, route: Route, place: Place, **facts: Any) -> Answer:
    """The caller sends what the owner of the place would send."""
    headers = {**headers_of(route, place, token=caller.token), **facts.pop("headers", {})}
    return call(caller.clear, route.method, route.address(place), body=route.body(), headers=headers, **facts)


def assert_owner_may(world: World, route: Route) -> Answer:
    answer = send(owner(world), route, world.plant)
    told = f"the owner gets {answer.status} for {route}: {answer.text[:400]} (mend its row or body in routes.py?)"
    assert 200 <= answer.status < 300, told
    assert not answer.leaks(owner(world).hidden)
    return answer


def test_every_address_is_in_a_matrix_or_public_for_a_reason() -> None:
    addresses = dict(walk(get_resolver()))
    outside = {path for path in addresses if not path.startswith(API)}
    assert outside == set(OUTSIDE_THE_API), "a new address outside of the API: who may see what it shows?"
    assert set(SHARED) <= {route.path for route in ROUTES}
    strange = [path for path, view in addresses.items() if path.startswith(API) and not issubclass(view, ApiView)]
    assert not strange, "views of the API derive from ApiView, which enters the scope of the token's workspace"
    assert len(ROUTES) > 40 and len(OBJECT_ROUTES) > 30


@every("route", ROUTES, ids=str)
def test_route_without_a_token_or_scope(world: World, route: Route) -> None:
    assert_owner_may(world, route)
    needed = route.view.scopes.get(route.method)
    assert needed is not None, f"{route} declares no scope, so nobody can call it"
    before, place = state_of(world.mine), world.plant
    address, headers = route.address(place), headers_of(route, place, token=owner(world).token)
    revoked, clear = world.theirs.tokens["live"]
    clears = {"nobody": None, "noise": "lsh_live_" + "x" * 50, "test as live": owner(world).clear.replace("live", "test")}
    for name, sent in clears.items():
        answer = call(sent, route.method, address, body=route.body(), headers=headers)
        assert (answer.status, answer.leaks(world.mine.traces)) == (401, []), name
    answer = call(without_scope(world, needed), route.method, address, body=route.body(), headers=headers)
    assert (answer.status, answer.code) == (403, "MISSING_SCOPE"), answer.text
    assert not answer.leaks(world.mine.traces)
    own, own_clear = world.mine.tokens["live"]
    revoke_within(world, own)
    assert call(own_clear, route.method, address, body=route.body(), headers=headers).status == 401, "revoked"
    assert call(clear, "GET", f"/{API}systems").status == 200 and revoked.revoked_at is None
    assert_only_tokens_differ(before, state_of(world.mine))


def revoke_within(world: World, token: Any) -> None:
    from django_scopes import scope

    with scope(workspace=world.mine.workspace.pk):
        assert revoke_token(token=token)


def assert_only_tokens_differ(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> None:
    """The narrow token was made and the owner's revoked by the test itself."""
    assert {**before, "ApiToken": None} == {**after, "ApiToken": None}


@every("route", OBJECT_ROUTES, ids=str)
def test_object_for_outsiders_is_not_there(world: World, route: Route) -> None:
    assert_owner_may(world, route)
    mine = send(own_connection(world), route, world.plant)
    assert 200 <= mine.status < 300 and not mine.leaks(own_connection(world).hidden), mine.text
    before = state_of(world.mine)
    for caller in outsiders(world):
        named = {"X-Connection-Id": world.plant.shown_id} if route.names_connection else {}
        answer = send(caller, route, world.plant, headers=named, keep=True)
        assert answer.status == 404, f"{caller.name}: {answer.status} {answer.text[:400]}"
        assert not answer.leaks(caller.hidden, sent=route.address(world.plant)), caller.name
        unknown = call(
            caller.clear,
            route.method,
            route.unknown_address(world.plant),
            body=route.body(),
            headers={"X-Connection-Id": f"con_{new_id().hex}"} if named else {},
        )
        assert (unknown.status, unknown.without_ids()) == (404, answer.without_ids()), "it tells what exists"
    assert state_of(world.mine) == before, "a refused request wrote something"


@every("route", [route for route in OBJECT_ROUTES if "connection_id" not in route.kwargs], ids=str)
def test_object_when_an_outsider_names_the_own_connection(world: World, route: Route) -> None:
    """An id of the plant beside a connection the caller does see."""
    for caller in outsiders(world):
        answer = send(caller, route, world.plant, headers={"X-Connection-Id": caller.place.shown_id})
        expected = 404 if route.kwargs else 200
        assert answer.status == expected, f"{caller.name}: {answer.status} {answer.text[:400]}"
        assert not answer.leaks(caller.hidden, sent=route.address(world.plant)), caller.name


@every("route", COLLECTIONS, ids=str)
def test_collection_shows_everybody_their_own(world: World, route: Route) -> None:
    from tests.tenancy.routes import REFUSED

    answer = assert_owner_may(world, route)
    if route.method == "GET":
        assert answer.leaks(world.plant.traces), f"{route}: the owner sees nothing of the plant, so this proves nothing"
    before = state_of(world.mine)
    for caller in [own_connection(world), *outsiders(world)]:
        answer = send(caller, route, world.plant, keep=caller.name == "stranger")
        expected = REFUSED.get((route.key, caller.name))
        assert answer.status == expected if expected else answer.status < 300, f"{caller.name}: {answer.text[:400]}"
        assert not answer.leaks(caller.hidden), caller.name
        if route.method == "GET":
            assert answer.leaks(caller.place.traces), f"{caller.name} does not see the own rows, so this proves nothing"
    assert state_of(world.mine) == before, "a stranger's request wrote something of another workspace"


@every("route", [route for route in ROUTES if route.path in SHARED], ids=str)
def test_shared_route_says_the_same_to_everybody(world: World, route: Route) -> None:
    answer = assert_owner_may(world, route)
    for caller in outsiders(world):
        assert send(caller, route, world.plant) == answer
    assert not answer.leaks(world.mine.traces | world.theirs.traces)


@every(("route", "name"), FILTERS, ids=lambda value: str(value))
def test_filter_with_a_value_of_somebody_else_finds_nothing(world: World, route: Route, name: str) -> None:
    query = {name: value_of(route, name, world.plant)}
    answer = send(owner(world), route, world.plant, query=query)
    assert answer.status == 200, f"?{name}: {answer.text[:400]} (mend its value in routes.py?)"
    assert not answer.leaks(owner(world).hidden)
    if name in ("connection", "sync", "customer_reference", "q") or issubclass(route.view, RecordView):
        assert answer.leaks(world.plant.traces), f"?{name}={query[name]} does not find the plant, so this proves nothing"
    for caller in outsiders(world):
        # Of an object's own page the address alone is 404 already; lists are asked by callers for their own.
        place = world.plant if route.kwargs else caller.place
        answer = send(caller, route, place, query=query)
        assert not answer.leaks(caller.hidden, sent=f"{query} {route.address(place)}"), f"{caller.name}: {answer.text}"
        assert answer.status == 404 if route.kwargs else answer.status in (200, 404, 400), caller.name
        if name in ("connection", "sync") and not route.kwargs:
            assert_answered_like_an_unknown_id(caller, route, name, answer)


def assert_answered_like_an_unknown_id(caller: Caller, route: Route, name: str, answer: Answer) -> None:
    prefix = {"connection": "con", "sync": "syn"}[name]
    unknown = send(caller, route, caller.place, query={name: f"{prefix}_{new_id().hex}"})
    assert (unknown.status, unknown.without_ids()) == (answer.status, answer.without_ids()), "it tells what exists"
    if (route.path, name) in EMPTY_INSTEAD_OF_404:
        assert answer.status in (200, 404) and not answer.body.get("data"), answer.text
    elif not route.names_connection:
        assert answer.status == 404, answer.text


@every("route", [route for route in COLLECTIONS if route.method == "GET"], ids=str)
def test_collection_when_a_foreign_connection_is_named_by_header(world: World, route: Route) -> None:
    for caller in outsiders(world):
        answer = send(caller, route, world.plant, headers={"X-Connection-Id": world.plant.shown_id})
        assert answer.status in (200, 404) and not answer.leaks(caller.hidden), f"{caller.name}: {answer.text[:400]}"


@every("route", PAGED, ids=str)
def test_cursor_of_somebody_else_reveals_nothing(world: World, route: Route) -> None:
    first = send(owner(world), route, world.plant, query={"limit": "1"})
    cursor = first.body.get("next_cursor")
    assert cursor, f"{route}: the world needs two rows for a second page"
    second = send(owner(world), route, world.plant, query={"limit": "1", "cursor": cursor})
    assert second.status == 200 and second.body["data"] and second.body["data"] != first.body["data"]
    for caller in outsiders(world):
        for place in (world.plant, caller.place):
            query = {"limit": "5", "cursor": cursor}
            named = {"X-Connection-Id": place.shown_id} if route.names_connection else {}
            answer = send(caller, route, place, query={**query, "limit": "1"}, headers=named)
            assert answer.status in (200, 400, 404), answer.text
            assert not answer.leaks(caller.hidden, sent=route.address(place)), f"{caller.name}: {answer.text[:400]}"
