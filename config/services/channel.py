"""What clients and supervisor say to each other: one JSON object per message, on a unix socket in the home."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

MESSAGE_BYTES = 65_536
# Each message is sent and received whole, and the end of a connection reads as an empty one.
KIND = (socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Request(StrEnum):
    """What a client can ask. Only `ATTACH` makes the servers stay; it lasts as long as the connection is open."""

    ATTACH = "attach"
    STATUS = "status"
    STOP = "stop"
    STOP_POSTGRES = "stop_postgres"
    START_POSTGRES = "start_postgres"


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.send(json.dumps(message).encode())


def receive(connection: socket.socket) -> dict[str, Any] | None:
    """Return the next message; None when the other side has closed."""
    data = connection.recv(MESSAGE_BYTES)
    if not data:
        return None
    message = json.loads(data)
    assert isinstance(message, dict)
    return message


def listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # of a killed supervisor: the caller holds the lock that a living one would hold
    listener = socket.socket(*KIND)
    with _short(path) as address:
        listener.bind(address)
    path.chmod(0o600)
    listener.listen(128)
    return listener


def connect(path: Path, timeout: float) -> socket.socket | None:
    """Return a connection to the supervisor; None when none listens."""
    connection = socket.socket(*KIND)
    try:
        connection.settimeout(timeout)
        with _short(path) as address:
            connection.connect(address)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Give a name for `path` that fits into the 107 bytes of a socket address, however deep its folder lies."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
