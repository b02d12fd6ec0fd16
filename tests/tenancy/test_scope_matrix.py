"""Every route by tokens that lack one scope, and by tokens that hold a single one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from django.urls import reverse
from django_scopes import scopes_disabled

from connections.models import Connection
from integrations.entities import ENTITIES
from tests.tenancy.callers import Answer, call, owner
from tests.tenancy.routes import BODIES, PREPARED, Route, api_routes, headers_of
from tests.tenancy.screens import visit
from tests.tenancy.sending import GIVING, ROTATE, opens, send, send_within
from tests.tenancy.world import World
from tests.tenants import make_token
from workspaces.choices import OFF_BY_DEFAULT, Role, Scope
from workspaces.models import ApiToken
from workspaces.roles import ROLE_SCOPES

ROUTES = api_routes()
ALL = frozenset(Scope.values)
RAW = {"passthrough:read", "passthrough:write"}
OF_ENTITIES = [f"records.{entity}:write" for entity in ENTITIES]
every = pytest.mark.parametrize
Holders = Mapping[str, tuple[ApiToken, str]]


def without(dropped: str) -> frozenset[str]:
    """All scopes but this one and the `write` that would include it."""
    return ALL - {dropped, dropped.replace(":read", ":write")}


HELD: Mapping[str, frozenset[str]] = {
    **{f"all but {name}": without(name) for name in Scope.values},
    **{f"{name} alone": frozenset({name}) for name in Scope.values},
    "all entities one by one": frozenset(OF_ENTITIES),
}


@pytest.fixture(scope="module")
def holders(built_world: World) -> Holders:
    """A token of the owner's workspace for each choice of scopes."""
    return {name: make_token(built_world.mine.workspace, name="narrow", scopes=held) for name, held in HELD.items()}


def assert_missing(answer: Answer, needed: str) -> None:
    assert (answer.status, answer.code) == (403, "MISSING_SCOPE"), answer.text[:400]
    assert answer.body["required_scope"] == needed


@every("route", ROUTES, ids=str)
def test_route_is_opened_by_the_scopes_it_declares_and_by_no_others(
    world: World, holders: Holders, route: Route
) -> None:
    owned = send(owner(world), route, world.plant)
    assert 200 <= owned.status < 300, owned.text[:400]
    opened = set()
    for name, (token, clear) in holders.items():
        answer = send_within(token, clear, route, world.plant)
        if opens(HELD[name], route):
            assert answer.status == owned.status, f"{name}: {answer.status} {answer.text[:400]}"
            opened.add(name)
        else:
            assert_missing(answer, route.scope)
            assert not answer.leaks(world.plant.traces, sent=route.address(world.plant)), name
    declared = str(route.view.scopes[route.method])
    assert f"{declared} alone" in opened and (f"all but {declared}" not in opened or route.other_scope)


READ_BY_POST = {
    "passthrough": "asks for the scope of writing too when the call is one that writes; tested below",
    "refresh": "reads one record from its system into the copy, as a sync would",
}
"""Last parts of addresses where a POST asks for a scope of reading."""
WRITE_BY_GET = {"suggestions": "shows values of stored objects to who edits the mapping, as its preview does"}
"""Last parts of addresses where a GET asks for a scope of writing."""
RUN_BY_POST = {"runs", "pause", "resume", "test", "dry-run", "cancel", "retry", "rerun", "resolve"}
"""Last parts of addresses of flows that ask for a scope of their own: operators run flows that they may not edit."""


def test_what_writes_declares_a_scope_of_writing_and_what_reads_one_of_reading() -> None:
    areas = {scope.partition(":")[0] for scope in ALL if scope.endswith(":read")}
    for route in ROUTES:
        area, _, action = str(route.view.scopes[route.method]).partition(":")
        last = route.path.rpartition("/")[2]
        reads = (route.method == "GET" and last not in WRITE_BY_GET) or last in READ_BY_POST
        # Tokens have no scope of reading: who may see them may make them.
        acts = "run" if last in RUN_BY_POST and area == "flows" else "write"
        assert action == ("read" if reads and area in areas else acts), route


