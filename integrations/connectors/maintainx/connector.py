"""The connector: what it asks for, who it is signed in as, and what this API does in its own way.

Source: the vendor's OpenAPI document, "MaintainX API", version 1; docs/systems/maintainx.md tells what was not in it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from core.errors import ConfigError, ValidationFailedError
from core.http import Request, Response
from integrations.connectors.maintainx.assets import assets
from integrations.connectors.maintainx.bodies import completed
from integrations.connectors.maintainx.hooks import hooks
from integrations.connectors.maintainx.inventory_items import inventory_items
from integrations.connectors.maintainx.locations import locations
from integrations.connectors.maintainx.purchase_orders import purchase_orders
from integrations.connectors.maintainx.vendors import vendors
from integrations.connectors.maintainx.work_orders import work_orders
from integrations.protocols.rest import RestConnector
from integrations.sdk.auth import Bearer
from integrations.sdk.declarations import Boolean, Jobs, Limits, Resource, Secret, Text, Url
from integrations.sdk.pages import CheckResult
from integrations.sdk.unmapping import Unmapping
from integrations.sdk.writes import Change

WITH_AMOUNTS = frozenset({"work_order", "purchase_order", "inventory_item", "asset"})
MOST_ERRORS_SHOWN = 5


class MaintainX(RestConnector):
    """MaintainX API v1. Times are UTC, money is in cents without a currency."""

    slug, title, version = "maintainx", "MaintainX", "1"
    docs = "https://api.getmaintainx.com/v1/docs"
    summary = "Maintenance: work orders, assets, parts, locations, vendors and purchase orders."
    categories = ("CMMS",)
    simulated = True
    config = (
        Url(
            "base_url",
            label="Address",
            default="https://api.getmaintainx.com/v1",
            help="Address of the API with its version; change it only for a test system",
        ),
        Secret("api_key", label="API key", help="Made in MaintainX under Settings, Integrations, New Key"),
        Text(
            "organization_id",
            label="Organization id",
            required=False,
            help="Needed when the key belongs to several organizations: the id of the one to connect",
        ),
        Text(
            "currency", required=False, default="USD", help="ISO 4217 code of all amounts: MaintainX does not tell it"
        ),
        Boolean(
            "quiet_writes",
            label="Quiet writes",
            required=False,
            default=True,
            help="What Lineshaft writes sets off no webhooks of MaintainX. Switch off when other tools need them",
        ),
    )
    auth = Bearer("api_key")
    limits = Limits(per_minute=100, concurrency=2, reserve_for_operations=0.2, page_size=200)
    hooks = hooks
    integer_ids = True
    # The vendor tells of no asynchronous writes; should one be accepted with a job, it is followed.
    jobs = Jobs(id="jobId")

    work_orders = work_orders
    assets = assets
    inventory_items = inventory_items
    locations = locations
    vendors = vendors
    purchase_orders = purchase_orders

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._go_on_at = 0.0
        self._etags: dict[tuple[str, str], str] = {}

    def check(self) -> CheckResult:
        """Ask for one user. The API does not tell whose key it is, so the organization stands for it."""
        try:
            answer = self.get(self.url("/users"), {"limit": 1}).json()
        except ValidationFailedError as error:
            said = f" It says: {error.source.message}" if error.source and error.source.message else ""
            detail = f"MaintainX refuses the first call: set `organization_id` if the key has several.{said}"
            raise ConfigError(detail, source=error.source) from error
        users = answer.get("users") if isinstance(answer, dict) else None
        first = users[0] if isinstance(users, list) and users and isinstance(users[0], dict) else {}
        number = self.settings.config.get("organization_id") or first.get("organizationId")
        return CheckResult(account=f"organization {number}" if number else "API key", now=self.now())

    def own_headers(self) -> dict[str, str]:
        organization = str(self.settings.config.get("organization_id") or "").strip()
        return {**super().own_headers(), **({"x-organization-id": organization} if organization else {})}

    def message_of(self, response: Response) -> str | None:
        """`{"error": ...}`, or `{"errors": [{"error", "fieldPath"}]}`, as the endpoint has it."""
        try:
            body = msgspec.json.decode(response.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        found = body.get("errors") if isinstance(body, dict) else None
        if not isinstance(found, list):
            return super().message_of(response)
        said = [one.get("error") if isinstance(one, dict) else one for one in found[:MOST_ERRORS_SHOWN]]
        return response.clean("; ".join(text for text in said if isinstance(text, str)))[:500] or None

    # --- read ---------------------------------------------------------------------------------------------------

    def shaped(self, resource: Resource, raw: bytes) -> bytes:
        """With the connection's currency, so that another one reaches every record."""
        kept = super().shaped(resource, raw)
        if resource.spec.name not in WITH_AMOUNTS or not kept.startswith(b'{"'):
            return kept
        currency = str(self.settings.config.get("currency", "USD") or "").strip().upper() or None
        return b'{"currency":' + orjson.dumps(currency) + b"," + kept[1:]

    def send(self, request: Request) -> Response:
        response = super().send(request)
        self._note_limit(response)
        return response

    def _note_limit(self, response: Response) -> None:
        """Remember when to go on, once only the share of the limit is left that syncs leave to writes."""
        found = [response.headers.get(f"X-Rate-Limit-{name}", "") for name in ("Remaining", "Limit", "Reset")]
        if not all(text.isdecimal() for text in found):
            return
        remaining, limit, reset = map(int, found)
        is_low = remaining <= limit * self.limits.reserve_for_operations
        self._go_on_at = time.monotonic() + reset if is_low else 0.0

    def pause_seconds(self) -> float:
        return max(0.0, self._go_on_at - time.monotonic())

    # --- written ------------------------------------------------------------------------------------------------

    def body_of(self, resource: Resource, change: Change, unmapping: Unmapping) -> dict[str, Any]:
        return completed(super().body_of(resource, change, unmapping), change.before or {})

    def encode(self, kind: str, value: Any) -> Any:
        """Days are sent as their noon in UTC, which is the same day in nearly every zone."""
        return f"{value}T12:00:00.000Z" if kind == "date" else super().encode(kind, value)

    def write_parameters(self, resource: Resource, change: Change) -> Mapping[str, str]:
        return {"skipWebhook": "true"} if self.settings.config.get("quiet_writes", True) else {}

    def remember(self, resource: Resource, remote_id: str, response: Response) -> None:
        """Its ETag, should there be one: the vendor documents none."""
        etag = response.headers.get("ETag", "")
        if etag and not etag.startswith("W/"):
            self._etags[resource.spec.name, remote_id] = etag
        else:
            self._etags.pop((resource.spec.name, remote_id), None)

    def etag_of(self, resource: Resource, change: Change) -> str | None:
        return self._etags.get((resource.spec.name, change.remote_id or ""))
