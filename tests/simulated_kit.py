"""A small simulator and a session that asks it.

from tests.simulated_kit import api, sim  # noqa: F401
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from integrations.simulators import running
from integrations.simulators.kit.server import Simulator

BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
QUICK = 10


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with running("maintainx", scale=0.1) as simulator:
        yield simulator


@pytest.fixture
def api(sim: Simulator) -> Iterator[Api]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {sim.api_key}"
        yield Api(sim, session)


class Api:
    def __init__(self, sim: Simulator, session: requests.Session) -> None:
        self.sim, self.session = sim, session

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        url = (self.sim.origin if path.startswith("/_") else self.sim.base_url) + path
        return self.session.request(method, url, json=body, timeout=QUICK, **options)

    def titles(self) -> list[str]:
        return [one["title"] for one in self.sim.control.objects("workorders")]


def make(api: Api, title: str = "Check pump", **headers: str) -> requests.Response:
    return api("POST", "/workorders", {"title": title}, headers=headers)


def writes(sim: Simulator) -> list[dict[str, Any]]:
    return [entry for entry in sim.control.journal() if not entry["side_effect"]]


def until(asked: Callable[[], Any], seconds: float = QUICK) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := asked()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found
