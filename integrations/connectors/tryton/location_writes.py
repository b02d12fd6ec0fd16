"""Writing locations. Their code, the unified number, is also the mark: nothing else of them could hold one."""

from __future__ import annotations

from typing import Any

from integrations.connectors.tryton.lookups import wrong
from integrations.connectors.tryton.writing import Body, ModelWriter, Row, flag
from integrations.sdk.writes import Change


class LocationWriter(ModelWriter):
    """Stock locations."""

    def found_by(self, mark: str) -> list[Any]:
        return [["code", "=", mark]]

    def new(self, change: Change, body: Body) -> Body:
        flag(body)
        if change.values.get("kind") == "other":
            raise wrong("Tryton has several kinds of location that are all `other` here: make it in Tryton.", "kind")
        if change.mark:
            body["code"] = body.get("code") or change.mark
        return {"type": "storage", **body}

    def changed(self, change: Change, body: Body, row: Row) -> Body:
        flag(body)
        return body
