"""Every route of the API as everybody: its owner, strangers of three kinds, tokens without the scope, and no token."""

from __future__ import annotations

import json

import orjson
import pytest
from django.urls import get_resolver
from django_scopes import scope, scopes_disabled

from core.ids import new_id
from syncs.api.records import RecordView
from syncs.models import Record
from syncs.packing import body_of
from tests.tenancy.callers import (
    Answer,
    Caller,
    call,
    hidden_from_owner,
    outsiders,
    own_connection,
    owner,
    without_scope,
)
from tests.tenancy.routes import (
    API,
    EMPTY_INSTEAD_OF_404,
    IDS,
    OUTSIDE_THE_API,
    REFUSED,
    SHARED,
    TELLING,
    WORKSPACE_ONLY,
    Route,
    api_routes,
    headers_of,
    value_of,
    walk,
)
from tests.tenancy.sending import send
from tests.tenancy.world import PACKER, Place, World, shown, state_of
from workspaces.models import ApiToken
from workspaces.tokens import revoke_token
from workspaces.views import ApiView

ROUTES = api_routes()
OBJECT_ROUTES = [route for route in ROUTES if route.is_object]
COLLECTIONS = [route for route in ROUTES if not route.is_object and route.path not in SHARED]
PAGED = [route for route in ROUTES if "cursor" in route.parameters]
FILTERED = [route for route in ROUTES if route.parameters and route.method == "GET"]
NAMING = [route for route in ROUTES if "connection" in route.parameters and route.method != "GET"]
every = pytest.mark.parametrize


def filters_of(route: Route) -> list[str]:
    return [name for name in route.parameters if name != "cursor"]


def assert_owner_may(world: World, route: Route) -> Answer:
    answer = send(owner(world), route, world.plant)
    told = f"the owner gets {answer.status} for {route}: {answer.text[:400]} (mend its row or body in routes.py?)"
    assert 200 <= answer.status < 300, told
    assert not answer.leaks(hidden_from_owner(world, route.path))
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
    token, clear = world.mine.tokens["live"]
    facts = {"body": route.body(), "headers": headers_of(route, place, token=token)}
    for sent in (None, f"lsh_live_{'x' * 50}", clear.replace("_live_", "_test_")):
        answer = call(sent, route.method, route.address(place), **facts)
        assert (answer.status, answer.leaks(world.mine.traces)) == (401, []), sent
    either = getattr(route.view, "or_scopes", {}).get(route.method, needed)
    answer = call(without_scope(world, needed, either), route.method, route.address(place), **facts)
    assert (answer.status, answer.code) == (403, "MISSING_SCOPE"), answer.text
    assert not answer.leaks(world.mine.traces)
    with scope(workspace=world.mine.workspace.pk):
        assert revoke_token(token=ApiToken.objects.get(pk=token.pk))
    assert call(clear, route.method, route.address(place), **facts).status == 401, "revoked"
    # The narrow token, the revocation and what the audit log says of both and of the refused use are the test's own.
    own = {"ApiToken": "", "AuditEvent": ""}
    assert {**state_of(world.mine), **own} == {**before, **own}, "a refused request wrote something"


@every("route", OBJECT_ROUTES, ids=str)
def test_object_for_outsiders_is_not_there(world: World, route: Route) -> None:
    assert_owner_may(world, route)
    own = send(own_connection(world), route, world.plant)
    if route.path in WORKSPACE_ONLY:
        assert own.status in (403, 404), own.text
    else:
        assert 200 <= own.status < 300, own.text
    assert not own.leaks(own_connection(world).hidden), own.text
    before = state_of(world.mine)
    for caller in outsiders(world):
        assert_not_there(caller, route, world.plant)
        if "connection_id" not in route.kwargs:
            assert_nothing_through_own_connection(caller, route, world.plant)
    assert state_of(world.mine) == before, "a refused request wrote something"


