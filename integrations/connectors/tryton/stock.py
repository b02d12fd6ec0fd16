"""Products with their stock. Tryton computes quantities from the context of a call; moves alone tell that they changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from integrations.connectors.tryton.reading import ORDER, ModelReader, Row, Selected
from integrations.connectors.tryton.rows import stamp_of
from integrations.connectors.tryton.shape import Call, any_of
from integrations.protocols.typed_json import typed_date, typed_datetime
from integrations.sdk.declarations import Resource
from integrations.sdk.pages import Window

MOVES_A_CALL = 1000
MOVES = "model.stock.move.search_read"
PLACES = "model.stock.location.search_read"
PRODUCTS = "model.product.product.search_read"


class ProductReader(ModelReader):
    """Reads products with their totals over all storage locations in the same call, then what lies at each location.

    `today` is the day quantities are computed for (the server's, UTC); `currency` the company's code.
    """

    def __init__(
        self, resource: Resource, call: Call, *, today: Callable[[], date], currency: Callable[[], str | None]
    ) -> None:
        super().__init__(resource, call)
        self._today, self._currency = today, currency
        self._places: list[Row] = []

    # --- what changed -------------------------------------------------------------------------------------------

    def select(self, window: Window, after: int | None) -> Selected:
        """Products that changed themselves, or that moves changed since then brought somewhere else."""
        selected = super().select(window, after)
        newest = self._newest_move() if after is None else None
        if window.since is None:
            return replace(selected, newest=newest)
        moved, ceiling = self._moved(window.since, after or 0)
        domain = [*selected.domain, ["id", "in", moved]] if moved else selected.domain
        return Selected(domain, ceiling, newest)

    def _newest_move(self) -> datetime | None:
        """The change time of the youngest move: whatever changed until then is on the pages that follow."""
        found = [
            stamp_of(row)
            for stamp in self.shape.stamps
            for row in self.call(MOVES, [], 0, 1, [[stamp, "DESC NULLS LAST"]], list(self.shape.stamps))
        ]
        return max((moment for moment in found if moment), default=None)

    def _moved(self, since: datetime, after: int) -> tuple[list[int], int | None]:
        """Products beyond the id `after` with moves changed since, in order; whole up to the answered id if there is one.

        Any state: a move that was done and is cancelled changes the stock as well.
        """
        changed = any_of([[stamp, ">=", typed_datetime(since)] for stamp in self.shape.stamps])
        order = [["product.id", "ASC"], *ORDER]
        moves = self.call(MOVES, [changed, ["product.id", ">", after]], 0, MOVES_A_CALL, order, ["product"])
        products = sorted({move["product"] for move in moves})
        return products, products[-1] if len(moves) == MOVES_A_CALL else None

    # --- what lies where ----------------------------------------------------------------------------------------

    def rows(self, domain: list[Any], limit: int) -> list[Row]:
        fields = ["name"]
        self._places = self.call(PLACES, [["type", "=", "storage"]], 0, None, ORDER, fields)
        context = self._stock_context(place["id"] for place in self._places)
        found: list[Row] = self.call(PRODUCTS, domain, 0, limit, ORDER, list(self.shape.fields), **context)
        return found

    def _stock_context(self, places: Any) -> dict[str, Any]:
        return {"locations": list(places), "with_childs": False, "stock_date_end": typed_date(self._today())}

    def complete(self, rows: list[Row]) -> None:
        """Add `stock`, one entry for each location with a quantity, in order of the location's id; and the currency."""
        stored = [row for row in rows if (row.get("template.") or {}).get("type") != "service"]
        levels: dict[int, list[Row]] = {row["id"]: [] for row in rows}
        # As few calls as possible: one for each product, or one for each location.
        by_product = len(stored) < len(self._places)
        for product, level in self._by_product(stored) if by_product else self._by_place(stored):
            levels[product].append(level)
        for row in rows:
            unit = ((row.get("template.") or {}).get("default_uom.") or {}).get("symbol")
            row["company_currency"] = self._currency()
            row["stock"] = [{**level, "unit": unit} for level in levels[row["id"]]]

    def _by_product(self, stored: list[Row]) -> Any:
        context = {"with_childs": False, "stock_date_end": typed_date(self._today())}
        domain = [["type", "=", "storage"], ["quantity", "!=", 0]]
        fields = ["name", "quantity", "forecast_quantity"]
        for row in stored:
            for place in self.call(PLACES, domain, 0, None, ORDER, fields, product=row["id"], **context):
                yield row["id"], _level(place, place)

    def _by_place(self, stored: list[Row]) -> Any:
        domain = [["id", "in", [row["id"] for row in stored]], ["quantity", "!=", 0]]
        fields = ["quantity", "forecast_quantity"]
        for place in self._places:
            context = self._stock_context([place["id"]])
            for product in self.call(PRODUCTS, domain, 0, None, ORDER, fields, **context):
                yield product["id"], _level(place, product)


def _level(place: Row, quantities: Row) -> Row:
    return {
        "location": {"id": place["id"], "name": place["name"]},
        "quantity": quantities["quantity"],
        "forecast_quantity": quantities["forecast_quantity"],
    }
