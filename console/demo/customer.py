"""The customer's connection, made and renewed through the API."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Protocol

from django.core.management.base import CommandError

from console.demo.client import Api, ApiError, Body

SYSTEM, REFERENCE, NAME = "tryton", "demo", "Northmoor Beverages (Tryton)"
PAGE_SIZE = 50


class Erp(Protocol):
    """Where the customer's ERP is, and who we are there."""

    @property
    def base_url(self) -> str: ...
    @property
    def database(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def password(self) -> str: ...


def connect(api: Api, erp: Erp) -> tuple[Body, bool]:
    """The demo's connection, active, and whether it is new. An earlier one gets the ERP's new address."""
    settings: dict[str, Any] = {
        "config": {"base_url": erp.base_url, "database": erp.database, "user": erp.user},
        "secrets": {"password": erp.password},
        "page_size": PAGE_SIZE,
    }
    found = _existing(api)
    if found is None:
        body = {"system": SYSTEM, "name": NAME, "customer_reference": REFERENCE, **settings}
        made = api.post("/connections", body)
    else:
        made = api.patch(f"/connections/{found['id']}", settings)
        if made["paused"]:
            api.post(f"/connections/{found['id']}/resume")
    if not made["check"] or not made["check"]["ok"]:
        error = (made["check"] or {}).get("error") or {}
        raise CommandError(f"The connection does not work: {error.get('message')} {error.get('action')}")
    return made, found is None


def _existing(api: Api) -> Body | None:
    rows = api.every("/connections", customer_reference=REFERENCE, system=SYSTEM)
    return next((row for row in rows if row["status"] != "disconnected"), None)


def expected_entities(api: Api) -> list[str]:
    """What the system can be read for."""
    capabilities: Body = api.get(f"/systems/{SYSTEM}")["capabilities"]
    return sorted(name for name, found in capabilities.items() if found["supported"])


def sync_again(api: Api, connection_id: str) -> None:
    """Ask for a full run of each sync.

    One left over from an earlier demo is cancelled first: it waits for an ERP that was gone, or its hint went with the
    Redis of that demo, so that a worker would be told of it only a minute later.
    """
    for sync in api.get("/syncs", connection=connection_id)["data"]:
        if sync["paused"]:
            api.post(f"/syncs/{sync['id']}/resume")
        run = api.post(f"/syncs/{sync['id']}/runs", {"mode": "full"})
        if not run["is_new"] and run["status"] in ("queued", "waiting"):
            _cancel(api, run["id"])
            api.post(f"/syncs/{sync['id']}/runs", {"mode": "full"})


def _cancel(api: Api, run_id: str) -> None:
    try:
        api.post(f"/sync-runs/{run_id}/cancel")
    except ApiError as error:
        if error.status != HTTPStatus.CONFLICT:  # it has ended meanwhile
            raise
