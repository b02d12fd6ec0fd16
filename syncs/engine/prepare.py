"""From raw bytes to rows ready to be written: skip what is known, map the rest, set aside what cannot be mapped."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import orjson

from core.errors import ValidationFailedError
from core.ids import derived_hex, namespace_of, show
from integrations.sdk.mapping import Compiled
from integrations.sdk.transforms import MappingError

MAX_REMOTE_ID_BYTES = 512
SURELY_SHORT = MAX_REMOTE_ID_BYTES // 4  # characters: in UTF-8 one has four bytes at the most
# A NUL escape, but not an escaped backslash before plain "u0000".
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Seen(NamedTuple):
    """One upstream object of a page: 32 hex digits of its record id, remote id, bytes, digest of the bytes."""

    id: str
    remote_id: str
    raw: bytes
    fingerprint: bytes


class Row(NamedTuple):
    """One record ready to be staged, `body` and `raw` packed once `Prepared.packed`. Texts are UTF-8 JSON, times RFC 3339."""

    id: str
    remote_id: str
    body: bytes
    raw: bytes
    fingerprint: bytes
    digest: bytes
    filters: bytes
    remote_created_at: str | None
    remote_updated_at: str | None


@dataclass(frozen=True)
class Rejected:
    """One object for quarantine, with the reason."""

    id: str
    remote_id: str
    raw: bytes
    code: str
    detail: str


@dataclass
class Sighted:
    """A page's objects told apart: every id it showed, those that could be copied, those that could not."""

    seen: list[str] = field(default_factory=list)
    good: list[Seen] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


@dataclass
class Prepared:
    """What becomes of a page: every id it showed, rows to write, objects to set aside, how many need nothing."""

    seen: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    unchanged: int = 0
    packed: bool = False

    def pack(self, pack: Callable[[list[bytes]], list[bytes]]) -> None:
        """Pack the rows for storing, once."""
        if not self.packed:
            packed = pack([text for row in self.rows for text in (row.body, row.raw)])
            # Rows are made anew by position: `_replace` costs three times as much.
            self.rows = [
                Row(r[0], r[1], body, raw, r[4], r[5], r[6], r[7], r[8])
                for r, body, raw in zip(self.rows, packed[::2], packed[1::2], strict=True)
            ]
            self.packed = True

    def pack_bodies(self, pack: Callable[[list[bytes]], list[bytes]], raws: Mapping[str, bytes]) -> None:
        """The same for objects that are stored already: `raws` are these, packed, by record id."""
        packed = pack([row.body for row in self.rows])
        self.rows = [
            Row(r[0], r[1], body, raws[r[0]], r[4], r[5], r[6], r[7], r[8])
            for r, body in zip(self.rows, packed, strict=True)
        ]
        self.packed = True

    def without(self, ids: Collection[str]) -> Prepared:
        """Leave these objects as they are stored: seen, and counted as unchanged."""
        rows = [row for row in self.rows if row.id not in ids]
        rejected = [item for item in self.rejected if item.id not in ids]
        left = len(self.rows) + len(self.rejected) - len(rows) - len(rejected)
        return replace(self, rows=rows, rejected=rejected, unchanged=self.unchanged + left)

    @property
    def read(self) -> int:
        return len(self.seen)


class Preparer:
    """Prepares the pages of one run with its pinned mapping. Pure computing: safe in the thread that fetches."""

    def __init__(
        self,
        *,
        connection_id: UUID,
        prefix: str,
        compiled: Compiled,
        mapping_digest: bytes,
        decode: Callable[[bytes], Any],
    ) -> None:
        self._namespace = namespace_of(connection_id, compiled.spec.name)
        self._prefix = b'{"id":"' + prefix.encode() + b"_"
        self._compiled = compiled
        self._key = mapping_digest
        self._decode = decode
        head = {"connection_id": show("con", connection_id), "entity": compiled.spec.name}
        self._head = b'","' + orjson.dumps(head)[2:-1] + b',"remote_id":'

    def sight(self, records: Iterable[tuple[str, bytes]], unreadable: Iterable[tuple[str, bytes]] = ()) -> Sighted:
        """Tell a page's objects apart. An id that stands twice counts once, as it came last."""
        namespace, key = self._namespace, self._key
        found: dict[str, Seen] = {}
        for remote_id, raw in records:
            record_id = derived_hex(namespace, remote_id)
            found[record_id] = Seen(record_id, remote_id, raw, blake2b(raw, digest_size=16, key=key).digest())
        sighted = Sighted(list(found))
        for item in found.values():
            # What is short, plain and without an escaped NUL is fit; anything else is looked at more closely.
            if len(item[1]) <= SURELY_SHORT and item[1].isascii() and b"\\u0000" not in item[2]:
                sighted.good.append(item)
            elif problem := _unfit(item):
                sighted.rejected.append(Rejected(item.id, item.remote_id, item.raw, *problem))
            else:
                sighted.good.append(item)
        for reason, raw in unreadable:
            rejected = self._nameless(reason, raw)
            sighted.seen.append(rejected.id)
            sighted.rejected.append(rejected)
        return sighted

    def prepare(self, sighted: Sighted, positions: Iterable[int] | None = None) -> Prepared:
        """Map the good objects at the given positions, or all of them."""
        good = sighted.good
        chosen = good if positions is None else [good[position] for position in positions]
        prepared = Prepared(sighted.seen, rejected=list(sighted.rejected), unchanged=len(good) - len(chosen))
        for item in chosen:
            outcome = self._map(item)
            if isinstance(outcome, Row):
                prepared.rows.append(outcome)
            else:
                prepared.rejected.append(outcome)
        return prepared

    def _nameless(self, reason: str, raw: bytes) -> Rejected:
        """An object without an id is told apart by its bytes."""
        name = "without id: " + blake2b(raw, digest_size=16).hexdigest()
        return Rejected(derived_hex(self._namespace, name), name, raw, "NO_REMOTE_ID", reason)

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
        body = b"".join(
            (
                self._prefix,
                item.id.encode(),
                self._head,
                orjson.dumps(item.remote_id),
                b",",
                orjson.dumps(unified, default=_plain)[1:-1],
                b',"remote_created_at":',
                orjson.dumps(created),
            )
        )
        # The change time stands last and outside the digest: a touch without a change is no change.
        return Row(
            item.id,
            item.remote_id,
            b"".join((body, b',"remote_updated_at":', orjson.dumps(updated), b"}")),
            item.raw,
            item.fingerprint,
            blake2b(body, digest_size=16).digest(),
            orjson.dumps(compiled.filter_values(unified), default=_plain),
            created,
            updated,
        )


def _unfit(item: Seen) -> tuple[str, str] | None:
    """Why PostgreSQL could not hold it, if so."""
    if len(item.remote_id.encode(errors="replace")) > MAX_REMOTE_ID_BYTES:
        return "REMOTE_ID_TOO_LONG", f"Its id has more than {MAX_REMOTE_ID_BYTES} bytes."
    if not item.remote_id.isascii():
        try:
            item.remote_id.encode()
        except UnicodeEncodeError:
            return "UNREADABLE_OBJECT", "Its id holds half a character, which no Unicode text may."
    if b"\\u0000" in item.raw and _NUL.search(item.raw):
        return "NUL_CHARACTER", "A text in it holds the NUL character, which cannot be stored."
    return None


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} is no JSON value")
