"""Writing purchases: what Tryton's client fills in is asked of Tryton itself, so that prices and taxes are its own."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from integrations.connectors.tryton.writing import Body, ModelWriter, Row, commands, row_id, whole_number
from integrations.protocols.typed_json import typed_decimal
from integrations.sdk.writes import Change

LINE = "purchase.line"
NAMES = {
    "currency": ("currency.currency", "code"),
    "payment_term": ("account.invoice.payment_term", "name"),
}
AT = {"payment_term": "payment_terms"}
_OF_PARTY = ("invoice_party", "invoice_address", "payment_term", "currency")
_OF_PRODUCT = ("unit", "unit_price", "product_supplier")
_HEADER = ("party", "company", "currency", "warehouse", "purchase_date", "delivery_date", "payment_term")


class PurchaseWriter(ModelWriter):
    """Purchases with their lines. The mark stands in `reference`, unless the caller wrote one there."""

    buttons: ClassVar = {name: name for name in ("quote", "confirm", "process", "cancel", "draft")}
    child_models: ClassVar = {"lines": LINE}

    def extra_fields(self) -> tuple[str, ...]:
        return (*_HEADER, "lines.taxes")

    def found_by(self, mark: str) -> list[Any]:
        return [["reference", "=", mark]]

    def new(self, change: Change, body: Body) -> Body:
        self.resolve(body, AT, **NAMES)
        lines = body.pop("lines", [])
        defaults = self.look("model.purchase.purchase.default_get", ["company", "currency", "warehouse"], False)
        if change.mark:
            body["reference"] = body.get("reference") or change.mark
        header = {**defaults, **body}
        filled = self.on_change(self.model, header, "party") if body.get("party") else {}
        body |= {name: filled[name] for name in _OF_PARTY if filled.get(name) is not None and body.get(name) is None}
        made = [self._new_line(line, {**header, **body}, place) for place, line in enumerate(lines)]
        return {**body, "lines": commands(made, [], [])} if made else body

    def changed(self, change: Change, body: Body, row: Row) -> Body:
        self.resolve(body, AT, **NAMES)
        header = {name: row.get(name) for name in _HEADER} | body
        if body.get("party") and body["party"] != row.get("party"):
            filled = self.on_change(
                self.model, {key: value for key, value in header.items() if key != "lines"}, "party"
            )
            # The currency stays: the prices of the lines are in it.
            body |= {name: filled.get(name) for name in _OF_PARTY if name != "currency" and name not in body}
        if "lines" in body:
            body["lines"] = self._lines(body["lines"], header, row)
        return body

    def _lines(self, lines: list[Body], header: Body, row: Row) -> list[Any]:
        taxes = {line["id"]: line.get("taxes") or [] for line in row.get("lines") or ()}
        made: list[Body] = []
        written: list[tuple[int, Body]] = []
        deleted: list[int] = []
        for place, line in enumerate(lines):
            if line.get("id") is None:
                made.append(self._new_line(line, header, place))
                continue
            key = row_id(line.pop("id"), "lines", place, "id")
            if line.pop("_delete", False):
                deleted.append(key)
                continue
            values = self._line(line, place)
            if values.get("product"):
                values = {**self._of_product(values, header, taxes.get(key, [])), **values}
            if values:
                written.append((key, values))
        return commands(made, written, deleted)

    def _new_line(self, line: Body, header: Body, place: int) -> Body:
        values = self._line({key: value for key, value in line.items() if key != "_delete"}, place)
        filled = self._of_product(values, header, []) if values.get("product") else {}
        found = {**filled, **{key: value for key, value in values.items() if value is not None}}
        if found.get("unit_price") is None:
            found["unit_price"] = typed_decimal(Decimal(0))
        return {"type": "line", **found}

    def _line(self, line: Body, place: int) -> Body:
        """A line as the mapping wrote it, in Tryton's values."""
        values = dict(line)
        self.office.lookups.put_unit(values, "lines", place)
        if "sequence" in values:
            values["sequence"] = whole_number(values["sequence"], "lines", place, "line_number")
        if "delivery_date" in values:  # else Tryton computes it, and drops what is written
            values["delivery_date_edit"] = values["delivery_date"] is not None
        return values

    def _of_product(self, values: Body, header: Mapping[str, Any], taxes: list[int]) -> Body:
        """Unit, price of this vendor and taxes, as Tryton's client fills them in when a product is chosen."""
        known = {name: values[name] for name in ("product", "unit", "quantity") if values.get(name) is not None}
        parents = {f"_parent_purchase.{name}": header.get(name) for name in _HEADER}
        entered = {"type": "line", "purchase": -1, "company": header.get("company"), **known, **parents}
        filled = self.on_change(LINE, entered, "product")
        found: Body = {name: filled.get(name) for name in _OF_PRODUCT}
        added = [item["id"] for _, item in (filled.get("taxes") or {}).get("add", ())]
        removed = [tax for tax in taxes if tax not in added]
        added = [tax for tax in added if tax not in taxes]
        found["taxes"] = [*([["remove", removed]] if removed else []), *([["add", added]] if added else [])]
        return found
