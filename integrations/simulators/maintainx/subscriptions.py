"""Subscriptions to webhooks, and what is sent to them.

Source: the vendor's OpenAPI document, "Subscriptions & Webhooks": routes, types, signatures, `skipWebhook`. It shows no
body; `type`, `<object>Id`, `orgId`, `occurredAt` and `new<Object>` are as public examples of others show them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator

import orjson

from integrations.simulators.kit.entities import Entity, Problem
from integrations.simulators.kit.hooks import Message
from integrations.simulators.kit.messages import Answer, Body, Request, json_answer
from integrations.simulators.kit.store import Change, Object, Store
from integrations.simulators.kit.tenant import Call
from integrations.simulators.maintainx.objects import ORGANIZATION_ID
from integrations.simulators.maintainx.refusals import body_of, invalid, refusal

SUBSCRIPTIONS = Entity("subscriptions", "subscription", "subscriptions", writable=False)
MOST_URL_CHARACTERS = 512
TYPES = (
    "API_TOKEN_CREATED", "API_TOKEN_REVOKED", "ASSET_STATUS_CHANGE", "CONNECTOR_TOKEN_REVOKED", "DATA_EXPORT_INITIATED",
    "INVITE_LINK_ARCHIVED", "INVITE_LINK_CREATED", "INVITE_LINK_UPDATED", "METER_TRIGGER_STATE_CHANGE", "NEW_ASSET",
    "NEW_CATEGORY_ON_WORK_ORDER", "NEW_COMMENT_ON_WORK_ORDER", "NEW_LOCATION", "NEW_PART", "NEW_PURCHASE_ORDER",
    "NEW_WORK_REQUEST", "NEW_SLASH_COMMAND", "NEW_VENDOR", "NEW_WORK_ORDER", "PART_CHANGE", "PART_DELETE",
    "PART_QUANTITY_CHANGE", "PART_TRANSFER", "PURCHASE_ORDER_CHANGE", "PURCHASE_ORDER_STATUS_CHANGE", "ROLE_ARCHIVED",
    "ROLE_CREATED", "ROLE_UPDATED", "SSO_CONFIG_CHANGED", "USER_ACTIVATED", "USER_INVITED", "USER_LOGIN_FAILURE",
    "USER_LOGIN_SUCCESS", "USER_LOGOUT", "USER_PERMISSIONS_CHANGED", "USER_REMOVED", "USER_ROLE_CHANGED",
    "USER_SESSION_REVOKED", "WEBHOOK_ARCHIVED", "WEBHOOK_CREATED", "WORK_ORDER_CHANGE", "WORK_ORDER_DELETE",
    "WORK_ORDER_OVERDUE", "WORK_ORDER_PART_STATUS_CHANGE", "WORK_ORDER_STATUS_CHANGE", "WORK_REQUEST_STATUS_CHANGE",
)  # fmt: skip

# Entity -> the types of a new object, a changed one, a deleted one, and of one whose field changed.
_TOLD: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "workorders": (
        "NEW_WORK_ORDER", "WORK_ORDER_CHANGE", "WORK_ORDER_DELETE",
        {"status": "WORK_ORDER_STATUS_CHANGE", "partStatus": "WORK_ORDER_PART_STATUS_CHANGE"},
    ),
    "purchaseorders": (
        "NEW_PURCHASE_ORDER", "PURCHASE_ORDER_CHANGE", "", {"status": "PURCHASE_ORDER_STATUS_CHANGE"},
    ),
    "parts": ("NEW_PART", "PART_CHANGE", "PART_DELETE", {"availableQuantity": "PART_QUANTITY_CHANGE"}),
    "assets": ("NEW_ASSET", "", "", {"status": "ASSET_STATUS_CHANGE"}),
    "locations": ("NEW_LOCATION", "", "", {}),
    "vendors": ("NEW_VENDOR", "", "", {}),
}  # fmt: skip


# --- routes -------------------------------------------------------------------------------------------------------------


def subscribe(call: Call) -> Answer:
    values = _checked(body_of(call.request), creating=True)
    made = call.transaction.create(call.entity, {**values, "status": "VALID", "secret": secrets.token_hex(32)})
    return json_answer(201, {name: made[name] for name in ("id", "status", "secret")})


def show_subscription(call: Call) -> Answer:
    return json_answer(200, {"subscription": _shown(_found(call))})


def change_subscription(call: Call) -> Answer:
    found = _found(call)
    return json_answer(
        200,
        {"subscription": _shown(call.transaction.update(call.entity, found["id"], _checked(body_of(call.request))))},
    )


def unsubscribe(call: Call) -> Answer:
    call.transaction.delete(call.entity, _found(call)["id"])
    return Answer(204)


def show_secret(call: Call) -> Answer:
    return json_answer(200, {"secret": _found(call)["secret"]})


def _found(call: Call) -> Object:
    assert call.number is not None
    if not call.transaction.exists(call.entity, call.number):
        raise refusal("subscription Not Found", 404)
    found = call.transaction.get(call.entity, call.number)
    assert found is not None
    return found


def _shown(data: Object) -> Object:
    return {name: data[name] for name in ("id", "type", "url", "status")}


def _checked(body: Body, *, creating: bool = False) -> Object:
    values: Object = {name: body[name] for name in ("type", "url", "options", "filters") if name in body}
    problems = []
    if (creating or "type" in values) and values.get("type") not in TYPES:
        problems.append(Problem("type must be one of the types of events", "type", values.get("type")))
    url = values.get("url", "" if creating else "https://")
    if not isinstance(url, str) or not url.startswith(("https://", "http://")) or len(url) > MOST_URL_CHARACTERS:
        problems.append(Problem(f"url must be an address of at most {MOST_URL_CHARACTERS} characters", "url", url))
    if not isinstance(values.get("options", {}), dict):
        problems.append(Problem("options must be an object", "options", values["options"]))
    if problems:
        raise invalid(problems)
    return values


# --- sent ---------------------------------------------------------------------------------------------------------------


def messages_of(store: Store, request: Request, changes: list[Change]) -> list[Message]:
    """What the changes of one request tell, to everybody who subscribed. Needs the store's lock."""
    if _is_quiet(request):
        return []
    rows = [row.data for row in store.tables[SUBSCRIPTIONS.name].live()]
    return [
        _message(subscription, kind, change, store.tables[change.entity].entity.singular)
        for change in changes
        if change.entity in _TOLD
        for kind in _types(change)
        for subscription in rows
        if subscription["type"] == kind
    ]


