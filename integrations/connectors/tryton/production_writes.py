"""Writing productions. Materials and products follow the bill of materials, as Tryton itself computes them."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from integrations.connectors.tryton.lookups import wrong
from integrations.connectors.tryton.writing import Body, ModelWriter, Row, children
from integrations.protocols.jsonrpc import RpcRefusedError
from integrations.protocols.typed_json import plain
from integrations.sdk.writes import Change, WriteCall

_HEADER = (
    *("company", "type", "state", "product", "bom", "unit", "quantity", "warehouse", "location"),
    *("planned_date", "planned_start_date"),
)
# What of the moves Tryton suggests is its own to store; the rest it computes.
_OF_MOVE = (
    "product",
    "unit",
    "quantity",
    "from_location",
    "to_location",
    "company",
    "planned_date",
    "unit_price",
    "currency",
)
_REFILL = ("product", "unit", "quantity", "warehouse", "location")


class ProductionWriter(ModelWriter):
    """Productions. The mark stands in `reference`, which no unified field holds."""

    buttons: ClassVar = {
        **{name: name for name in ("wait", "run", "do", "cancel", "draft")},
        "assign": "assign_try",
    }
    child_models: ClassVar = {"inputs": "stock.move", "outputs": "stock.move"}

    def extra_fields(self) -> tuple[str, ...]:
        return _HEADER

    def found_by(self, mark: str) -> list[Any]:
        return [["reference", "=", mark]]

    def new(self, change: Change, body: Body) -> Body:
        body = self._entered(change, body)
        names = ["company", "type", "state", "warehouse", "location"]
        defaults = self.look("model.production.default_get", names, False)
        if change.mark and not body.get("reference"):
            body["reference"] = change.mark
        header = {**defaults, **body}
        if not header.get("warehouse"):
            detail = "This plant has several warehouses: name one, or its production location, as the location."
            raise wrong(detail, "location")
        return {**body, **self._filled(body, header, {})}

    def changed(self, change: Change, body: Body, row: Row) -> Body:
        body = self._entered(change, body)
        return {**body, **self._filled(body, {name: row.get(name) for name in _HEADER} | body, row)}

    def remote_id(self, call: WriteCall, result: Any) -> str | None:
        """Tryton answers nothing when it could not reserve all materials: then the production still waits."""
        planned = orjson.loads(call.content() or b"{}")
        if str(planned.get("method")).endswith(".assign_try"):
            rows = self.look("model.production.read", planned["params"][0], ["state"])
            state = rows[0]["state"] if rows else ""
            if state == "waiting":
                detail = "Tryton could not reserve all materials of the production: not enough of them is in stock."
                raise RpcRefusedError(detail, code="MATERIAL_MISSING")
            if state != "assigned":
                raise RpcRefusedError(f"Tryton assigns a production only while it is waiting; it is {state or 'gone'}.")
        return super().remote_id(call, result)

    def _entered(self, change: Change, body: Body) -> Body:
        start, due = change.values.get("planned_end"), change.values.get("due_date")
        if start and due and not str(start).startswith(str(due)):
            raise wrong("Tryton has one day for both planned_end and due_date.", "due_date")
        self.office.lookups.put_unit(body)
        if body.get("location"):
            body |= self._place(body["location"])
        return body

    def _filled(self, body: Body, header: Body, row: Row) -> Body:
        """What follows from what is entered: bill of materials, unit, days, and the moves to and from stock.

        `header`: the values as they will be; `row`: as they are, {} of a new production.
        """
        found: Body = {}
        inputs, outputs = ([move["id"] for move in children(row, name)] for name in ("inputs", "outputs"))
        if body.get("product") and body["product"] != row.get("product") and "bom" not in body:
            found["bom"] = self._bill(body["product"])
        entered = [
            name
            for name in (*_REFILL, "planned_date", "planned_start_date")
            if name in body and plain(body[name]) != row.get(name)
        ]
        if not entered:
            return found
        if "bom" in found and "unit" not in body:
            header["unit"] = None
        values = {**header, **found, "inputs": inputs, "outputs": outputs}
        filled = self.on_change(self.model, values, *entered)
        for name in ("unit", "planned_date", "planned_start_date"):
            if name not in body and filled.get(name) is not None and filled[name] != header.get(name):
                found[name] = filled[name]
        if any(name in _REFILL for name in entered) and (header.get("bom") or found.get("bom")):
            again = {**values, **{name: found[name] for name in ("unit",) if name in found}}
            found |= self._moves(self.on_change(self.model, again, "bom"), inputs, outputs)
        return found

    def _moves(self, filled: Body, inputs: list[int], outputs: list[int]) -> Body:
        """The suggested moves in place of those that are there."""
        found: Body = {}
        for name, there in (("inputs", inputs), ("outputs", outputs)):
            suggested = [item for _, item in (filled.get(name) or {}).get("add", ())]
            made = [{key: move[key] for key in _OF_MOVE if move.get(key) is not None} for move in suggested]
            found[name] = [*([["delete", there]] if there else []), *([["create", made]] if made else [])]
        return found

    def _place(self, location: int) -> Body:
        """A production location with the warehouse it belongs to, if any; of a warehouse its own production location."""
        domain = [["type", "=", "warehouse"], ["OR", ["id", "=", location], ["production_location", "=", location]]]
        rows = self.look("model.stock.location.search_read", domain, 0, 1, [["id", "ASC"]], ["production_location"])
        if not rows:
            return {"location": location}
        return {"warehouse": rows[0]["id"], "location": rows[0]["production_location"] or location}

    def _bill(self, product: int) -> int | None:
        """The first bill of materials of a product, the one Tryton's own planning takes."""
        rows = self.look("model.product.product.read", [product], ["boms.bom", "boms.sequence"])
        bills = (rows[0].get("boms.") or []) if rows else []
        first = min(
            bills, key=lambda bill: (bill["sequence"] is not None, bill["sequence"] or 0, bill["id"]), default=None
        )
        return first["bom"] if first else None
