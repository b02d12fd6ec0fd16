"""Cutting an answer into objects without building them: only ids and change times are decoded.

Skipping what is known already is what makes an unchanged walk fast, and it starts here: the bytes of each object are
kept as they came and are looked at later, if at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from core.errors import BadAnswerError
from integrations.sdk.paths import compile_path

_ANY = msgspec.json.Decoder()


class Splitter:
    """Cuts answers whose array stands at `items` (dotted; "" = the answer is the array).

    `keep` are dotted paths of other values to read from the answer (next cursor, total).
    """

    def __init__(self, items: str, keep: Iterable[str] = ()) -> None:
        self.items, self.keep = items, tuple(keep)
        self._path = items.split(".") if items else []
        roots = {path.split(".")[0] for path in self.keep} - set(self._path[:1])
        self._roots = {f"k{number}": root for number, root in enumerate(sorted(roots))}
        self._getters = [(path, compile_path(path)) for path in self.keep]
        self._decode = msgspec.json.Decoder(self._type()).decode

    def _type(self) -> Any:
        kind: Any = list[msgspec.Raw]
        for depth, name in enumerate(reversed(self._path)):
            fields: list[Any] = [("items", kind)]
            rename = {"items": name}
            if depth == len(self._path) - 1:
                fields += [(alias, msgspec.Raw, msgspec.Raw(b"null")) for alias in self._roots]
                rename |= self._roots
            kind = msgspec.defstruct("Level", fields, rename=rename)
        return kind

    def split(self, body: bytes) -> tuple[list[bytes], dict[str, Any]]:
        """The objects' bytes and the kept values (None when missing). BadAnswerError when the shape is another."""
        try:
            answer = self._decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._salvage(body, error)
        raws = answer
        for _ in self._path:
            raws = raws.items
        return [bytes(raw) for raw in raws], self._kept(answer, body)

    def _salvage(self, body: bytes, error: Exception) -> tuple[list[bytes], dict[str, Any]]:
        """An answer that is JSON but for a text no Unicode allows (half a character): one bad object is not a bad page.

        Numbers with a point become texts, which mappings read alike, so that none is rounded.
        """
        try:
            whole = json.loads(body, parse_float=str)
            found = compile_path(self.items)(whole)
        except (ValueError, RecursionError, AttributeError):
            found = None
        if not isinstance(found, list):
            raise BadAnswerError(
                f"The answer has no list at `{self.items or 'its top'}`: {error}. It begins: {body[:80]!r}"
            ) from error
        objects = [json.dumps(item, separators=(",", ":")).encode() for item in found]
        return objects, {path: get(whole) for path, get in self._getters}

    def _kept(self, answer: Any, body: bytes) -> dict[str, Any]:
        if not self.keep:
            return {}
        nested = self._path and any(path.split(".")[0] == self._path[0] for path in self.keep)
        if nested:  # such as OData V2, where `d.__next` stands beside `d.results`
            whole = _ANY.decode(body)
        else:
            whole = {root: _ANY.decode(bytes(getattr(answer, alias))) for alias, root in self._roots.items()}
        return {path: get(whole) for path, get in self._getters}


class Head:
    """Reads remote id and change time of an object's bytes."""

    def __init__(self, key: str, changed: str | None, decode: Callable[[bytes], Any]) -> None:
        self._key_parts = key.split("|")
        self._key = [compile_path(part) for part in self._key_parts]
        self._changed = compile_path(changed) if changed else None
        self._decode = decode
        self._fast = self._struct(changed)

    def _struct(self, changed: str | None) -> Callable[[bytes], Any] | None:
        """A decoder of just these fields, when the key is one plain field."""
        names = [self._key_parts[0], *([changed] if changed else [])]
        if len(self._key_parts) > 1 or not all(name.isidentifier() for name in names):
            return None
        fields: list[Any] = [("key", Any, None)]
        rename = {"key": names[0]}
        if changed:
            fields.append(("changed", Any, None))
            rename["changed"] = names[-1]
        return msgspec.json.Decoder(msgspec.defstruct("Head", fields, rename=rename)).decode

    def read(self, raw: bytes) -> tuple[str | None, Any]:
        """(remote id, change value as it came); the id is None when a part of it is missing."""
        try:
            if self._fast is not None:
                head = self._fast(raw)
                key = head.key
                if type(key) is not str:
                    key = None if key is None else str(key)
                return key or None, getattr(head, "changed", None)
            value = self._decode(raw)
            parts = [get(value) for get in self._key]
            key = None if any(part is None or part == "" for part in parts) else "|".join(map(str, parts))
            return key, self._changed(value) if self._changed else None
        except (msgspec.DecodeError, ValueError, AttributeError):
            return self._read_broken(raw)

    def _read_broken(self, raw: bytes) -> tuple[str | None, Any]:
        """The id of an object that cannot be decoded as a whole, so that it can be named in quarantine."""
        try:
            value = json.loads(raw)
            parts = [get(value) for get in self._key]
        except (ValueError, AttributeError, RecursionError):
            return None, None
        return (None if any(part in (None, "") for part in parts) else "|".join(map(str, parts))), None
