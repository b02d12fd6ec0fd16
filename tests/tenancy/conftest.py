"""A world of two workspaces for each test, gone with its transaction."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tenancy.world import World, build


@pytest.fixture
def world(db: None, settings: Any) -> World:
    settings.CONNECTORS = ["tests.tenancy.plant.WholePlant"]
    return build()
