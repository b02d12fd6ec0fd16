"""What tests of webhooks are made of: endpoints, events, a sink over real HTTP, and a clock that is set by hand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django_scopes import scopes_disabled

from tests.http_peer import Peer, Received
from webhooks.models import Delivery, WebhookEndpoint, WebhookSecret
from webhooks.services import clock
from webhooks.services.fanout import fan_out
from webhooks.services.sending import drain
from webhooks.signing import new_secret
from workspaces.models import Feed, Workspace
from workspaces.secrets import seal

LOOPBACK_NETWORKS = ["127.0.0.0/8"]


def make_endpoint(workspace: Workspace, url: str, **facts: Any) -> WebhookEndpoint:
    """An endpoint with a secret, at the end of its feed, in the environment `test` unless told."""
    with scopes_disabled():
        values = {"environment": "test", **facts}
        end = Feed.objects.filter(workspace=workspace, environment=values["environment"])
        values.setdefault("position", end.values_list("position", flat=True).first() or 0)
        endpoint = WebhookEndpoint.objects.create(workspace=workspace, url=url, **values)
        add_secret(endpoint)
        return endpoint


def add_secret(endpoint: WebhookEndpoint, **facts: Any) -> str:
    clear = new_secret()
    secret = WebhookSecret(workspace_id=endpoint.workspace_id, endpoint=endpoint, **facts)
    seal(secret, clear)
    with scopes_disabled():
        secret.save(force_insert=True)
    return clear


def deliveries(endpoint: WebhookEndpoint, **facts: Any) -> list[Delivery]:
    """In the order of the feed."""
    with scopes_disabled():
        return list(Delivery.objects.filter(endpoint=endpoint, **facts).order_by("position", "part", "created_at"))


def fresh(row: Any) -> Any:
    with scopes_disabled():
        row.refresh_from_db()
    return row


def deliver() -> int:
    """One fan-out and one drain. Answers how many attempts were made."""
    fan_out()
    return drain(seconds=10)


@dataclass
class Sink:
    """Answers what `statuses` says, message by message, the last one for ever; keeps what came."""

    statuses: list[int] = field(default_factory=lambda: [204])
    headers: dict[str, str] = field(default_factory=dict)
    messages: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def ids(self) -> list[str]:
        return [message.headers["webhook-id"] for message in self.messages]

    def answer(self, received: Received, sock: socket.socket) -> bool:
        with self.lock:
            self.messages.append(received)
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        sock.sendall(f"HTTP/1.1 {status} Told\r\ncontent-length: 0\r\n{lines}\r\n".encode())
        return True


@contextmanager
def sink(*statuses: int, **facts: Any) -> Iterator[Sink]:
    """A running one."""
    found = Sink(list(statuses) or [204], **facts)
    peer = Peer(found.answer)
    found.url = peer.url("/hook")
    try:
        yield found
    finally:
        peer.stop()


class HandClock:
    """The database's clock, set by hand: `now` of the engine until the test is over."""

    def __init__(self, monkeypatch: Any) -> None:
        self.at: datetime = clock.now()
        monkeypatch.setattr(clock, "now", lambda: self.at)

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def reach(self, moment: datetime) -> None:
        assert moment >= self.at, "the clock never goes back"
        self.at = moment


def run_until_settled(hand: HandClock, endpoint: WebhookEndpoint, each: Callable[[Delivery], None], pk: UUID) -> Any:
    """Go from due time to due time of one delivery until it is settled."""
    while True:
        with scopes_disabled():
            found = Delivery.objects.get(pk=pk)
        if found.status != "pending":
            return found
        assert found.due_at is not None
        hand.reach(max(hand.at, found.due_at))
        each(found)
