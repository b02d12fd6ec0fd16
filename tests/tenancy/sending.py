"""Requests of the matrices, and by which scopes they are opened: said here once more, apart from the code that is tested."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import transaction

from tests.tenancy.callers import Answer, Caller, call
from tests.tenancy.routes import PREPARED, Route, headers_of
from tests.tenancy.world import Place, shown
from workspaces.models import ApiToken

GIVING = {("POST", "tokens"), ("POST", "connections/<str:connection_id>/tokens")}
"""Routes that give scopes away: callers give what they have."""
ROTATE = ("POST", "tokens/<str:token_id>/rotate")


def send(caller: Caller, route: Route, place: Place, **facts: Any) -> Answer:
    """The caller sends what the owner of the place would send."""
    PREPARED.get(route.key, lambda _: None)(place)
    headers = {**headers_of(route, place, token=caller.token), **facts.pop("headers", {})}
    return call(caller.clear, route.method, route.address(place), body=route.body(), headers=headers, **facts)


def send_within(token: ApiToken, clear: str, route: Route, place: Place, **facts: Any) -> Answer:
    """The same within what the token itself may: it gives its own scopes away and rotates itself. All is undone."""
    body, own = route.body(), {"token_id": shown("tok", token)} if route.key == ROTATE else {}
    if route.key in GIVING:
        body = {**body, "scopes": token.scopes}
    headers = headers_of(route, place, token=token)
    with transaction.atomic():
        PREPARED.get(route.key, lambda _: None)(place)
        answer = call(clear, route.method, route.address(place, **own), body=body, headers=headers, **facts)
        transaction.set_rollback(True)
    return answer


def opens(held: Collection[str], route: Route) -> bool:
    """Whether scopes open a route: `write` includes `read`, an area its entities.

    The other scope that is enough, is so for a single entity too: the route shows what is about that one then.
    """
    area, _, action = (route.other_scope or "").partition(":")
    other = [held_scope for held_scope in held if area and held_scope.split(":")[0].split(".")[0] == area]
    return _grant(held, route.scope) or any(held_scope.endswith(f":{action}") for held_scope in other)


def _grant(held: Collection[str], needed: str) -> bool:
    place, action = needed.split(":")
    places = (place, place.split(".")[0])
    actions = ("read", "write") if action == "read" else (action,)
    return any(f"{where}:{what}" in held for where in places for what in actions)
