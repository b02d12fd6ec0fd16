"""A connector that has every entity and needs no network: each list shows one object."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from core.http import Response
from integrations.entities import ENTITIES
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import Action, Field, Resource, Secret, Url, Write
from integrations.sdk.hooks import Hooks, SharedSecret
from integrations.sdk.pages import CheckResult, Page, Position, Window

SLUG = "whole-plant"
ADDRESS, KEY = "https://127.0.0.1:1/plant", "quiet-valley-lantern"


class WholePlant(Connector):
    """All entities, so that every route of the API has rows."""

    slug, title, summary = SLUG, "Whole plant", "An invented system that has everything."
    docs = "https://plant.example/docs"
    hooks = Hooks({"order.changed": "purchase_order"}, SharedSecret("X-Plant-Key"))
    config: ClassVar[Any] = (Url("base_url", help="Address of the server"), Secret("api_key", help="Its key"))

    @classmethod
    def resources(cls) -> dict[str, Resource]:
        rows = (Field("number", "number"),)
        written: dict[str, Any] = {
            "writes": (Write("create"), Write("update"), Write("delete", kind="hard")),
            "actions": (Action("approve", "Approve", to_status=("approved",)),),
        }
        return {
            name: Resource(entity, path=f"/{entity.describes.slug}", fields=rows, **written)
            for name, entity in ENTITIES.items()
        }

    def check(self) -> CheckResult:
        return CheckResult(account="integration", version="1")

    def fetch_page(self, resource: Resource, window: Window, position: Position | None) -> Page:
        return Page([("1", b'{"id": "1", "number": "N-1"}')])

    def fetch_one(self, resource: Resource, remote_id: str) -> bytes:
        return json.dumps({"id": remote_id, "number": "N-1"}).encode()

    def decode(self, raw: bytes) -> Any:
        return json.loads(raw)

    def passthrough(self, method: str, path: str, query: Any, headers: Any, body: Any) -> Response:
        return Response(200, {"content-type": "application/json"}, b'{"called": true}', ADDRESS + path, 0.0)
