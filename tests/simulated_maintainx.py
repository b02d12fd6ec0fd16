"""The CMMS in the manner of MaintainX as a client of its API sees it.

from tests.simulated_maintainx import api, sim  # noqa: F401
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from integrations.simulators import running
from integrations.simulators.kit.server import Simulator

Body = dict[str, Any]
SINGULAR = {
    "workorders": "workOrder",
    "purchaseorders": "purchaseOrder",
    "parts": "part",
    "assets": "asset",
    "locations": "location",
    "vendors": "vendor",
}
PLURAL = {path: f"{name}s" for path, name in SINGULAR.items()}


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with running("maintainx") as simulator:
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
        return self.session.request(method, f"{self.sim.base_url}/{path}", json=body, timeout=10, **options)

    def one(self, entity: str, number: int, **query: Any) -> Body:
        answer = self("GET", f"{entity}/{number}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()[SINGULAR[entity]]

    def make(self, entity: str, **body: Any) -> int:
        answer = self("POST", entity, body)
        assert answer.status_code == 201, answer.text
        assert set(answer.json()) == {"id"}
        return answer.json()["id"]

    def change(self, path: str, **body: Any) -> Body:
        answer = self("PATCH", path, body)
        assert answer.status_code == 200, answer.text
        (changed,) = answer.json().values()
        return changed

    def refused(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        answer = self(method, path, body, **options)
        assert answer.status_code == 400, answer.text
        content = answer.json()
        return content["error"] if "error" in content else [one["fieldPath"] for one in content["errors"]]

    def walk(self, entity: str, **query: Any) -> Iterator[list[Body]]:
        cursor = None
        while True:
            content = self("GET", entity, params={**query, **({"cursor": cursor} if cursor else {})}).json()
            yield content[PLURAL[entity]]
            if not (cursor := content["nextCursor"]):
                return

    def all(self, entity: str, **query: Any) -> list[Body]:
        return [row for page in self.walk(entity, **query) for row in page]


def stored(sim: Simulator, entity: str, **wanted: Any) -> list[Body]:
    """Live objects with these values, as they are stored."""
    rows = [row for row in sim.control.objects(entity) if row["deletedAt"] is None]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]
