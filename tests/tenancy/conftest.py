"""A world of two workspaces, built once a module; what a test writes in it is undone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import override_settings

from tests.tenancy.world import World, build

# The second is there to be named where the first has its row already.
CONNECTORS = ["tests.tenancy.plant.WholePlant", "integrations.connectors.maintainx.MaintainX"]


@pytest.fixture(scope="module")
def built_world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Everything happens in one transaction that is rolled back, so other modules find the database as it was."""
    with (
        # Thousands of requests a minute by a few tokens: their limits have tests of their own.
        override_settings(CONNECTORS=CONNECTORS, RATE_LIMIT_TOKEN=0, RATE_LIMIT_CONNECTION=0),
        django_db_blocker.unblock(),
        transaction.atomic(),
    ):
        yield build()
        transaction.set_rollback(True)


@pytest.fixture
def world(built_world: World, db: None) -> World:
    """The world as it was built: `db` undoes what a test wrote. Tests change rows, never these objects in memory."""
    return built_world
