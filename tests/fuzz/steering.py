"""What schemathesis cannot guess: who calls, and the ids of what there is. Most cases get some of it, so that they come
through the doors and meet the code behind; the others stay as they were made.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from tests.tenancy.routes import API, BODIES, OBJECTS, PLAIN, Route, api_routes, headers_of, value_of
from tests.tenancy.world import World

NOBODY = "lsh_live_0000000000000000000000_nobodysecretnobodysecretnobodysecret000000"
AS_MADE = {"cursor", "dry_run"}
"""Parameters for which chance does as well."""
NOW = "wait=0"  # nobody works here: whoever waits for an outcome only waits

WAITS = {str(seconds) for seconds in range(1, 31)}  # of the feed, the same


class Steering:
    """Changes cases before they are sent; the same seed changes them the same way."""

    def __init__(self, world: World, seed: int) -> None:
        self.place = world.plant
        self._chance = random.Random(seed)
        self._routes = {(route.method, template_of(route)): route for route in api_routes()}
        workspace, connection = world.mine.tokens["live"], (world.plant.token, world.plant.clear)
        foreign = world.theirs.tokens["live"]
        self._callers = [workspace] * 14 + [connection] * 3 + [foreign, (workspace[0], None), (workspace[0], NOBODY)]

    def change(self, case: Any) -> None:
        """Just before it is sent."""
        token, clear = self._chance.choice(self._callers)
        headers = {name: value for name, value in (case.headers or {}).items() if name.lower() != "authorization"}
        if clear is not None:
            headers["Authorization"] = f"Bearer {clear}"
        if re.fullmatch(r"\s*wait\s*=\s*[0-9]+\s*", headers.get("Prefer", NOW)):
            headers["Prefer"] = NOW
        route = self._routes.get((case.method.upper(), case.operation.path))
        if route is not None:
            if self._often():
                headers |= {name: value for name, value in self._named(route, token).items() if name != "Prefer"}
            self._put_ids(case, route)
            self._put_query(case, route)
            self._put_body(case, route)
        case.headers = headers

    def _often(self, share: float = 0.8) -> bool:
        return self._chance.random() < share

    def _named(self, route: Route, token: Any) -> Mapping[str, str]:
        return headers_of(route, self.place, token=token)

    def _put_ids(self, case: Any, route: Route) -> None:
        for name in route.kwargs:
            if self._often():
                value = PLAIN[name] if name in PLAIN else OBJECTS[name](self.place, route)
                case.path_parameters = {**(case.path_parameters or {}), name: value}

    def _put_query(self, case: Any, route: Route) -> None:
        """Parameters that were given get values that find something, one by one."""
        query = case.query or {}
        for name in route.parameters:
            if name in query and name not in AS_MADE and self._often(0.4):
                query = {**query, name: value_of(route, name, self.place)}
        if str(query.get("wait")).strip() in WAITS:
            query = {**query, "wait": "0"}
        case.query = query

    def _put_body(self, case: Any, route: Route) -> None:
        """A body that is known to work, with some of what was generated in it."""
        working = BODIES.get(route.key)
        if not isinstance(working, dict) or not isinstance(case.body, dict) or not self._often(0.4):
            return
        case.body = {**working, **{name: value for name, value in case.body.items() if self._often(0.4)}}


def template_of(route: Route) -> str:
    """As the description writes it: /api/v1/syncs/{sync_id}."""
    return "/" + API + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.path)
