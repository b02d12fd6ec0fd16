"""No list asks more of the database the more rows it shows."""

from __future__ import annotations

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django_scopes import scope

from tests.tenancy.callers import owner
from tests.tenancy.routes import Route, api_routes
from tests.tenancy.sending import send
from tests.tenancy.trust import give_audit_event, give_link_session
from tests.tenancy.world import World
from tests.tenants import make_token

PAGED = [route for route in api_routes() if "cursor" in route.parameters and "limit" in route.parameters]
MORE = 20


def add_rows(world: World) -> None:
    """To the lists of which the world has few."""
    connection = world.plant.connection
    with scope(workspace=world.mine.workspace.pk):
        for number in range(MORE):
            give_link_session(f"link {number}", connection)
            give_audit_event(f"event {number}", connection)
            make_token(world.mine.workspace, name=f"token {number}", connection_id=connection.pk)


def queries_of(world: World, route: Route, limit: int) -> tuple[int, int]:
    """How many queries a page takes, and how many rows it shows."""
    with CaptureQueriesContext(database) as asked:
        answer = send(owner(world), route, world.plant, query={"limit": str(limit)})
    assert answer.status == 200, answer.text[:400]
    return len(asked), len(answer.body["data"])


@pytest.mark.parametrize("route", PAGED, ids=str)
def test_list_takes_the_same_queries_however_many_rows_it_shows(world: World, route: Route) -> None:
    add_rows(world)
    queries_of(world, route, 1)  # what is read once and remembered
    one, many = queries_of(world, route, 1), queries_of(world, route, 100)
    assert one[1] == 1 and many[1] > 1, "the world needs two rows, or this proves nothing"
    assert many[0] == one[0], f"{many[0]} queries for {many[1]} rows, {one[0]} for one"
    if route.path in ("audit-events", "link-sessions", "tokens", "connections/<str:connection_id>/tokens"):
        assert many[1] > MORE


def test_new_lists_are_among_them() -> None:
    assert {"audit-events", "link-sessions", "tokens"} <= {route.path for route in PAGED}
