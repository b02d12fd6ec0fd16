"""The world of the tenancy tests, and no way out to anybody."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.tenancy.conftest import built_world, world

__all__ = ["built_world", "world"]


@pytest.fixture(autouse=True)
def alone(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No limit of requests, no name that leads anywhere, and of the log only what went wrong."""
    settings.RATE_LIMIT_TOKEN = settings.RATE_LIMIT_CONNECTION = 0
    look_up = socket.getaddrinfo

    def of_this_machine(host: Any, *more: Any, **options: Any) -> Any:
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", of_this_machine)
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)
