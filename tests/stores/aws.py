"""AWS Secrets Manager: the server of moto, over HTTP. It checks policies only from the moment `deny` is called."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import requests
from moto.server import ThreadedMotoServer

from tests.http_peer import LOOPBACK

REGION, ACCOUNT = "eu-central-1", "123456789012"


@dataclass
class Moto:
    """A running server."""

    address: str

    def deny(self) -> None:
        """From now on the credentials are looked up, and found to be nobody's."""
        self._post("reset-auth", b"0")

    def reset(self) -> None:
        """Nothing stored, everything allowed."""
        self._post("reset-auth", b"inf")
        self._post("reset", b"")

    def _post(self, path: str, body: bytes) -> None:
        requests.post(f"{self.address}/moto-api/{path}", data=body, timeout=10).raise_for_status()


@contextmanager
def running_moto() -> Iterator[Moto]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address=LOOPBACK, port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield Moto(f"http://{host}:{port}")
    finally:
        server.stop()
