"""The practical limit of a sync in Python: fetch | map and hash | COPY and upsert where the hash differs.

    python -m benchmarks.limit --url URL --dsn DSN --phase initial|unchanged|changed|incremental [--variant ...]

staging   decode and map every record; COPY all to a staging table; SQL compares the hashes
raw       fingerprint the raw bytes of each record first; decode, map and COPY only what is new or differs
best      raw, with the write in a thread of its own, and pages that commit without waiting for the disk (the watermark,
          written last, waits, so nothing can be lost)

One commit a page. No events, no history, no quarantine, no leases, no tenants: what the platform adds is measured
against this.
"""

from __future__ import annotations

import argparse
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import orjson
import psycopg
import urllib3

from benchmarks.mapping import unify
from benchmarks.told import stopwatch, tell

SCHEMA = """
CREATE TABLE IF NOT EXISTS unified (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL UNIQUE,
    payload jsonb NOT NULL, hash bytea NOT NULL, raw_hash bytea, updated_at timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoint (stream text PRIMARY KEY, watermark text NOT NULL);
CREATE TEMP TABLE staging (key text, payload jsonb, hash bytea, raw_hash bytea, updated_at timestamptz)
    ON COMMIT DELETE ROWS"""
COPY = "COPY staging (key, payload, hash, raw_hash, updated_at) FROM STDIN"
UPSERT = """INSERT INTO unified AS u (key, payload, hash, raw_hash, updated_at)
SELECT key, payload, hash, raw_hash, updated_at FROM staging
ON CONFLICT (key) DO UPDATE SET payload = excluded.payload, hash = excluded.hash, raw_hash = excluded.raw_hash,
    updated_at = excluded.updated_at WHERE u.hash IS DISTINCT FROM excluded.hash"""
KNOWN = "SELECT key, raw_hash FROM unified WHERE key = ANY(%s)"
WATERMARK = """INSERT INTO checkpoint VALUES ('orders', %s)
ON CONFLICT (stream) DO UPDATE SET watermark = excluded.watermark"""

T = TypeVar("T")
Row = tuple[str, str, bytes, bytes | None, str]
Batch = tuple[int, list[Row], str]  # records seen, rows to write, newest updated_at
Known = Callable[[list[str]], Mapping[str, bytes]]


class _Page(msgspec.Struct):
    data: list[msgspec.Raw]


class _Head(msgspec.Struct):
    id: str
    updated_at: str


_decode_page, _decode_head = msgspec.json.Decoder(_Page).decode, msgspec.json.Decoder(_Head).decode
_END = object()


def digest(data: bytes | msgspec.Raw) -> bytes:
    return blake2b(data, digest_size=16).digest()


def pages(url: str, page: int, since: str | None) -> Iterator[bytes]:
    """The bodies of all pages. The cursor is read from the end of the body, since the next request needs it."""
    target = urlsplit(url)
    pool = urllib3.HTTPConnectionPool(target.hostname or "", port=target.port, maxsize=1)
    fields: dict[str, Any] = {"limit": page, **({"updated_since": since} if since else {})}
    while True:
        body = pool.request("GET", "/orders", fields=fields).data
        tail = body.rfind(b'"next_cursor":') + len(b'"next_cursor":')
        cursor = orjson.loads(body[tail : body.find(b",", tail)])
        yield body
        if not cursor:
            return
        fields["cursor"] = cursor


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, produced in a thread of their own, at most two in advance."""
    ready: queue.Queue[Any] = queue.Queue(2)

    def produce() -> None:
        try:
            for item in items:
                ready.put(item)
            ready.put(_END)
        except BaseException as error:  # raised where the items are used
            ready.put(error)

    threading.Thread(target=produce, daemon=True).start()
    while (item := ready.get()) is not _END:
        if isinstance(item, BaseException):
            raise item
        yield item


def by_staging(bodies: Iterable[bytes]) -> Iterator[Batch]:
    """Everything is decoded, mapped and written."""
    for body in bodies:
        records = orjson.loads(body)["data"]
        newest = max((record["updated_at"] for record in records), default="")
        yield len(records), [_row(record, None) for record in records], newest


def by_fingerprint(bodies: Iterable[bytes], known: Known) -> Iterator[Batch]:
    """Only records whose bytes are not known are decoded, mapped and written."""
    for body in bodies:
        raws = _decode_page(body).data
        heads = [_decode_head(raw) for raw in raws]
        stored = known([head.id for head in heads])
        rows = []
        for raw, head in zip(raws, heads, strict=True):
            raw_hash = digest(raw)
            if stored.get(head.id) != raw_hash:
                rows.append(_row(orjson.loads(memoryview(raw)), raw_hash))
        yield len(raws), rows, max((head.updated_at for head in heads), default="")


def _row(raw: dict[str, Any], raw_hash: bytes | None) -> Row:
    record = unify(raw)
    payload = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
    return record["key"], payload.decode(), digest(payload), raw_hash, record["updated_at"]


def write(db: psycopg.Connection[Any], rows: list[Row]) -> None:
    """One page, one commit."""
    if not rows:
        return
    with db.cursor() as cursor:
        with cursor.copy(COPY) as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(UPSERT)
    db.commit()


def sync(options: argparse.Namespace, db: psycopg.Connection[Any], reader: psycopg.Connection[Any]) -> int:
    """One walk; answers how many records were seen."""

    def known(keys: list[str]) -> Mapping[str, bytes]:
        return dict(reader.execute(KNOWN, [keys], binary=True).fetchall())

    since = _watermark(reader) if options.phase == "incremental" else None
    bodies = ahead(pages(options.url, options.page, since))
    batches = by_staging(bodies) if options.variant == "staging" else by_fingerprint(bodies, known)
    seen, newest = 0, since or ""
    for count, rows, last in ahead(batches) if options.variant == "best" else batches:
        write(db, rows)
        seen, newest = seen + count, max(newest, last)
    db.execute("SET synchronous_commit = on")
    db.execute(WATERMARK, [newest])
    db.commit()
    return seen


def _watermark(reader: psycopg.Connection[Any]) -> str:
    row = reader.execute("SELECT watermark FROM checkpoint WHERE stream = 'orders'").fetchone()
    assert row is not None, "an incremental run needs a full one before it"
    return str(row[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--phase", required=True)
    parser.add_argument("--page", type=int, default=500)
    parser.add_argument("--variant", choices=["staging", "raw", "best"], default="staging")
    options = parser.parse_args()
    with psycopg.connect(options.dsn) as db, psycopg.connect(options.dsn, autocommit=True) as reader:
        db.execute(SCHEMA)
        if options.variant == "best":
            db.execute("SET synchronous_commit = off")
        db.commit()
        with stopwatch() as watch:
            seen = sync(options, db, reader)
    tell(watch, records=seen)


if __name__ == "__main__":
    main()
