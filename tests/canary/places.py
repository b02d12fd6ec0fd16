"""Where a secret could come out: every table, everything that goes through Redis, every line of every log.

Each place is a mapping of what it is made of (a table, a key, a file) to its bytes.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection as database
from django_scopes import scopes_disabled

from syncs.models import Record
from syncs.packing import body_of, raw_of

_TABLES = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = 'public' ORDER BY tablename"
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}")


# --- the database -----------------------------------------------------------------------------------------------------


def dump() -> dict[str, bytes]:
    """All rows of all tables; bytes beside their hex, and what is packed unpacked as well."""
    with database.cursor() as cursor:
        cursor.execute(_TABLES)
        tables = [name for (name,) in cursor.fetchall()]
        found = {f"table {name}": _rows(cursor, name) for name in tables}
    found["records, unpacked"] = b"\n".join(_unpacked_records())
    sessions = (session.get_decoded() for session in Session.objects.all())
    found["sessions, decoded"] = "\n".join(map(repr, sessions)).encode()
    return found


def _rows(cursor: Any, table: str) -> bytes:
    cursor.execute(f'SELECT * FROM "{table}"')
    return b"\n".join(_bytes(value) for row in cursor.fetchall() for value in row if value is not None)


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value) + b"\n" + _decoded(bytes(value))
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def _unpacked_records() -> Iterator[bytes]:
    with scopes_disabled():
        for record in Record.objects.all():
            yield body_of(record).encode()
            yield raw_of(record).encode()


# --- Redis ------------------------------------------------------------------------------------------------------------


class Traffic:
    """Every command that any process sends to Redis while it listens, arguments of tasks included."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []
        self._client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=None)

    @contextmanager
    def listening(self) -> Iterator[Traffic]:
        with self._client.monitor() as monitor:
            connection = monitor.connection
            ended, thread = threading.Event(), threading.Thread(target=self._listen, args=(connection, mark := _mark()))
            thread.start()
            try:
                yield self
            finally:
                ended.set()
                redis.Redis.from_url(settings.REDIS_URL).echo(mark)  # everything before it has been heard by then
                thread.join(20)
                assert not thread.is_alive()

    def _listen(self, connection: Any, mark: bytes) -> None:
        while True:
            command = connection.read_response()
            text = command if isinstance(command, bytes) else str(command).encode()
            self.commands.append(text)
            if mark in text:
                return

    def pieces(self) -> dict[str, bytes]:
        whole = b"\n".join(self.commands)
        return {"commands": whole, "commands, decoded": _decoded(whole)}


def _mark() -> bytes:
    return b"end-of-listening-" + str(threading.get_ident()).encode()


def redis_keys() -> dict[str, bytes]:
    """Every key and its value, whatever its type."""
    client = redis.Redis.from_url(settings.REDIS_URL, decode_responses=False)
    found = {}
    for key in client.scan_iter(count=1000):
        value = _value(client, key)
        found[f"key {key.decode(errors='replace')}"] = key + b"\n" + value + b"\n" + _decoded(value)
    return found


def _value(client: Any, key: bytes) -> bytes:
    kind = client.type(key).decode()
    readers = {
        "string": client.get,
        "list": lambda key: client.lrange(key, 0, -1),
        "set": client.smembers,
        "hash": client.hgetall,
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    return repr(readers[kind](key) if kind in readers else None).encode()


# --- files ------------------------------------------------------------------------------------------------------------


def logs(*folders: Path) -> dict[str, bytes]:
    """Every log, and what base64 in its lines says."""
    found = {}
    for path in (path for folder in folders for path in sorted(folder.rglob("*.log"))):
        content = path.read_bytes()
        found[path.name] = content + b"\n" + _decoded(content)
    return found


def _decoded(content: bytes) -> bytes:
    """What stands in there as base64: a base64 within a base64 shows no canary at first sight."""
    pieces = []
    for found in set(_BASE64.findall(content)):
        text = found.translate(bytes.maketrans(b"-_", b"+/"))
        if len(text) % 4 != 1:
            pieces.append(base64.b64decode(text + b"=" * (-len(text) % 4)))
    return b"\n".join(pieces)
