"""The connector: what it asks for, who it is signed in as, and which reader serves which resource."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson

from core.errors import ConfigError, LineshaftError, TimeoutUnknownError, ValidationFailedError
from integrations.connectors.tryton import usage
from integrations.connectors.tryton.encoding import encoded
from integrations.connectors.tryton.inventory_items import inventory_items
from integrations.connectors.tryton.location_writes import LocationWriter
from integrations.connectors.tryton.locations import locations
from integrations.connectors.tryton.lookups import Lookups
from integrations.connectors.tryton.party_writes import PartyWriter
from integrations.connectors.tryton.product_writes import ProductWriter
from integrations.connectors.tryton.production_writes import ProductionWriter
from integrations.connectors.tryton.purchase_orders import add_receipts, purchase_orders
from integrations.connectors.tryton.purchase_writes import PurchaseWriter
from integrations.connectors.tryton.reading import ModelReader
from integrations.connectors.tryton.rights import refusal, rights
from integrations.connectors.tryton.rows import UNREADABLE
from integrations.connectors.tryton.shape import Schema
from integrations.connectors.tryton.stock import ProductReader
from integrations.connectors.tryton.vendors import vendors
from integrations.connectors.tryton.work_orders import add_completed, work_orders
from integrations.connectors.tryton.writing import ModelWriter
from integrations.protocols.jsonrpc import JsonRpcConnector, RpcRefusedError
from integrations.protocols.typed_json import plain, typed_datetime
from integrations.sdk.declarations import Integer, Limits, Resource, Secret, Text, Url
from integrations.sdk.pages import CheckResult, Page, Position, Window
from integrations.sdk.unmapping import Unmapping
from integrations.sdk.writes import Change, Sent, WriteCall

_WRITERS: dict[str, type[ModelWriter]] = {
    "purchase.purchase": PurchaseWriter,
    "production": ProductionWriter,
    "product.product": ProductWriter,
    "party.party": PartyWriter,
    "stock.location": LocationWriter,
}
# Of the preferences what only a client's screen needs.
_NOT_FOR_WRITES = frozenset({"locale", "language_direction", "company.rec_name"})
_COMPLETE = {"purchase_order": add_receipts, "work_order": add_completed}
_MARK = f'"{UNREADABLE}"'.encode()


@dataclass(frozen=True)
class Company:
    """The company records are read for, and the context of the user's calls: of those that read, and of writes.

    Writes are made as the user's own client makes them, in the user's language: a text written in another language than
    the plant's is a translation, which nobody there would see.
    """

    id: int
    name: str
    currency: str | None
    context: dict[str, Any]
    write_context: dict[str, Any]


class Tryton(JsonRpcConnector):
    """Tryton 8.2 and its like, read through `search_read` with followed references."""

    slug, title, version = "tryton", "Tryton", "2"
    docs = "https://docs.tryton.org/"
    summary = "Open-source ERP: purchases, stock, products, parties and productions."
    categories = ("ERP", "Inventory")
    config = (
        Url(
            "base_url", label="Address", help="Address of the server without the database, e.g. https://erp.example.com"
        ),
        Text("database", help="Name of the database"),
        Text("user", label="User name", help="A user of Tryton made for Lineshaft, with the groups it shall work in"),
        Secret("password", help="Password of that user"),
        Integer(
            "company",
            required=False,
            help="Id of the company to read; empty: the user's own",
            choices_from="list_companies",
        ),
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
        self.lookups, self.schema = Lookups(self.look), Schema(self.look)

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

    def list_companies(self) -> list[tuple[int, str]]:
        """(id, name) of the companies that this user may work in, for the setting `company`."""
        with self.within(self.call_seconds):
            context = self.company().context
            mine = [["id", "in", context.get("companies") or [self.company().id]]]
            found = self.call("model.company.company.search_read", mine, 0, None, None, ["rec_name"], context)
        return sorted([(row["id"], row["rec_name"]) for row in found], key=lambda company: company[1])

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

    # --- writing ------------------------------------------------------------------------------------------------

    def probe(self) -> dict[str, dict[str, bool]]:
        """As Tryton's own access rights say; rights for single fields and buttons are not among them."""
        with self.within(self.call_seconds):
            return rights(self.look, self.resources().values())

    def plan(self, resource: Resource, change: Change, unmapping: Unmapping) -> list[WriteCall]:
        with self.within(self.call_seconds):
            return self._writer(resource).plan(change, unmapping)

    def send_call(self, resource: Resource, call: WriteCall, *, not_after: float | None = None) -> Sent:
        """Send one planned call. Whatever the server answers with an error of its own was not done, not even in part."""
        with self.within(self.call_seconds):
            if usage.is_usage(call):
                return self._ship(call, not_after)
            try:
                result = self.send_write(call, not_after)
            except RpcRefusedError as error:
                raise refusal(self.look, call, error) from error
            return self._sent(resource, call, result)

    def _ship(self, call: WriteCall, not_after: float | None) -> Sent:
        """A call about the shipment that books usage. It names no new object of the resource."""
        known = usage.ready(call, self.look)
        if known is not None:
            try:
                self.send_write(known, not_after)
            except RpcRefusedError as error:
                raise refusal(self.look, known, error) from error
            usage.demand_done(known, self.look)
        return Sent()

    def was_done(self, resource: Resource, call: WriteCall) -> bool:
        with self.within(self.call_seconds):
            return usage.was_shipped(call, self.look)

    def find_marked(self, resource: Resource, change: Change, since: datetime) -> list[str]:
        domain = [*self._writer(resource).found_by(change.mark), ["create_date", ">=", typed_datetime(since)]]
        with self.within(self.call_seconds):
            found = self.look(f"model.{resource.path}.search", domain, 0, None, [["id", "ASC"]], active_test=False)
        return [str(remote_id) for remote_id in found]

    def encode(self, kind: str, value: Any) -> Any:
        return encoded(kind, value)

    def look(self, method: str, *params: Any, **context: Any) -> Any:
        """Call a method that only reads in the context of writes."""
        return self.call(method, *params, {**self.company().write_context, **context})

    def planned(self, method: str, *params: Any, purpose: str, creates: bool = False, **context: Any) -> WriteCall:
        """A call that writes, in the context of writes."""
        context = {**self.company().write_context, **context}
        return self.write_call(method, *params, context, purpose=purpose, creates=creates)

    def _sent(self, resource: Resource, call: WriteCall, result: Any) -> Sent:
        """What the answer told, completed by the writer. Once it was done, no error may say that it was not."""
        try:
            return Sent(self._writer(resource).remote_id(call, result))
        except RpcRefusedError:
            raise
        except LineshaftError as error:
            detail = f"It was done, but what became of it could not be read. {error}"
            raise TimeoutUnknownError(detail, source=error.source) from error

    def _writer(self, resource: Resource) -> ModelWriter:
        return _WRITERS[resource.path](resource, self)

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
            mine = {name: value for name, value in preferences.items() if name not in _NOT_FOR_WRITES}
            self._company = self._described(wanted, context, {**mine, "company": wanted})
        return self._company

    def _described(self, company: int, context: dict[str, Any], write_context: dict[str, Any]) -> Company:
        fields = ["rec_name", "currency.code"]
        found = self.call("model.company.company.search_read", [["id", "=", company]], 0, 1, None, fields, context)
        row = found[0] if found else {}
        currency = (row.get("currency.") or {}).get("code")
        return Company(company, row.get("rec_name") or "", currency, context, write_context)

    def today(self) -> date:
        """The server's day (UTC), for which quantities are computed."""
        return self._server_time().date()

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
                today=self.today,
                currency=lambda: self.company().currency,
            )
        return ModelReader(resource, self.in_context, complete=_COMPLETE.get(resource.spec.name))
