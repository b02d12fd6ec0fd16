"""What a person names by code or symbol, as the ids Tryton stores: units, currencies, countries, payment terms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from core.errors import FieldError, ValidationFailedError
from core.json import pointer
from integrations.connectors.tryton.shape import Call
from integrations.connectors.tryton.units import UNITS

Place = tuple[str | int, ...]
SHOWN = 20


def wrong(detail: str, *at: str | int, code: str = "VALUE_NOT_ACCEPTED") -> ValidationFailedError:
    """The error of one value; `at` leads to it in the body."""
    return ValidationFailedError(detail, errors=(FieldError(pointer(*at), code, detail),))


class Lookups:
    """Looks names up on the server; each name once."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._known: dict[tuple[str, Any], list[int]] = {}
        self._units: list[dict[str, Any]] | None = None

    def one(self, model: str, field: str, value: Any, at: Place, *others: Any) -> Any:
        """The id of the one row of the model with this value; None and ids are passed on.

        Errors: ValidationFailedError at `at` when there is none, or more than one.
        """
        if not isinstance(value, str):
            return value
        found = self._ids(model, field, value, list(others))
        if len(found) == 1:
            return found[0]
        what = "nothing" if not found else f"{len(found)} rows"
        known = f"; it knows {self._examples(model, field)}" if not found else ""
        raise wrong(f"Tryton has {what} called {value!r} here ({model}){known}.", *at)

    def unit(self, symbol: Any, at: Place) -> Any:
        """The id of a unit by its symbol, else of the one unit that is the same unified unit."""
        if not isinstance(symbol, str):
            return symbol
        units = self._all_units()
        same = [row["id"] for row in units if row["symbol"] == symbol]
        unified = UNITS.get(symbol)
        if not same and unified is not None:
            same = [row["id"] for row in units if UNITS.get(row["symbol"]) == unified]
        if len(same) == 1:
            return same[0]
        if same:
            raise wrong(f"More than one unit of Tryton is meant by {symbol!r}: name it by its symbol in unit_raw.", *at)
        known = ", ".join(_texts(row["symbol"] for row in units))
        raise wrong(f"Tryton has no unit {symbol!r}; its units are {known}.", *at)

    def put_unit(self, values: dict[str, Any], *at: str | int) -> None:
        """Put the id of the unit into `unit`, of a symbol that was mapped from `unit` or, as it is, from `unit_raw`.

        Errors: ValidationFailedError when both are given and mean different units.
        """
        raw = values.pop("unit_symbol", None)
        given = values.get("unit")
        if raw is None and "unit" not in values:
            return
        if raw is not None and given is not None and UNITS.get(raw) not in (None, UNITS.get(given)):
            raise wrong(f"unit and unit_raw {raw!r} are different units: give one of them.", *at, "unit_raw")
        values["unit"] = self.unit(raw or given, (*at, "unit_raw" if raw else "unit"))

    def _ids(self, model: str, field: str, value: str, others: list[Any]) -> list[int]:
        key = (model, str([field, value, others]))
        if key not in self._known:
            self._known[key] = self._call(f"model.{model}.search", [[field, "=", value], *others], 0, SHOWN, None)
        return self._known[key]

    def _examples(self, model: str, field: str) -> str:
        rows = self._call(f"model.{model}.search_read", [], 0, SHOWN, [[field, "ASC"]], [field])
        return ", ".join(_texts(row[field] for row in rows)) or "none"

    def _all_units(self) -> list[dict[str, Any]]:
        if self._units is None:
            self._units = self._call(
                "model.product.uom.search_read", [["active", "=", True]], 0, None, [["id", "ASC"]], ["symbol"]
            )
        return self._units


def _texts(values: Iterable[Any]) -> list[str]:
    return [str(value) for value in values if value]
