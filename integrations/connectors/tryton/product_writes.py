"""Writing products: a variant and its template, in one call. Names and list prices are the template's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from integrations.connectors.tryton.party_writes import marked
from integrations.connectors.tryton.usage import ACTION, plan_usage
from integrations.connectors.tryton.writing import Body, ModelWriter, Row, children, commands, flag, made_id, referred
from integrations.sdk.writes import Change, WriteCall

TEMPLATE = "product.template"
_IDENTIFIERS = ("ean", "mpn")


class ProductWriter(ModelWriter):
    """Product variants. A new one comes with a template of its own. The mark is an identifier of no type."""

    child_models: ClassVar = {"identifiers": "product.identifier", "template": TEMPLATE}

    def found_by(self, mark: str) -> list[Any]:
        return [["identifiers.code", "=", mark]]

    def act(self, change: Change, versions: Mapping[str, str]) -> list[WriteCall]:
        if change.action == ACTION:
            return plan_usage(change, self.office, noun=self.noun)
        return super().act(change, versions)

    def create(self, change: Change, body: Body) -> WriteCall:
        template = self._template(body)
        own = self._own(change, body)
        template["code"] = own.pop("code", None)
        if "default_uom" not in template:
            template["default_uom"] = self.office.lookups.unit("u", ("unit",))
        if self.office.schema.has(TEMPLATE, "purchasable"):  # the module of purchases is installed
            template = {"purchasable": True, "purchase_uom": template["default_uom"], **template}
        if change.mark:
            own["identifiers"] = [*own.get("identifiers", []), *marked(change.mark)]
        values = {**template, "products": [["create", [own]]]}
        return self.office.planned(
            f"model.{TEMPLATE}.create", [values], purpose="Create the template with its product", creates=True
        )

    def update(self, change: Change, body: Body, row: Row, versions: Mapping[str, str]) -> WriteCall:
        remote_id, before = int(change.remote_id or 0), change.before
        template = self._template(body)
        own = self._own(change, body)
        if "list_price" in template and before.get("list_price") is not None:
            own["list_price"] = template.pop("list_price")  # the variant has a price of its own
        if not template:
            return self.write_call(remote_id, own, versions)
        parent = referred(before, "template") or 0
        if self.office.schema.has(TEMPLATE, "purchase_uom") and "default_uom" in template:
            template["purchase_uom"] = template["default_uom"]
        values = {**template, "products": [["write", [remote_id], own]]} if own else template
        return self.write_call(parent, values, versions, "Change the template with its product", TEMPLATE)

    def remote_id(self, call: WriteCall, result: Any) -> str | None:
        """Of the product; the answer names its template."""
        if not call.creates:
            return None
        rows = self.look(f"model.{TEMPLATE}.read", [made_id(result)], ["products"])
        return str(made_id(rows[0].get("products") if rows else None))

    def _template(self, body: Body) -> Body:
        """What the template holds, taken out of the body."""
        template = dict(body.pop("template", {}))
        if "kind" in template:
            kind, _, consumable = str(template.pop("kind")).partition("/")
            template |= {"type": kind, "consumable": consumable == "1"}
        self.office.lookups.put_unit(template)
        if "unit" in template:
            template["default_uom"] = template.pop("unit")
        return template

    def _own(self, change: Change, body: Body) -> Body:
        flag(body)
        changes = [self._identifier(change.before, kind, body.pop(kind)) for kind in _IDENTIFIERS if kind in body]
        if changes:
            body["identifiers"] = [command for change in changes for command in change]
        return body

    def _identifier(self, before: Any, kind: str, code: Any) -> list[Any]:
        """The first identifier of its kind: changed, made, or without a code deleted."""
        there = next((row["id"] for row in children(before, "identifiers") if row.get("type") == kind), None)
        if there is None:
            return commands([{"type": kind, "code": code}], [], []) if code else []
        return commands([], [(there, {"code": code})], []) if code else commands([], [], [there])
