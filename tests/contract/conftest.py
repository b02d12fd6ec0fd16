"""Upstream systems for contract tests: started once, on free loopback ports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.tryton import TrytonServer, running


@pytest.fixture(scope="session")
def tryton_server() -> Iterator[TrytonServer]:
    """A real Tryton with the seeded plant; its data may change between tests. The first use on a machine makes it."""
    with running() as server:
        yield server
