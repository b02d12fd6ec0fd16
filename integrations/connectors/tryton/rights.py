"""What the user may do, by Tryton's own account of it, and what a refusal of a write was about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from core.errors import LineshaftError, PermissionDeniedError
from integrations.connectors.tryton.shape import Call
from integrations.protocols.jsonrpc import RpcFaultError, RpcRefusedError
from integrations.sdk.declarations import Resource
from integrations.sdk.writes import WriteCall

ACCESS = "model.ir.model.access.get_access"
RIGHTS = {"read": "read", "create": "create", "update": "write", "delete": "delete"}
ALL_OF = {
    "product.product": ("product.product", "product.template"),
    "purchase.purchase": ("purchase.purchase", "purchase.line"),
}


def rights(call: Call, resources: Iterable[Resource]) -> dict[str, dict[str, bool]]:
    """{entity: {operation: may}}. An entity whose module is not installed may not be anything."""
    found = {}
    for resource in resources:
        models = list(ALL_OF.get(resource.path, (resource.path,)))
        try:
            access = call(ACCESS, models)
        except RpcFaultError:  # a model this server does not have
            access = {}
        found[resource.spec.name] = {
            operation: all(bool((access.get(model) or {}).get(right)) for model in models)
            for operation, right in RIGHTS.items()
        }
    return found


def refusal(call: Call, sent: WriteCall, error: RpcRefusedError) -> LineshaftError:
    """The error as a missing right, where Tryton says that this user lacks it; else as it is."""
    called = orjson.loads(sent.content() or b"{}").get("method", "")
    name, _, method = str(called).removeprefix("model.").rpartition(".")
    right = method if method in ("create", "delete") else "write"
    try:
        access: Any = call(ACCESS, [name])
    except LineshaftError:
        return error  # the refusal stands, only its reason is not told closer
    if bool((access.get(name) or {}).get(right)):
        return error
    detail = f"This user may not {right} {name} in Tryton: give it a group that may."
    return PermissionDeniedError(detail, source=error.source)
