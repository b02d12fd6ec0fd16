"""An Azure Key Vault and its sign-in of our own, written from Microsoft's REST documentation; there is no emulator in
the package registries.

What is there: the 401 challenge with authorization and resource, OpenID discovery and the client-credentials exchange
as the identity library asks for them, GET and PUT of /secrets/<name>[/<version>] with api-version, and the error answers
401, 403, 404, 429. https only, for the clients speak nothing else. Vaults are told apart by host: <vault>.localhost.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme

from tests.http_peer import Peer, Received, message

TENANT, CLIENT_ID, CLIENT_SECRET = "11111111-2222-3333-4444-555555555555", "lineshaft-app", "azure-client-secret"
STATUS = {
    200: "200 OK",
    400: "400 Bad Request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    429: "429 Too Many Requests",
}
Reply = tuple[int, dict[str, Any], dict[str, str]]


@dataclass
class KeyVault:
    """`mode` is ok, denied (no role for the vault), unknown (the client secret is wrong), busy or slow."""

    authority_file: Path
    mode: str = "ok"
    vaults: tuple[str, ...] = ("acme-vault",)
    secrets: dict[str, list[str]] = field(default_factory=dict)
    """Versions by `<vault>/<name>`, oldest first."""
    tokens: set[str] = field(default_factory=set)
    peer: Peer = field(init=False)
    sockets: set[socket.socket] = field(default_factory=set)

    def start(self) -> None:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        names = [f"{vault}.localhost" for vault in self.vaults]  # OpenSSL takes no wildcard directly under a top name
        authority.issue_cert("localhost", *names).configure_cert(context)
        authority.cert_pem.write_to_path(str(self.authority_file))
        self.peer = Peer(self._answer, context)

    @property
    def template(self) -> str:
        return f"https://{{vault}}.localhost:{self.peer.port}"

    @property
    def authority(self) -> str:
        return f"https://localhost:{self.peer.port}"

    def stop(self) -> None:
        """Also the connections that clients keep open: the peer knows them only as they were before TLS."""
        self.peer.stopping.set()
        for sock in list(self.sockets):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.peer.stop()

    def put(self, place: str, value: str) -> None:
        self.secrets.setdefault(place, []).append(value)

    def _answer(self, request: Received, sock: socket.socket) -> bool:
        self.sockets.add(sock)
        if self.mode == "slow":
            self.peer.stopping.wait(30)
            return False
        status, body, headers = self._reply(request)
        sock.sendall(message(json.dumps(body).encode(), STATUS[status], **headers))
        return True

    def _reply(self, request: Received) -> Reply:
        path, host = urlsplit(request.path).path, request.headers["host"].partition(":")[0]
        if host == "localhost":
            return self._identity(path, request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            challenge = f'Bearer authorization="{self.authority}/{TENANT}", resource="{self.authority}"'
            return 401, _error("Unauthorized"), {"www_authenticate": challenge}
        if self.mode == "denied":
            return 403, _error("Forbidden", innererror={"code": "ForbiddenByRbac"}), {}
        if self.mode == "busy":
            return 429, _error("Throttled"), {}
        assert parse_qs(urlsplit(request.path).query).get("api-version")
        _, kind, name, *version = path.split("/")
        assert kind == "secrets"
        place = f"{host.removesuffix('.localhost')}/{name}"
        if request.method == "PUT":
            self.put(place, json.loads(request.body)["value"])
        return self._secret(place, "".join(version))

    def _secret(self, place: str, version: str) -> Reply:
        versions = self.secrets.get(place, [])
        number = int(version, 16) if version else len(versions)
        if not 0 < number <= len(versions):
            return 404, _error("SecretNotFound"), {}
        vault, _, name = place.partition("/")
        address = f"{self.template.replace('{vault}', vault)}/secrets/{name}/{number:032x}"
        attributes = {"enabled": True, "created": 1793520000, "updated": 1793520000, "recoveryLevel": "Recoverable"}
        return 200, {"value": versions[number - 1], "id": address, "attributes": attributes}, {}

    def _identity(self, path: str, request: Received) -> Reply:
        if path == f"/{TENANT}/v2.0/.well-known/openid-configuration":
            issuer = f"{self.authority}/{TENANT}"
            found = {
                "issuer": f"{issuer}/v2.0",
                "authorization_endpoint": f"{issuer}/oauth2/v2.0/authorize",
                "token_endpoint": f"{issuer}/oauth2/v2.0/token",
            }
            return 200, found, {}
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        assert path == f"/{TENANT}/oauth2/v2.0/token" and form["grant_type"] == "client_credentials"
        assert form["scope"] == f"{self.authority}/.default"
        known = (form["client_id"], form["client_secret"]) == (CLIENT_ID, CLIENT_SECRET)
        if not known or self.mode == "unknown":
            wrong = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
            return 401, wrong, {}
        token = f"azure-token-{len(self.tokens) + 1}"
        self.tokens.add(token)
        return 200, {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token}, {}


def _error(code: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": f"{code}.", **more}}


@contextmanager
def running_key_vault(folder: Path, **options: Any) -> Iterator[KeyVault]:
    """`folder` gets the certificate of the authority to trust, for REQUESTS_CA_BUNDLE."""
    vault = KeyVault(folder / "authority.pem", **options)
    vault.start()
    try:
        yield vault
    finally:
        vault.stop()
