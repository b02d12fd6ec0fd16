"""Rows of a list and single objects brought into one form, without building them.

Many systems show less of an object in a list, or wrap it when it is asked for alone, or add what changes with every call
(addresses that expire). An object must be the same bytes however it was read, or nothing could be skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from core.errors import BadAnswerError
from integrations.sdk.paths import compile_path

_NULL = msgspec.Raw(b"null")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Trimmer:
    """Keeps the named parts (`name`, or `asset.id` of an object inside), in that order; what is missing is null."""

    def __init__(self, keep: tuple[str, ...]) -> None:
        self._decode = msgspec.json.Decoder(_struct(keep)).decode if keep else None
        self._encode = msgspec.json.Encoder().encode

    def trim(self, raw: bytes) -> bytes:
        """An object that cannot be decoded stays as it is, for the mapping to refuse."""
        if self._decode is None:
            return raw
        try:
            return self._encode(self._decode(raw))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return raw


def _struct(keep: tuple[str, ...]) -> Any:
    inner: dict[str, tuple[str, ...]] = {}
    for path in keep:
        first, _, rest = path.partition(".")
        inner[first] = (*inner.get(first, ()), *([rest] if rest else []))
    fields: list[Any] = []
    for place, names in enumerate(inner.values()):
        # The object itself may be null where its parts are asked for.
        kind, missing = (_struct(names) | None, None) if names else (msgspec.Raw, _NULL)
        fields.append((f"f{place}", kind, missing))
    return msgspec.defstruct("Kept", fields, rename=dict(zip((field[0] for field in fields), inner, strict=True)))


def unwrapped(body: bytes, item: str) -> bytes:
    """The object in an answer: at the key `item`, or the answer itself where it is not wrapped.

    Errors: BadAnswerError when neither is an object.
    """
    try:
        found = _OBJECT.decode(body)
        if not item or item not in found:
            return body
        inside = bytes(found[item])
        _OBJECT.decode(inside)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadAnswerError("The answer is not the object that was asked for.", code="NOT_AN_OBJECT") from None
    return inside


def flag_of(path: str) -> Callable[[bytes], bool]:
    """Says of an object's bytes whether something stands at `path`; an object that cannot be decoded has nothing."""
    if not path:
        return lambda raw: False
    get = compile_path(path)
    if path.isidentifier():
        decoder: Any = msgspec.json.Decoder(msgspec.defstruct("Flag", [("flag", Any, None)], rename={"flag": path}))

        def read(raw: bytes) -> Any:
            return decoder.decode(raw).flag
    else:
        decoder = msgspec.json.Decoder()

        def read(raw: bytes) -> Any:
            return get(decoder.decode(raw))

    def is_set(raw: bytes) -> bool:
        try:
            return read(raw) not in (None, False, "", 0)
        except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
            return False

    return is_set