def assert_not_there(caller: Caller, route: Route, plant: Place) -> None:
    """404, in the same words as for an id that nobody has."""
    address, body = route.address(plant), route.body()
    named = route.names_connection
    answer = send(caller, route, plant, headers={"X-Connection-Id": plant.shown_id} if named else {}, keep=True)
    assert answer.status == 404, f"{caller.name}: {answer.status} {answer.text[:400]}"
    assert not answer.leaks(caller.hidden, sent=address), caller.name
    nobodys = {"X-Connection-Id": f"con_{new_id().hex}"} if named else {}
    unknown = call(caller.clear, route.method, route.unknown_address(plant), body=body, headers=nobodys)
    assert (unknown.status, unknown.without_ids()) == (404, answer.without_ids()), "it tells what exists"


def assert_nothing_through_own_connection(caller: Caller, route: Route, plant: Place) -> None:
    """An id of the plant beside a connection the caller does see, in which it may do as it likes."""
    keep = bool(route.kwargs) or route.method == "GET"
    answer = send(caller, route, plant, headers={"X-Connection-Id": caller.place.shown_id}, keep=keep)
    assert (answer.status == 404) if route.kwargs else (answer.status < 300), (
        f"{caller.name}: {answer.status} {answer.text[:400]}"
    )
    assert not answer.leaks(caller.hidden, sent=route.address(plant)), caller.name


@every("route", COLLECTIONS, ids=str)
def test_collection_shows_everybody_their_own(world: World, route: Route) -> None:
    answer, reads = assert_owner_may(world, route), route.method == "GET"
    assert not reads or answer.leaks(world.plant.traces), "the owner sees nothing of the plant: this proves nothing"
    before = state_of(world.mine)
    for caller in [own_connection(world), *outsiders(world)]:
        answer = send(caller, route, world.plant, keep=caller.name == "stranger")
        expected = REFUSED.get((route.key, caller.name))
        assert answer.status == expected if expected else answer.status < 300, f"{caller.name}: {answer.text[:400]}"
        assert not answer.leaks(caller.hidden), caller.name
        if expected:
            continue
        assert not reads or answer.leaks(caller.place.traces), f"{caller.name} sees no rows: this proves nothing"
        if caller.name != "own connection":
            named = send(caller, route, world.plant, headers={"X-Connection-Id": world.plant.shown_id})
            assert named.status < 500 and not named.leaks(caller.hidden), f"{caller.name}: {named.text[:400]}"
    assert state_of(world.mine) == before, "a stranger's request wrote something of another workspace"


@every("route", [route for route in ROUTES if route.path in SHARED], ids=str)
def test_shared_route_says_the_same_to_everybody(world: World, route: Route) -> None:
    answer = assert_owner_may(world, route)
    for caller in outsiders(world):
        assert send(caller, route, world.plant) == answer
    assert not answer.leaks(world.mine.traces | world.theirs.traces)


@every("route", FILTERED, ids=str)
def test_filter_with_a_value_of_somebody_else_finds_nothing(world: World, route: Route) -> None:
    for name in filters_of(route):
        query = {name: value_of(route, name, world.plant)}
        answer = send(owner(world), route, world.plant, query=query)
        assert answer.status == 200, f"?{name}: {answer.text[:400]} (mend its value in routes.py?)"
        assert not answer.leaks(hidden_from_owner(world, route.path))
        if name in TELLING or issubclass(route.view, RecordView):
            assert answer.leaks(world.plant.traces), (
                f"?{name}={query[name]} does not find the plant: this proves nothing"
            )
        for caller in outsiders(world):
            assert_finds_nothing(caller, route, name, world.plant)


