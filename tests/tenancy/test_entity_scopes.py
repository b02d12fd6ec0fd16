"""Every route of an entity, by tokens that hold the scope of that entity alone, or of all others."""

from __future__ import annotations

import pytest

from integrations.entities import ENTITIES
from syncs.api.records import RecordView
from tests.tenancy.callers import Answer, call
from tests.tenancy.routes import Route, api_routes, headers_of
from tests.tenancy.world import World
from tests.tenants import make_token
from workspaces.scopes import scope_of_entity

ROUTES = [route for route in api_routes() if issubclass(route.view, RecordView)]


def test_every_entity_has_routes() -> None:
    found = {route.view.entity.describes.name for route in ROUTES if issubclass(route.view, RecordView)}
    assert found == set(ENTITIES)


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_scope_of_an_entity_opens_its_routes_alone(world: World, route: Route) -> None:
    assert issubclass(route.view, RecordView)
    name, area = route.view.entity.describes.name, route.view.scopes[route.method]
    own, others = scope_of_entity(area, name), [f"records.{other}:write" for other in ENTITIES if other != name]
    facts = {"body": route.body(), "headers": headers_of(route, world.plant, token=world.mine.tokens["live"][0])}

    def sent_by(*scopes: str) -> Answer:
        clear = make_token(world.mine.workspace, name="narrow", scopes=scopes)[1]
        return call(clear, route.method, route.address(world.plant), **facts)

    opened, refused = sent_by(own), sent_by(*others)
    assert 200 <= opened.status < 300, opened.text
    assert (refused.status, refused.code) == (403, "MISSING_SCOPE")
    assert refused.body["required_scope"] == own
