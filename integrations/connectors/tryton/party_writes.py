"""Writing parties: their main mail, telephone and website are contact mechanisms, their marks identifiers."""

from __future__ import annotations

from typing import Any, ClassVar

from integrations.connectors.tryton.writing import Body, ModelWriter, Row, children, commands, flag, row_id
from integrations.sdk.writes import Change

NAMES = {
    "supplier_currency": ("currency.currency", "code"),
    "supplier_payment_term": ("account.invoice.payment_term", "name"),
    "lang": ("ir.lang", "code"),
}
AT = {"supplier_currency": "currency", "supplier_payment_term": "payment_terms", "lang": "language"}
_MECHANISMS = {"email": ("email",), "phone": ("phone", "mobile"), "website": ("website",)}
_YES = ("1", "true")


class PartyWriter(ModelWriter):
    """Parties. The mark is an identifier of no type."""

    child_models: ClassVar = {
        "addresses": "party.address",
        "contact_mechanisms": "party.contact_mechanism",
        "identifiers": "party.identifier",
    }

    def found_by(self, mark: str) -> list[Any]:
        return [["identifiers.code", "=", mark]]

    def new(self, change: Change, body: Body) -> Body:
        body = self._values(change, body)
        return {**body, "identifiers": marked(change.mark)} if change.mark else body

    def changed(self, change: Change, body: Body, row: Row) -> Body:
        return self._values(change, body)

    def _values(self, change: Change, body: Body) -> Body:
        flag(body)
        self.resolve(body, AT, **NAMES)
        changes = [
            self._mechanism(change.before, kinds, body.pop(name)) for name, kinds in _MECHANISMS.items() if name in body
        ]
        if changes:
            body["contact_mechanisms"] = [command for change in changes for command in change]
        if "addresses" in body:
            body["addresses"] = self._addresses(body["addresses"], children(change.before, "addresses"))
        return body

    def _mechanism(self, before: Any, kinds: tuple[str, ...], value: Any) -> list[Any]:
        """The first active contact mechanism of the kind: changed, made, or without a value put out of use."""
        there = [row for row in children(before, "contact_mechanisms") if row.get("active") in (1, True)]
        main = next((row["id"] for kind in kinds for row in there if row.get("type") == kind), None)
        if main is None:
            return commands([{"type": kinds[0], "value": value}], [], []) if value else []
        return commands([], [(main, {"value": value} if value else {"active": False})], [])

    def _addresses(self, addresses: list[Body], before: list[Row]) -> list[Any]:
        countries = {row["id"]: row.get("country") for row in before}
        made: list[Body] = []
        written: list[tuple[int, Body]] = []
        for place, address in enumerate(addresses):
            values = self._address(address, place)
            key = values.pop("id", None)
            gone = values.pop("_delete", False)
            if key is None:
                made.append(values)
            else:
                # Purchases and invoices keep their addresses, so one is put out of use and not deleted.
                row = row_id(key, "addresses", place, "id")
                if "country" in values and values["country"] != (countries.get(row) or {}).get("id"):
                    values = {"subdivision": None, **values}  # a region is one of its country
                written.append((row, {"active": False} if gone else values))
        return commands(made, written, [])

    def _address(self, address: Body, place: int) -> Body:
        values = dict(address)
        if "country" in values:
            at = ("addresses", place, "country_code")
            values["country"] = self.office.lookups.one("country.country", "code", values["country"], at)
        if "subdivision" in values:
            at = ("addresses", place, "region")
            within = [["country", "=", values["country"]]] if values.get("country") else []
            values["subdivision"] = self.office.lookups.one(
                "country.subdivision", "name", values["subdivision"], at, *within
            )
        if "kind" in values:
            invoice, _, delivery = str(values.pop("kind")).partition("/")
            values["invoice"], values["delivery"] = invoice in _YES, delivery in _YES
        return values


def marked(mark: str) -> list[Any]:
    """A mark as an identifier of no type."""
    return [["create", [{"type": None, "code": mark}]]]
