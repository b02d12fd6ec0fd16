"""A test ERP that tells of changes, and what it sends.

from tests.connectors import erp_server  # noqa: F401
from tests.inbound_stage import connection, erp, sender  # noqa: F401
"""

from __future__ import annotations

import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from integrations.sdk.hooks import HmacSignature, Hooks
from syncs.models import Sync
from tests.connectors import TestErp, TestErpServer, connect
from tests.syncing import run_sync, sync_of
from webhooks.models import InboundHook
from webhooks.services import hook_addresses

SECRET = "a secret both sides know"


class HookedErp(TestErp):
    """Signs what it tells, and names it."""

    hooks = Hooks(
        signature=HmacSignature("X-Erp-Signature", prefix="sha256="),
        entities={"order.changed": "purchase_order", "order.deleted": "purchase_order", "vendor.changed": "vendor"},
        ids={"purchase_order": "order.id", "vendor": "vendor.id"},
        deleting=frozenset({"order.deleted"}),
        message_id=("message",),
    )


class Sender:
    """The system: sends to an address, signed."""

    def __init__(self, url: str, secret: str = SECRET) -> None:
        self.path, self.secret = url, secret
        self.client = Client(raise_request_exception=False, enforce_csrf_checks=True)

    def send(self, kind: str = "order.changed", **rest: Any) -> Any:
        return self.raw(json.dumps({"type": kind, **rest}).encode())

    def raw(self, body: bytes, **headers: str) -> Any:
        named = {"X-Erp-Signature": "sha256=" + hmac.digest(self.secret.encode(), body, "sha256").hex(), **headers}
        return self.client.post(self.path, body, content_type="application/json", headers=named)


@pytest.fixture
def erp(settings: Any, erp_server: TestErpServer) -> TestErpServer:
    settings.CONNECTORS = [f"{__name__}.HookedErp"]
    return erp_server


@pytest.fixture
def connection(erp: TestErpServer) -> Connection:
    return connect(erp)


@pytest.fixture
def sender(connection: Connection) -> Sender:
    return Sender(make(connection, [SECRET]))


def make(connection: Connection, secrets: list[str] | None = None) -> str:
    """The path of a new address."""
    with scope(workspace=connection.workspace_id):
        _, url = hook_addresses.make_address(connection, signing_secrets=secrets)
    return url[url.index("/hooks/") :]


def hooks() -> list[InboundHook]:
    with scopes_disabled():
        return list(InboundHook.objects.order_by("received_at", "pk"))


def synced(connection: Connection, entity: str = "purchase_order") -> Sync:
    """A sync that has nothing to do for a while."""
    sync = sync_of(connection, entity)
    assert run_sync(sync).status == "completed"
    with scopes_disabled():  # those of the other entities wait
        others = Sync.objects.filter(connection=connection, initial_completed_at=None)
        others.update(next_run_at=timezone.now() + timedelta(hours=1))
    return fresh(sync)


def fresh(sync: Sync) -> Sync:
    with scopes_disabled():
        return Sync.objects.select_related("connection").get(pk=sync.pk)


def is_due(sync: Sync) -> bool:
    due = fresh(sync).next_run_at
    return due is not None and due <= timezone.now()
