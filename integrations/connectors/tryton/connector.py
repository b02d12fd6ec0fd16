"""The connector: what it asks for, who it is signed in as, and which reader serves which resource."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from core.errors import ConfigError, ValidationFailedError
from integrations.connectors.tryton.inventory_items import inventory_items
from integrations.connectors.tryton.locations import locations
from integrations.connectors.tryton.purchase_orders import add_receipts, purchase_orders
from integrations.connectors.tryton.reading import ModelReader
from integrations.connectors.tryton.rows import UNREADABLE
from integrations.connectors.tryton.stock import ProductReader
from integrations.connectors.tryton.vendors import vendors
from integrations.connectors.tryton.work_orders import add_completed, work_orders
from integrations.protocols.jsonrpc import JsonRpcConnector
from integrations.protocols.typed_json import plain
from integrations.sdk.declarations import Integer, Limits, Resource, Secret, Text, Url
from integrations.sdk.pages import CheckResult, Page, Position, Window

_COMPLETE = {"purchase_order": add_receipts, "work_order": add_completed}
_MARK = f'"{UNREADABLE}"'.encode()


@dataclass(frozen=True)
class Company:
    """The company records are read for, and the context of the user's calls."""

    id: int
    name: str
    currency: str | None
    context: dict[str, Any]


class Tryton(JsonRpcConnector):
    """Tryton 8.2 and its like, read through `search_read` with followed references."""

    slug, title, version = "tryton", "Tryton", "1"
    docs = "https://docs.tryton.org/"
    summary = "Open-source ERP: purchases, stock, products, parties and productions."
    config = (
        Url(
            "base_url", label="Address", help="Address of the server without the database, e.g. https://erp.example.com"
        ),
        Text("database", help="Name of the database"),
        Text("user", label="User name", help="A user of Tryton made for Lineshaft, with read access"),
        Secret("password", help="Password of that user"),
        Integer("company", required=False, help="Id of the company to read; empty: the user's own"),
    )
    limits = Limits(page_size=100, concurrency=2)
    call_seconds = 120.0  # for a page: one with stock takes several calls

    purchase_orders = purchase_orders
    work_orders = work_orders
    inventory_items = inventory_items
    locations = locations
    vendors = vendors

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._company: Company | None = None
        self._readers: dict[str, ModelReader] = {}

    def check(self) -> CheckResult:
        """Sign in anew, then read preferences and version."""
        with self.within(self.call_seconds):
            self._company = None
            session = self.login()
            company = self.company()
            version = self.call_server("common.server.version")
            return CheckResult(
                account=f"{self.settings.config['user']} at {company.name}",
                version=str(version),
                now=self._server_time(),
                details={"user_id": session.user_id, "company": company.id, "currency": company.currency},
            )

    def fetch_page(self, resource: Resource, window: Window, position: Position | None) -> Page:
        with self.within(self.call_seconds):
            return self._reader(resource).page(window, position, self.page_size())

    def fetch_one(self, resource: Resource, remote_id: str) -> bytes:
        with self.within(self.call_seconds):
            return self._reader(resource).one(remote_id)

    def decode(self, raw: bytes) -> Any:
        """Plain values; `party.` is `party`. ValidationFailedError for an object the server itself could not read."""
        value = orjson.loads(raw)
        if _MARK in raw and UNREADABLE in value:
            raise ValidationFailedError(f"Tryton cannot read this object. {value[UNREADABLE]}")
        return plain(value)

    # --- context ------------------------------------------------------------------------------------------------

    def in_context(self, method: str, *params: Any, **context: Any) -> Any:
        """Call with the company's context, which Tryton wants as the last parameter always."""
        return self.call(method, *params, {**self.company().context, **context})

    def company(self) -> Company:
        """The configured company, else the user's own; read once. ConfigError naming `company` when it is not theirs."""
        if self._company is None:
            preferences = self.call("model.res.user.get_preferences", True, {})
            wanted = self.settings.config.get("company") or preferences.get("company")
            if not wanted or wanted not in (preferences.get("companies") or [wanted]):
                detail = "This user does not belong to the company: set `company` to one of theirs, or give them one."
                raise ConfigError(detail, code="COMPANY_NOT_FOUND")
            shown = {name: value for name, value in preferences.items() if name != "locale"}
            # Names in English, so that units and the like are the same for every customer; inactive rows too.
            context = {**shown, "company": wanted, "language": "en", "active_test": False}
            self._company = self._described(wanted, context)
        return self._company

    def _described(self, company: int, context: dict[str, Any]) -> Company:
        fields = ["rec_name", "currency.code"]
        found = self.call("model.company.company.search_read", [["id", "=", company]], 0, 1, None, fields, context)
        row = found[0] if found else {}
        return Company(company, row.get("rec_name") or "", (row.get("currency.") or {}).get("code"), context)

    def _server_time(self) -> datetime:
        """The server's clock as its last answer told, ours when it does not tell; never signs in for it."""
        return datetime.now(UTC) + timedelta(seconds=self._clock_offset_seconds or 0.0)

    def _reader(self, resource: Resource) -> ModelReader:
        name = resource.spec.name
        if name not in self._readers:
            self._readers[name] = self._make_reader(resource)
        return self._readers[name]

    def _make_reader(self, resource: Resource) -> ModelReader:
        if resource.path == "product.product":
            return ProductReader(
                resource,
                self.in_context,
                today=lambda: self._server_time().date(),
                currency=lambda: self.company().currency,
            )
        return ModelReader(resource, self.in_context, complete=_COMPLETE.get(resource.spec.name))
