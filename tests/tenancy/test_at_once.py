"""What is taken away is refused at the next request, by every process of a real web server and on open connections."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.test import override_settings
from django_scopes import scopes_disabled

from tests.chaos.processes import end, start_logged
from tests.tenancy.conftest import CONNECTORS
from tests.tenancy.world import World, build
from tests.tenants import make_token
from workspaces.models import ApiToken, Membership

pytestmark = pytest.mark.django_db(transaction=True)
PROMISED_SECONDS = 1.0
CONNECTIONS = 8
GUNICORN = ("-m", "gunicorn", "-c", "python:config.gunicorn_settings", "config.wsgi")
ENVIRONMENT = {"DJANGO_SETTINGS_MODULE": "tests.tenancy.settings", "WEB_CONCURRENCY": "2"}


@dataclass
class Web:
    """The web server, and connections to it that stay open: both of its processes have some."""

    port: int
    connections: list[http.client.HTTPConnection]

    def request(self, clear: str, method: str, path: str, *, body: Any = None, through: int = 0) -> int:
        """The status of the answer. Nothing is retried."""
        connection = self.connections[through]
        headers = {"Authorization": f"Bearer {clear}", "Content-Type": "application/json"}
        connection.request(method, f"/api/v1/{path}", None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def statuses(self, clear: str, path: str) -> set[int]:
        """By one request on each connection."""
        return {self.request(clear, "GET", path, through=number) for number in range(len(self.connections))}


@contextmanager
def web_server(log: Path) -> Iterator[Web]:
    """On a socket of ours, so that no port is guessed."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        number, port = listener.fileno(), listener.getsockname()[1]
        options: dict[str, Any] = {"pass_fds": [number], "stdin": subprocess.DEVNULL, "env": ENVIRONMENT}
        process = start_logged(log, *GUNICORN, "--keep-alive", "60", "--bind", f"fd://{number}", **options)
        opened = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(CONNECTIONS)]
        try:
            for connection in opened:  # the first waits until a process takes it; the listener is open already
                connection.request("GET", "/livez")
            assert {_status(connection) for connection in opened} == {200}, log.read_text()[-2000:]
            yield Web(port, opened)
        finally:
            for connection in opened:
                connection.close()
            end(process)


def _status(connection: http.client.HTTPConnection) -> int:
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_endings_are_effective_at_the_next_request(tmp_path: Path) -> None:
    with override_settings(CONNECTORS=CONNECTORS):
        with transaction.atomic():
            world = build()
        log = tmp_path / "web.log"
        with web_server(log) as web:
            for name, ending in endings(world, web).items():
                clear, path, act = ending
                assert web.statuses(clear, path) == {200}, f"{name}: {log.read_text()[-3000:]}"
                began = time.monotonic()
                act()
                statuses, seconds = web.statuses(clear, path), time.monotonic() - began
                assert statuses == {401}, f"{name}: {statuses}"
                assert seconds < PROMISED_SECONDS, f"{name}: refused everywhere after {seconds:.2f} s"


Ending = tuple[str, str, Callable[[], Any]]


def endings(world: World, web: Web) -> dict[str, Ending]:
    """By what happens: a token, what it reads, and how it is ended. What the API does goes through the server itself."""
    workspace, plant, other = world.mine.workspace, world.plant, world.mine.places["other"]
    admin = world.mine.tokens["live"][1]
    revoked, rotated, expired = (make_token(workspace, name=name) for name in ("revoked", "rotated", "expired"))

    def posts(path: str, body: Any = None) -> Callable[[], None]:
        def post() -> None:
            status = web.request(admin, "POST", path, body=body)
            assert 200 <= status < 300, f"{path}: {status}"

        return post

    return {
        "revoked": (revoked[1], "connections", posts(f"tokens/tok_{revoked[0].pk.hex}/revoke")),
        "rotated without an overlap": (
            rotated[1], "connections", posts(f"tokens/tok_{rotated[0].pk.hex}/rotate", {"overlap_seconds": 0}),
        ),
        "disconnected": (plant.clear, "purchase-orders", posts(f"connections/{plant.shown_id}/disconnect")),
        "expired": (expired[1], "connections", lambda: expire(expired[0])),
        "left": (*personal(world, "developer"), lambda: leave(world.mine.people["developer"])),
        "not active": (*personal(world, "operator"), lambda: close(world.mine.people["operator"])),
        "deleted": (other.clear, "purchase-orders", lambda: delete(web, admin, other.shown_id)),
    }  # fmt: skip


def personal(world: World, role: str) -> tuple[str, str]:
    person = world.mine.people[role]
    return make_token(world.mine.workspace, name=role, person_id=person.pk)[1], "connections"


def expire(token: ApiToken) -> None:
    with scopes_disabled():
        ApiToken.objects.filter(pk=token.pk).update(expires_at=Now() - timedelta(seconds=1))


def leave(person: Any) -> None:
    with scopes_disabled():
        Membership.objects.filter(user=person).delete()


def close(person: Any) -> None:
    type(person).objects.filter(pk=person.pk).update(is_active=False)


def delete(web: Web, clear: str, shown_id: str) -> None:
    assert 200 <= web.request(clear, "DELETE", f"connections/{shown_id}") < 300
