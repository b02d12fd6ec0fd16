"""A door to servers on this machine, and calls through it.

from tests.door_calls import door  # noqa: F401
"""

import pytest

from core.errors import LineshaftError, TimeoutUnknownError
from core.http import Door, Request, connection_policy

LOCAL = connection_policy(["127.0.0.0/8"])
MIB = 1024 * 1024


@pytest.fixture
def door():
    with Door(LOCAL) as door:
        yield door


def call(door, server, method="GET", path="/", **options):
    return door.send(Request(method, server.url(path), **{"total_timeout": 5} | options))


def code_of(error: LineshaftError) -> str | None:
    """What went wrong; for a write of unknown outcome that stands in `source`."""
    return error.source.code if isinstance(error, TimeoutUnknownError) and error.source else error.code
