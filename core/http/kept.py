"""Connections kept open between calls."""

from __future__ import annotations

import time
from collections import OrderedDict

from urllib3.connection import HTTPConnection

Origin = tuple[str, str, int]

MAX_KEPT = 8
MAX_IDLE_SECONDS = 30.0
# A server may close an idle connection just as a request leaves. A read is then sent again; a write would end as
# "outcome unknown", so it takes only a connection that was used a moment ago.
MAX_IDLE_SECONDS_FOR_WRITE = 2.0


class KeptConnections:
    """At most one idle connection to each origin, the longest unused is closed first."""

    def __init__(self) -> None:
        self._idle: OrderedDict[Origin, tuple[HTTPConnection, float]] = OrderedDict()

    def take(self, origin: Origin, *, is_write: bool) -> HTTPConnection | None:
        connection, since = self._idle.pop(origin, (None, 0.0))
        if connection is None:
            return None
        limit = MAX_IDLE_SECONDS_FOR_WRITE if is_write else MAX_IDLE_SECONDS
        if connection.is_connected and time.monotonic() - since <= limit:
            return connection
        connection.close()
        return None

    def give_back(self, origin: Origin, connection: HTTPConnection) -> None:
        if connection.sock is None:  # the server wished to close it
            return
        self._idle[origin] = connection, time.monotonic()
        if len(self._idle) > MAX_KEPT:
            _, (oldest, _since) = self._idle.popitem(last=False)
            oldest.close()

    def close(self) -> None:
        for connection, _ in self._idle.values():
            connection.close()
        self._idle.clear()
