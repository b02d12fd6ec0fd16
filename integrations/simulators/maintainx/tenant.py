"""The routes of the API, who may ask, and its switches."""

from __future__ import annotations

import orjson

from integrations.simulators.kit.hooks import Message
from integrations.simulators.kit.messages import Answer, Request, json_answer
from integrations.simulators.kit.paging import pack_cursor
from integrations.simulators.kit.settings import Settings
from integrations.simulators.kit.store import Change, Store
from integrations.simulators.kit.tenant import NUMBER, Route, Tenant
from integrations.simulators.maintainx.entities import ENTITIES
from integrations.simulators.maintainx.lists import envelope, list_objects
from integrations.simulators.maintainx.maintenance import (
    ASSET_RULES,
    PART_RULES,
    WORK_ORDER_RULES,
    set_asset_status,
    set_work_order_status,
)
from integrations.simulators.maintainx.objects import (
    ORGANIZATION_ID,
    Rules,
    creator,
    delete_object,
    get_object,
    updater,
)
from integrations.simulators.maintainx.purchasing import ORDER_RULES, delete_order, set_order_status
from integrations.simulators.maintainx.receiving import receive
from integrations.simulators.maintainx.seed import fill
from integrations.simulators.maintainx.subscriptions import (
    SUBSCRIPTIONS,
    change_subscription,
    messages_of,
    show_secret,
    show_subscription,
    subscribe,
    unsubscribe,
)

PREFIX = "/v1"
_RULES = {
    "workorders": WORK_ORDER_RULES,
    "purchaseorders": ORDER_RULES,
    "parts": PART_RULES,
    "assets": ASSET_RULES,
    "locations": Rules(),
    "vendors": Rules(),
}


class MaintainX(Tenant):
    name = "maintainx"
    prefix = PREFIX
    entities = (*ENTITIES, SUBSCRIPTIONS)
    paging_parameters = frozenset({"limit", "cursor", "sort", "expand"})
    settings = {
        # Lists whose cursor counts rows, as the vendor says of these: rows move between pages while they change.
        "offset_paging": ["parts", "assets", "purchaseorders"],
        # {"workOrder": {...}} as the vendor's document has it, or the bare object.
        "wrap_objects": True,
        # False: the organisation makes titles itself and ignores those sent.
        "purchase_order_titles": True,
    }

    def routes(self) -> list[Route]:
        found = [
            Route("PATCH", f"{PREFIX}/workorders/{NUMBER}/status", "workorders", set_work_order_status),
            Route("PATCH", f"{PREFIX}/purchaseorders/{NUMBER}/status", "purchaseorders", set_order_status),
            Route("PATCH", f"{PREFIX}/purchaseorders/{NUMBER}/fulfillment", "purchaseorders", receive),
            Route("POST", f"{PREFIX}/assets/{NUMBER}/status", "assets", set_asset_status),
        ]
        found += _subscription_routes()
        for entity in ENTITIES:
            path = f"{PREFIX}/{entity.name}"
            one = f"{path}/{NUMBER}"
            found += [
                Route("GET", path, entity.name, list_objects),
                Route("GET", one, entity.name, get_object),
            ]
            if entity.writable:
                rules = _RULES[entity.name]
                found += [
                    Route("POST", path, entity.name, creator(rules)),
                    Route("PATCH", one, entity.name, updater(rules)),
                    Route(
                        "DELETE", one, entity.name, delete_order if entity.name == "purchaseorders" else delete_object
                    ),
                ]
        return found

    def seed(self, store: Store, seed: int, scale: float, records: int | None) -> None:
        fill(store, seed, scale, records)

    def messages(self, store: Store, request: Request, changes: list[Change]) -> list[Message]:
        return messages_of(store, request, changes)

    def refused(self, request: Request, api_key: str, settings: Settings) -> Answer | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or key.strip() != api_key:
            return self.error(401, "Invalid token")
        organization = request.headers.get("x-organization-id")
        if organization is None and settings["require_organization"]:
            return json_answer(400, {"errors": [{"error": "Missing x-organization-id header."}]})
        if organization not in (None, str(ORGANIZATION_ID)):
            return self._another_organization(request)
        return None

    def _another_organization(self, request: Request) -> Answer:
        """One that is empty: a wrong scope looks like no data."""
        entity = next((one for one in ENTITIES if request.path == f"{PREFIX}/{one.name}"), None)
        if request.method == "GET" and entity:
            return envelope(entity, [], None, request)
        return self.error(404, "Not Found.")

    def endless(self, answer: Answer, request: Request) -> Answer:
        content = orjson.loads(answer.body)
        content["nextCursor"] = content["nextCursor"] or request.first("cursor") or pack_cursor("again")
        content["nextPageUrl"] = request.target_with(cursor=content["nextCursor"])
        return Answer(answer.status, orjson.dumps(content), answer.headers)


def _subscription_routes() -> list[Route]:
    """There is no list of them."""
    name, path = SUBSCRIPTIONS.name, f"{PREFIX}/{SUBSCRIPTIONS.name}"
    return [
        Route("POST", path, name, subscribe),
        Route("GET", f"{path}/{NUMBER}", name, show_subscription),
        Route("PATCH", f"{path}/{NUMBER}", name, change_subscription),
        Route("DELETE", f"{path}/{NUMBER}", name, unsubscribe),
        Route("GET", f"{path}/{NUMBER}/secret", name, show_secret),
    ]