def _is_quiet(request: Request) -> bool:
    if request.first("skipWebhook") in ("true", "1", "yes"):
        return True
    body = request.shown_body()
    return isinstance(body, dict) and body.get("skipRestHook") is True


def _types(change: Change) -> Iterator[str]:
    new, changed, deleted, by_field = _TOLD[change.entity]
    if change.before is None:
        found = [new]
    elif change.after.get("deletedAt") and not change.before.get("deletedAt"):
        found = [deleted]
    else:
        moved = [kind for name, kind in by_field.items() if change.before.get(name) != change.after.get(name)]
        found = [changed, *moved]
    return (kind for kind in found if kind)


def _message(subscription: Object, kind: str, change: Change, singular: str) -> Message:
    content = {"type": kind, f"{singular}Id": change.number, "orgId": ORGANIZATION_ID, "occurredAt": change.at}
    if (subscription.get("options") or {}).get("serializeEntity"):
        content[f"new{singular[0].upper()}{singular[1:]}"] = change.after
    body = orjson.dumps(content)
    return Message(kind, subscription["url"], body, _signer(subscription["secret"], subscription["url"], body))


def _signer(secret: str, url: str, body: bytes) -> Callable[[float, bool], dict[str, str]]:
    def sign(now: float, rightly: bool) -> dict[str, str]:
        key = secret if rightly else "another secret"
        signed = {"body": body, "uri": url.encode()}
        return {
            f"x-maintainx-webhook-{name}-signature": f"t={int(now)},v1={_hmac(key, int(now), data)}"
            for name, data in signed.items()
        }

    return sign


def _hmac(key: str, seconds: int, data: bytes) -> str:
    return hmac.new(key.encode(), f"{seconds}.".encode() + data, hashlib.sha256).hexdigest()
