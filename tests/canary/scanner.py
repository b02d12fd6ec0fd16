"""Finding a secret in any text or file, in the forms in which programs write one down."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

CORE_BYTES = 12


def new_canary() -> str:
    """Something that nobody guesses and that comes about nowhere by chance. It begins and ends with characters that
    addresses, HTML and JSON write in other ways, while the middle stays the same in all of them."""
    return f"q&'\"<{secrets.token_hex(CORE_BYTES)}>+/=%"


@dataclass(frozen=True)
class Canary:
    """`name` says where it was put in; `allowed` names the places where it may be seen: whoever entered it, or was
    given it, sees it there."""

    name: str
    value: str
    allowed: frozenset[str] = frozenset()


@dataclass
class Scanner:
    """Looks for many canaries at once."""

    canaries: list[Canary] = field(default_factory=list)

    def add(self, name: str, value: str, *allowed: str) -> str:
        assert len(core_of(value)) >= 16, f"{name} could be guessed, or come about by chance"
        self.canaries.append(Canary(name, value, frozenset(allowed)))
        return value

    def find(self, place: str, pieces: Mapping[str, bytes]) -> list[str]:
        """`what form of which canary, in which piece` for each that is there and may not be."""
        wanted = [
            (canary.name, form, text)
            for canary in self.canaries
            if place not in canary.allowed
            for form, text in forms_of(core_of(canary.value))
        ]
        return sorted(
            f"{name} ({form}) in {piece}"
            for piece, content in pieces.items()
            for name, form, text in wanted
            if text in content
        )


def core_of(value: str) -> str:
    """The longest run of letters, digits, `-` and `_`: no way of escaping changes it."""
    return max(re.findall(r"[A-Za-z0-9_-]+", value), key=len, default="")


def forms_of(core: str) -> Iterator[tuple[str, bytes]]:
    plain = core.encode()
    yield "clear", plain
    yield "reversed", plain[::-1]
    for upper in (False, True):
        digits = plain.hex()
        yield "hex", (digits.upper() if upper else digits).encode()
        yield "URL", "".join(f"%{byte:02X}" if upper else f"%{byte:02x}" for byte in plain).encode()
    yield "UTF-16", core.encode("utf-16-le")
    for shift in range(3):
        yield "base64", _inside_base64(plain, shift)


def _inside_base64(plain: bytes, shift: int) -> bytes:
    """What it looks like in the middle of a longer text: the first and last characters depend on its neighbours.

    Such characters never give `+` or `/`, so both alphabets are the same here.
    """
    first, last = -(-shift * 8 // 6), (shift + len(plain)) * 8 // 6
    return base64.b64encode(bytes(shift) + plain)[first:last]
