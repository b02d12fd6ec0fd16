"""From raw bytes to rows ready to be written: skip what is known, map the rest, set aside what cannot be mapped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec
import orjson

from core.errors import ValidationFailedError
from core.ids import derived_bytes, namespace_of, show
from integrations.sdk.mapping import Compiled
from integrations.sdk.transforms import MappingError

MAX_REMOTE_ID_BYTES = 512
# A NUL escape, but not an escaped backslash before plain "u0000".
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_UPDATED = b',"remote_updated_at":'


@dataclass(frozen=True, slots=True)
class Seen:
    """One upstream object of a page: 32 hex digits of its record id, remote id, bytes, digest of the bytes."""

    id: str
    remote_id: str
    raw: bytes
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """One record ready to be staged. Times are RFC 3339 texts or None; `filters` is JSON text."""

    id: str
    remote_id: str
    body: str
    raw: str
    fingerprint: bytes
    digest: bytes
    filters: str
    remote_created_at: str | None
    remote_updated_at: str | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """One object for quarantine, with the reason."""

    id: str
    remote_id: str
    raw: bytes
    code: str
    detail: str


@dataclass
class Prepared:
    """What becomes of a page: every id it showed, rows to write, objects to set aside, how many need nothing."""

    seen: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    unchanged: int = 0

    @property
    def read(self) -> int:
        return len(self.seen)


class Preparer:
    """Prepares the pages of one run with its pinned mapping."""

    def __init__(
        self,
        *,
        connection_id: UUID,
        prefix: str,
        compiled: Compiled,
        mapping_digest: bytes,
        decode: Callable[[bytes], Any],
        differing: Callable[[list[Seen]], Iterable[int]],
    ) -> None:
        self._namespace = namespace_of(connection_id, compiled.spec.name)
        self._prefix = prefix + "_"
        self._compiled = compiled
        self._key = mapping_digest
        self._decode = decode
        self._differing = differing
        self._head = {"connection_id": show("con", connection_id), "entity": compiled.spec.name}

    def prepare(self, records: Iterable[tuple[str, bytes]], unreadable: Iterable[tuple[str, bytes]] = ()) -> Prepared:
        """Prepare one page. An id that stands twice counts once, as it came last."""
        result = Prepared()
        good = []
        for item in self._identify(records):
            result.seen.append(item.id)
            problem = _unfit(item)
            if problem:
                result.rejected.append(Rejected(item.id, item.remote_id, item.raw, *problem))
            else:
                good.append(item)
        for position in self._differing(good):
            outcome = self._map(good[position])
            (result.rows if isinstance(outcome, Row) else result.rejected).append(outcome)  # type: ignore[arg-type]
        result.unchanged = result.read - len(result.rows) - len(result.rejected)
        for reason, raw in unreadable:
            rejected = self._nameless(reason, raw)
            result.seen.append(rejected.id)
            result.rejected.append(rejected)
        return result

    def remap(self, stored: Iterable[tuple[str, bytes]]) -> Prepared:
        """Prepare stored raw objects again, all of them, under the current mapping."""
        result = Prepared()
        for item in self._identify(stored):
            result.seen.append(item.id)
            outcome = self._map(item)
            (result.rows if isinstance(outcome, Row) else result.rejected).append(outcome)  # type: ignore[arg-type]
        return result

    def _identify(self, records: Iterable[tuple[str, bytes]]) -> list[Seen]:
        namespace, key = self._namespace, self._key
        found: dict[str, Seen] = {}
        for remote_id, raw in records:
            record_id = derived_bytes(namespace, remote_id).hex()
            found[record_id] = Seen(record_id, remote_id, raw, blake2b(raw, digest_size=16, key=key).digest())
        return list(found.values())

    def _nameless(self, reason: str, raw: bytes) -> Rejected:
        """An object without an id is told apart by its bytes."""
        name = "without id: " + blake2b(raw, digest_size=16).hexdigest()
        return Rejected(derived_bytes(self._namespace, name).hex(), name, raw, "NO_REMOTE_ID", reason)

    def _map(self, item: Seen) -> Row | Rejected:
        try:
            return self._row(item)
        except MappingError as error:
            return Rejected(item.id, item.remote_id, item.raw, "MAPPING_FAILED", str(error)[:1000])
        except (msgspec.DecodeError, UnicodeError, orjson.JSONEncodeError) as error:
            return Rejected(item.id, item.remote_id, item.raw, "UNREADABLE_OBJECT", str(error)[:1000])
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, ValidationFailedError) as error:
            detail = f"{type(error).__name__}: {error}"[:1000]
            return Rejected(item.id, item.remote_id, item.raw, "MAPPING_FAILED", detail)

    def _row(self, item: Seen) -> Row:
        decoded = self._decode(item.raw)
        compiled = self._compiled
        unified = compiled.map(decoded)
        created, updated = compiled.created(decoded), compiled.updated(decoded)
        head = {"id": self._prefix + item.id, **self._head, "remote_id": item.remote_id}
        # The change time stands last and outside the digest: a touch without a change is no change.
        body = orjson.dumps({**head, **unified, "remote_created_at": created}, default=_plain)[:-1]
        return Row(
            id=item.id,
            remote_id=item.remote_id,
            body=(body + _UPDATED + orjson.dumps(updated) + b"}").decode(),
            raw=item.raw.decode(),
            fingerprint=item.fingerprint,
            digest=blake2b(body, digest_size=16).digest(),
            filters=orjson.dumps(compiled.filter_values(unified), default=_plain).decode(),
            remote_created_at=created,
            remote_updated_at=updated,
        )


def _unfit(item: Seen) -> tuple[str, str] | None:
    """Why PostgreSQL could not hold it, if so."""
    if (
        len(item.remote_id) > MAX_REMOTE_ID_BYTES // 4
        and len(item.remote_id.encode(errors="replace")) > MAX_REMOTE_ID_BYTES
    ):
        return "REMOTE_ID_TOO_LONG", f"Its id has more than {MAX_REMOTE_ID_BYTES} bytes."
    if b"\\u0000" in item.raw and _NUL.search(item.raw):
        return "NUL_CHARACTER", "A text in it holds the NUL character, which cannot be stored."
    return None


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} is no JSON value")