def assert_finds_nothing(caller: Caller, route: Route, name: str, plant: Place) -> None:
    """Lists are asked with the caller's own connection; of an object the address alone is 404 already."""
    place = plant if route.kwargs else caller.place
    query = {name: value_of(route, name, plant)}
    answer = send(caller, route, place, query=query)
    told = f"?{name} by {caller.name}: {answer.status} {answer.text[:400]}"
    assert not answer.leaks(caller.hidden, sent=f"{query} {route.address(place)}"), told
    assert answer.status == 404 if route.kwargs else answer.status in (200, 400, 403, 404), told
    if name in IDS and not route.kwargs:
        unknown = send(caller, route, place, query={name: f"{IDS[name]}_{new_id().hex}"})
        assert (unknown.status, unknown.without_ids()) == (answer.status, answer.without_ids()), "it tells what exists"
        if (route.path, name) in EMPTY_INSTEAD_OF_404:
            # 403: a connection token that may not ask for the list at all.
            assert answer.status in (403, 404) or not answer.body["data"], told
        else:
            # A header that names another connection than the parameter is a contradiction, whoever asks.
            contradicts = route.names_connection and caller.token.connection_id is None
            assert answer.status == (400 if contradicts else 404), told


@every("route", NAMING, ids=str)
def test_write_that_names_the_connection_by_parameter_is_not_there_for_outsiders(world: World, route: Route) -> None:
    query = f"?connection={world.plant.shown_id}"
    address, facts = route.address(world.plant) + query, {"body": route.body(), "headers": {"Prefer": "wait=0"}}
    assert call(owner(world).clear, route.method, address, **facts).status < 300
    before = state_of(world.mine)
    for caller in outsiders(world):
        answer = call(caller.clear, route.method, address, **facts, keep=True)
        assert answer.status == 404 and not answer.leaks(caller.hidden, sent=address), (
            f"{caller.name}: {answer.text[:400]}"
        )
    assert state_of(world.mine) == before, "a refused request wrote something"


@every("route", PAGED, ids=str)
def test_cursor_of_somebody_else_reveals_nothing(world: World, route: Route) -> None:
    first = send(owner(world), route, world.plant, query={"limit": "1"})
    cursor = first.body.get("next_cursor")
    assert cursor, f"{route}: the world needs two rows for a second page"
    query = {"limit": "1", "cursor": cursor}
    second = send(owner(world), route, world.plant, query=query)
    assert second.status == 200 and second.body["data"] and second.body["data"] != first.body["data"]
    for caller in outsiders(world):
        for place in (world.plant, caller.place):
            named = {"X-Connection-Id": place.shown_id} if route.names_connection else {}
            answer = send(caller, route, place, query=query, headers=named)
            assert answer.status in (200, 400, 404, REFUSED.get((route.key, caller.name))), answer.text
            assert not answer.leaks(caller.hidden, sent=route.address(place)), f"{caller.name}: {answer.text[:400]}"


def test_reference_to_a_record_of_somebody_else_is_not_expanded(world: World) -> None:
    """What a source calls its references is the customer's to choose: our ids in it open nothing."""
    foreign, own = world.plant.records["vendor"][0], world.theirs.places["plant"]
    order = own.records["purchase_order"][0]
    with scopes_disabled():
        body = json.loads(body_of(order))
        body["vendor"] = {"id": f"ven_{foreign.pk.hex}", "remote_id": "77", "name": "Ours"}
        Record.objects.filter(pk=order.pk).update(body=PACKER.pack([orjson.dumps(body)])[0])
    stranger = outsiders(world)[0]
    for address in ("purchase-orders", f"purchase-orders/{shown('po', order)}"):
        headers = {"X-Connection-Id": own.shown_id}
        answer = call(stranger.clear, "GET", f"/{API}{address}", query={"expand": "vendor"}, headers=headers)
        assert answer.status == 200 and answer.leaks(stranger.hidden) == [foreign.pk.hex], "only the id put in above"


def test_head_and_options_reveal_nothing(world: World) -> None:
    stranger = outsiders(world)[0]
    for route in OBJECT_ROUTES:
        headers = {"X-Connection-Id": world.plant.shown_id} if route.names_connection else {}
        options = call(stranger.clear, "OPTIONS", route.address(world.plant), headers=headers)
        assert options.status == 405 and not options.leaks(stranger.hidden), route
        if route.method == "GET":
            assert call(stranger.clear, "HEAD", route.address(world.plant), headers=headers).status == 404, route
