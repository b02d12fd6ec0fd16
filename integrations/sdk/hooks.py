"""What a system tells by itself: how its messages are signed, and which entity each is about.

A connector declares it; the platform stores every message, verifies it, and lets the named entity sync now. Nothing of a
message comes into the copy.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import orjson

from core.errors import ValidationFailedError
from integrations.sdk.paths import compile_path

MOST_ID_CHARACTERS = 512
_MILLISECONDS_FROM = 10**11  # as seconds that is the year 5138


@dataclass(frozen=True)
class HmacSignature:
    """The body signed with a secret both sides know.

    `header` holds the signature, after `prefix` ("sha256="). With `parts`, it holds named values instead, as in
    `t=1732450000,v1=5f...`: the names of the time and of the signature, which may come several times. The time may also
    stand in `timestamp_header`. Where there is one, `<time>.<body>` is signed, and a message that is more than
    `tolerance_seconds` from our clock is refused. Times are seconds or milliseconds since 1970.
    """

    kind: ClassVar[str] = "hmac"

    header: str
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    parts: tuple[str, str] | None = None
    timestamp_header: str | None = None
    tolerance_seconds: int = 300

    def refusal(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> str:
        """Why the message is not believed; empty when one of the secrets signed it. Header names are in lower case."""
        found = headers.get(self.header.lower(), "")
        if not found:
            return f"There is no header {self.header}."
        time, signatures = self._read(found, headers)
        signed = body
        if self.parts or self.timestamp_header:
            if not time.isdecimal() or len(time) > 16:
                return "The signature names no time."
            if abs(now - _seconds(time)) > self.tolerance_seconds:
                return f"It was signed more than {self.tolerance_seconds} s away from our clock."
            signed = time.encode() + b"." + body
        if any(self._fits(signatures, self.sign(secret, signed)) for secret in secrets):
            return ""
        return "The signature is not that of the stored signing secret."

    def sign(self, secret: str, signed: bytes) -> str:
        """The signature of what is signed, as it stands in the header."""
        digest = hmac.digest(secret.encode(), signed, self.algorithm)
        return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()

    def _read(self, found: str, headers: Mapping[str, str]) -> tuple[str, list[str]]:
        """The time as it was written, and the signatures."""
        if self.parts is None:
            time = headers.get((self.timestamp_header or "").lower(), "").strip()
            return time, [found.strip().removeprefix(self.prefix)]
        pairs = [part.strip().partition("=") for part in found.split(",")]
        times = [value for name, _, value in pairs if name == self.parts[0]]
        signatures = [value for name, _, value in pairs if name == self.parts[1]]
        return (times[0] if len(times) == 1 else ""), signatures[:10]

    def _fits(self, signatures: Sequence[str], right: str) -> bool:
        given = [one.lower() if self.encoding == "hex" else one for one in signatures]
        return any(hmac.compare_digest(right.encode(), one.encode("utf-8", "replace")) for one in given)


@dataclass(frozen=True)
class SharedSecret:
    """A secret that the system sends along, in a header of its own or after `prefix` ("Bearer ") in another."""

    kind: ClassVar[str] = "shared_secret"

    header: str
    prefix: str = ""

    def refusal(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> str:
        """Why the message is not believed; empty when it brings one of the secrets."""
        given = headers.get(self.header.lower(), "")
        if not given:
            return f"There is no header {self.header}."
        sent = given.removeprefix(self.prefix).strip().encode("utf-8", "replace")
        if any(hmac.compare_digest(secret.encode(), sent) for secret in secrets):
            return ""
        return f"The secret in {self.header} is not the stored one."


@dataclass(frozen=True)
class Told:
    """What a message says: its type as the system calls it, the entities it is about, the object's id, its own id.

    `is_gone`: it tells that the object was deleted.
    """

    type: str
    entities: tuple[str, ...]
    remote_id: str = ""
    message_id: str = ""
    is_gone: bool = False


@dataclass(frozen=True)
class Hooks:
    """The messages of a system.

    `entities`: type -> entity; other types are of no interest. `type`: the path to it in the body. `ids`: entity -> path of
    the object's id; a body without a type is about the entities whose path holds something. `deleting`: types that tell of
    a deletion, whose object is read again alone, since lists of changes do not show it. `message_id`: paths whose values
    make the message's own id, together with the object's; where one is missing, no two messages count as the same.
    `note`: what people must know to set it up.
    """

    entities: Mapping[str, str]
    signature: HmacSignature | SharedSecret | None = None
    type: str = "type"
    ids: Mapping[str, str] = field(default_factory=dict)
    deleting: frozenset[str] = frozenset()
    message_id: tuple[str, ...] = ()
    note: str = ""

    def read(self, body: bytes) -> Told:
        """What the body says. Errors: ValidationFailedError when it is no JSON object."""
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ValidationFailedError(f"The body is no JSON: {error}") from error
        if not isinstance(content, dict):
            raise ValidationFailedError("The body is no JSON object.")
        kind = _text(compile_path(self.type), content)
        entities = self._entities(kind, content)
        remote_id = _text(compile_path(self.ids[entities[0]]), content) if len(entities) == 1 and self.ids else ""
        return Told(kind, entities, remote_id, self._message_id(content, remote_id), kind in self.deleting)

    def _entities(self, kind: str, content: dict[str, Any]) -> tuple[str, ...]:
        if kind:
            return (self.entities[kind],) if kind in self.entities else ()
        return tuple(entity for entity, path in self.ids.items() if _text(compile_path(path), content))

    def _message_id(self, content: dict[str, Any], remote_id: str) -> str:
        parts = [_text(compile_path(path), content) for path in self.message_id]
        if not parts or not all(parts):
            return ""
        return "|".join([*parts, remote_id] if remote_id else parts)


def _text(get: Callable[[Any], Any], content: dict[str, Any]) -> str:
    """A plain value as text; empty for everything else."""
    value = get(content)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).replace("\x00", "")[:MOST_ID_CHARACTERS]


def _seconds(time: str) -> float:
    value = int(time)
    return value / 1000 if value >= _MILLISECONDS_FROM else float(value)