def test_method_without_a_declared_scope_is_refused(world: World, monkeypatch: Any) -> None:
    for view in {route.view for route in ROUTES}:
        monkeypatch.setattr(view, "scopes", {})
    for route in ROUTES:
        answer = send(owner(world), route, world.plant)
        assert (answer.status, answer.code) == (403, "SCOPE_NOT_DECLARED"), f"{route}: {answer.text[:400]}"
        assert not answer.leaks(world.plant.traces, sent=route.address(world.plant)), route


@every("dropped", sorted(ALL - {Scope.TOKENS_WRITE}))
def test_token_gives_no_scope_that_it_has_not(world: World, holders: Holders, dropped: str) -> None:
    """A token may make others, and take one over by rotating it: never to do more than it may itself."""
    _, clear = holders[f"all but {dropped}"]
    for route in (each for each in ROUTES if each.key in GIVING):
        body = {**route.body(), "scopes": [dropped]}
        answer = call(clear, route.method, route.address(world.plant), body=body)
        assert_missing(answer, dropped)
    rotate = next(route for route in ROUTES if route.key == ROTATE)
    answer = call(clear, "POST", rotate.address(world.plant), body=rotate.body())
    assert (answer.status, answer.code) == (403, "MISSING_SCOPE")
    assert answer.body["required_scope"] in {dropped, dropped.replace(":read", ":write")}


# --- raw calls ---------------------------------------------------------------------------------------------------------


def test_raw_calls_that_write_need_a_scope_of_their_own(world: World, holders: Holders) -> None:
    route = next(each for each in ROUTES if each.path == "passthrough")
    headers = headers_of(route, world.plant, token=owner(world).token)

    def sent_by(name: str) -> Answer:
        body = {"method": "POST", "path": "/meters", "body": {}}
        return call(holders[name][1], "POST", route.address(world.plant), body=body, headers=headers)

    for name in ("all but passthrough:write", "passthrough:read alone"):
        assert_missing(sent_by(name), "passthrough:write")
    assert sent_by("passthrough:write alone").status == 200


def test_scopes_of_raw_calls_are_never_given_unless_named(world: World) -> None:
    """Not by a token without a choice, not by the connect flow, not by the form of the admin, not to auditors."""
    assert OFF_BY_DEFAULT == RAW and not RAW & ROLE_SCOPES[Role.AUDITOR]
    for route in (each for each in ROUTES if each.key in GIVING):
        body = {name: value for name, value in route.body().items() if name != "scopes"}
        unnamed = call(owner(world).clear, "POST", route.address(world.plant), body=body)
        assert unnamed.status == 422 and not unnamed.leaks({"lsh_live_"}), unnamed.text
    assert not RAW & set(exchanged(world, passthrough_shared=True)["token_details"]["scopes"])
    form = visit(world, world.mine.people["owner"], reverse("admin:workspaces_apitoken_add")).text
    boxes = [line for line in form.split("<input") if 'value="passthrough:' in line]
    assert len(boxes) == len(RAW) and not any(re.search(r"\schecked(\s|=|$)", box.partition(">")[0]) for box in boxes)


def exchanged(world: World, **facts: Any) -> Any:
    """What the code of a link gives to a token that may do all."""
    with scopes_disabled():
        Connection.objects.filter(pk=world.plant.connection.pk).update(**facts)
    key = ("POST", "link-sessions/exchange")
    PREPARED[key](world.plant)
    answer = call(owner(world).clear, "POST", "/api/v1/link-sessions/exchange", body=BODIES[key])
    assert answer.status == 201, answer.text
    return answer.body


def test_token_of_one_entity_reads_without_writing(world: World) -> None:
    """`records.<entity>:read` opens what reads of its entity, and of nothing else anything."""
    for entity in ENTITIES:
        held = [f"records.{entity}:read"]
        token, clear = make_token(world.mine.workspace, name="narrow", scopes=held)
        for route in ROUTES:
            answer = send_within(token, clear, route, world.plant)
            expected = opens(held, route)
            assert (answer.status < 300) if expected else (answer.status == 403), f"{held} {route}: {answer.text[:300]}"
