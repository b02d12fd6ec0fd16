"""The same grip on each of the three secrets managers, so that one test speaks to all.

# ruff: noqa: F811 (fixtures are imported)
from tests.stores.kit import each_store, moto  # noqa: F401

def test_...(each_store):
    each_store.put("first")
    read_secret(each_store.reference)
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from core.secret_stores import aws, azure, reading, vault
from core.secret_stores.references import Reference, parse
from tests.http_peer import LOOPBACK, peer
from tests.stores import azure as azure_server
from tests.stores import vault as vault_server
from tests.stores.aws import Moto, running_moto

SHORT_SECONDS = 0.3


@dataclass
class Store:
    """A running secrets manager, our configuration for it, and a place in it."""

    reference: Reference
    put: Callable[[str], None]
    deny: Callable[[], None]
    fall_silent: Callable[[], None]
    """No answer any more; our patience is made short, which a server at work could not always keep to."""
    stop: Callable[[], None]

    @property
    def target(self) -> str:
        return str(self.reference)


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    with running_moto() as server:
        yield server


@pytest.fixture(params=["vault", "aws-sm", "azure-kv"])
def each_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Store]:
    monkeypatch.setattr(reading, "PAUSE_SECONDS", 0.01)
    reading.forget()
    with ExitStack() as stack:
        if request.param == "aws-sm":
            yield _aws(monkeypatch, stack, request.getfixturevalue("moto"))
        else:
            make = {"vault": _vault, "azure-kv": _azure}[request.param]
            yield make(monkeypatch, stack, tmp_path)
        reading.forget()  # closes the connections before the servers stop


def _vault(monkeypatch: pytest.MonkeyPatch, stack: ExitStack, folder: Path) -> Store:
    server = stack.enter_context(vault_server.running_vault())
    monkeypatch.setenv("VAULT_ADDR", server.address)
    monkeypatch.setenv("VAULT_TOKEN", vault_server.ROOT)
    for name in ("VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_CAPATH", "VAULT_ROLE_ID"):
        monkeypatch.delenv(name, raising=False)
    return Store(
        parse("vault:kv/acme/erp#password"),
        put=lambda value: server.put("kv/acme/erp", password=value, user="lineshaft"),
        deny=lambda: setattr(server, "mode", "denied"),
        fall_silent=lambda: _silence(monkeypatch, lambda: setattr(server, "mode", "slow")),
        stop=server.peer.stop,
    )


def _azure(monkeypatch: pytest.MonkeyPatch, stack: ExitStack, folder: Path) -> Store:
    server = stack.enter_context(azure_server.running_key_vault(folder))
    use_key_vault(monkeypatch, server)
    return Store(
        parse("azure-kv:acme-vault/erp-password"),
        put=lambda value: server.put("acme-vault/erp-password", value),
        deny=lambda: setattr(server, "mode", "denied"),
        fall_silent=lambda: _silence(monkeypatch, lambda: setattr(server, "mode", "slow")),
        stop=server.stop,
    )


def use_key_vault(monkeypatch: pytest.MonkeyPatch, server: azure_server.KeyVault) -> None:
    """Point the platform at a server: address, authority, certificates, and names under .localhost."""
    monkeypatch.setenv("AZURE_KEY_VAULT_URL", server.template)
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", server.authority)
    monkeypatch.setenv("AZURE_TENANT_ID", azure_server.TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", azure_server.CLIENT_ID)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", azure_server.CLIENT_SECRET)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.authority_file))
    look_up = socket.getaddrinfo

    def on_loopback(host: Any, *more: Any, **named: Any) -> Any:
        """Not every resolver knows that names under .localhost are this machine (RFC 6761)."""
        own = isinstance(host, str) and (host == "localhost" or host.endswith(".localhost"))
        return look_up(LOOPBACK if own else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", on_loopback)


def _aws(monkeypatch: pytest.MonkeyPatch, stack: ExitStack, server: Moto) -> Store:
    server.reset()
    silent = stack.enter_context(peer(_never))
    use_moto(monkeypatch, server.address)
    reference = parse("aws-sm:prod/acme/erp")
    return Store(
        reference,
        put=lambda value: _put(reference, value),
        deny=server.deny,
        fall_silent=lambda: _silence(monkeypatch, lambda: use_moto(monkeypatch, silent.url(""))),
        stop=lambda: use_moto(monkeypatch, f"http://{LOOPBACK}:{_closed_port()}"),
    )


def use_moto(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTTESTTESTTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-secret-access-key")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def _put(reference: Reference, value: str) -> None:
    """By a client of its own, not through what is tested."""
    client = import_module("boto3").session.Session().client("secretsmanager", region_name="eu-central-1")
    try:
        client.put_secret_value(SecretId=reference.path, SecretString=value)
    except client.exceptions.ResourceNotFoundException:
        client.create_secret(Name=reference.path, SecretString=value)
    finally:
        client.close()


def _silence(monkeypatch: pytest.MonkeyPatch, fall: Callable[[], None]) -> None:
    fall()
    for client in (vault, aws, azure):
        monkeypatch.setattr(client, "READ_SECONDS", SHORT_SECONDS)
        client.forget()


def _never(request: Any, sock: socket.socket) -> bool:
    """No answer until the other side gives up."""
    sock.recv(1)
    return False


def _closed_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


__all__ = ["Store", "each_store", "moto", "use_key_vault", "use_moto"]
