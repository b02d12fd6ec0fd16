"""A Vault of our own, written from HashiCorp's HTTP API documentation; the real one is in no package registry.

What is there: key-value engine version 2 (GET and POST of /v1/<mount>/data/<path>, versions, soft deletion,
check-and-set), AppRole sign-in, /v1/sys/capabilities-self, the namespace header, and the error answers 400, 403, 404, 503.
It shares no code with what it tests.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.http_peer import Peer, Received, message

ROOT, ROLE_ID, SECRET_ID = "hvs.root", "role-of-lineshaft", "secret-of-lineshaft"
STATUS = {200: "200 OK", 400: "400 Bad Request", 403: "403 Forbidden", 404: "404 Not Found", 503: "503 Unavailable"}
Reply = tuple[int, dict[str, Any]]


@dataclass
class Vault:
    """`mode` is ok, denied (the token has no policy), sealed, or slow (no answer until the end)."""

    mode: str = "ok"
    namespace: str = ""
    mounts: tuple[str, ...] = ("kv",)
    secrets: dict[str, list[dict[str, Any] | None]] = field(default_factory=dict)
    """Versions by `<mount>/<path>`, oldest first; None is a deleted one."""
    tokens: set[str] = field(default_factory=lambda: {ROOT})
    sign_ins: int = 0
    before_write: Callable[[], None] | None = None
    """Called once, before a write is judged: somebody else comes between."""
    peer: Peer = field(init=False)

    def start(self) -> None:
        self.peer = Peer(self._answer)

    @property
    def address(self) -> str:
        return self.peer.url("")

    def put(self, place: str, **fields: str) -> None:
        self.secrets.setdefault(place, []).append(fields)

    def delete(self, place: str) -> None:
        self.secrets[place][-1] = None

    def _answer(self, request: Received, sock: socket.socket) -> bool:
        if self.mode == "slow":
            self.peer.stopping.wait(30)
            return False
        status, body = self._reply(request)
        sock.sendall(message(json.dumps(body).encode(), STATUS[status]))
        return True

    def _reply(self, request: Received) -> Reply:
        if self.mode == "sealed":
            return 503, {"errors": ["Vault is sealed"]}
        path = unquote(urlsplit(request.path).path).removeprefix("/v1/")
        body = json.loads(request.body) if request.body else {}
        assert request.headers.get("x-vault-request") == "true"
        assert request.headers.get("x-vault-namespace", "") == self.namespace
        if path == "auth/approle/login":
            return self._sign_in(body)
        known = request.headers.get("x-vault-token") in self.tokens
        if not known or (self.mode == "denied" and path != "sys/capabilities-self"):
            return 403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
        if path == "sys/capabilities-self":
            held = ["deny"] if self.mode == "denied" else ["create", "read", "update"]
            found = dict.fromkeys(body["paths"], held)
            return 200, {**_envelope({**found, "capabilities": held}), **found, "capabilities": held}
        mount, _, rest = path.partition("/")
        if mount not in self.mounts or not rest.startswith("data/"):
            return 404, {"errors": [f'no handler for route "{path}". route entry not found.']}
        place = f"{mount}/{rest.removeprefix('data/')}"
        return self._read(place) if request.method == "GET" else self._write(place, body)

    def _sign_in(self, body: dict[str, Any]) -> Reply:
        if (body.get("role_id"), body.get("secret_id")) != (ROLE_ID, SECRET_ID):
            return 400, {"errors": ["invalid role or secret ID"]}
        self.sign_ins += 1
        token = f"hvs.approle-{self.sign_ins}"
        self.tokens.add(token)
        auth = {"client_token": token, "policies": ["lineshaft"], "lease_duration": 1200, "renewable": True}
        return 200, {**_envelope(None), "auth": auth}

    def _read(self, place: str) -> Reply:
        versions = self.secrets.get(place, [])
        if not versions:
            return 404, {"errors": []}
        metadata = _metadata(len(versions), deleted=versions[-1] is None)
        return (404 if versions[-1] is None else 200), _envelope({"data": versions[-1], "metadata": metadata})

    def _write(self, place: str, body: dict[str, Any]) -> Reply:
        if self.before_write:
            once, self.before_write = self.before_write, None
            once()
        versions = self.secrets.setdefault(place, [])
        expected = body.get("options", {}).get("cas")
        if expected is not None and expected != len(versions):
            return 400, {"errors": ["check-and-set parameter did not match the current version"]}
        versions.append(body["data"])
        return 200, _envelope(_metadata(len(versions)))


def _envelope(data: Any) -> dict[str, Any]:
    return {
        "request_id": "5c8a4f6e-7d0a-4b1e-9f0b-1f0f6f0c9a11",
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": data,
        "wrap_info": None,
        "warnings": None,
        "auth": None,
    }


def _metadata(version: int, *, deleted: bool = False) -> dict[str, Any]:
    return {
        "created_time": "2026-11-01T08:00:00.000000000Z",
        "custom_metadata": None,
        "deletion_time": "2026-11-02T08:00:00.000000000Z" if deleted else "",
        "destroyed": False,
        "version": version,
    }


@contextmanager
def running_vault(**options: Any) -> Iterator[Vault]:
    vault = Vault(**options)
    vault.start()
    try:
        yield vault
    finally:
        vault.peer.stop()
