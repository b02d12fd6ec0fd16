"""The beginnings of bodies, kept for the log of calls and read only when somebody looks.

A door takes a slice of each body and nothing more, so that a walk over pages of many megabytes pays nothing for it.
What is shown is made later: decoded, without secrets, cut.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.http.redaction import Redaction, clean_value
from core.redaction import redact, redact_text

KEPT_BYTES = 8 * 1024
SHOWN_CHARACTERS = 4096
# What lies this near to the end of a slice may be the beginning of a secret, which no pattern knows without its end.
UNSURE_CHARACTERS = 512
KIND_CHARACTERS = 100
_TEXTUAL = re.compile(r"^text/|[/+](json|xml|javascript|x-www-form-urlencoded)\b", re.IGNORECASE)
_FORM = re.compile(r"x-www-form-urlencoded", re.IGNORECASE)
_CHARSET = re.compile(r"charset=\"?([\w.:-]{1,40})", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")


@dataclass(frozen=True)
class Content:
    """The first bytes of a body of `size` bytes, as it is before compression; `kind` is its content type."""

    start: bytes = field(default=b"", repr=False)
    size: int = 0
    kind: str = field(default="", repr=False)

    def text(self, redaction: Redaction) -> str:
        """At most 4,096 characters without secrets, which say when they are not all: "(812 bytes of image/png)"."""
        if not self.size:
            return ""
        decoded = decoded_text(self.start, self.kind, is_whole=self._is_whole)
        if decoded is None:
            return f"({self.size} bytes of {redaction.clean(self.kind)[:KIND_CHARACTERS] or 'an unnamed type'})"
        return self._shown(_without_credentials(decoded, redaction, self.kind), redaction)

    @property
    def _is_whole(self) -> bool:
        return self.size == len(self.start)

    def _shown(self, text: str, redaction: Redaction) -> str:
        if self._is_whole and len(shown := redaction.clean(text)) <= SHOWN_CHARACTERS:
            return shown
        told = f"… [cut: {self.size} bytes in all]"
        room = SHOWN_CHARACTERS - len(told)
        sure = len(text) if self._is_whole else len(text) - max(redaction.longest, UNSURE_CHARACTERS)
        return redaction.clean_start(text, max(0, min(room, sure)))[:room] + told


NOTHING = Content()


def content_of(body: bytes | None, headers: Mapping[str, str]) -> Content:
    """What is kept of a body."""
    if not body:
        return NOTHING
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    return Content(body[:KEPT_BYTES], len(body), kind)


def decoded_text(body: bytes, kind: str, *, is_whole: bool = True) -> str | None:
    """The text of a body, None when it is none. `kind` is its content type, which servers often leave out or get wrong:
    what is valid UTF-8 is text, and what calls itself text is read somehow."""
    is_textual = bool(_TEXTUAL.search(kind))
    named = _CHARSET.search(kind) if is_textual else None
    try:
        text = codecs.getincrementaldecoder(_codec(named[1] if named else ""))().decode(body, final=is_whole)
    except UnicodeError:
        if not is_textual:
            return None
        text = body.decode("latin-1")
    if not is_textual and _CONTROL.search(text):
        return None
    # Half characters, which some charsets can spell, and NUL cannot be stored.
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _codec(charset: str) -> str:
    """The charset if it is one that we know and that makes text, else UTF-8."""
    try:
        "".encode(charset)
    except (LookupError, UnicodeError):
        return "utf-8"
    return charset


def _without_credentials(text: str, redaction: Redaction, kind: str) -> str:
    """Values cut by the names they stand under, at any depth where the text is whole JSON, else by its shape."""
    try:
        value = json.loads(text)
        cut = redact(clean_value(value, redaction.clean))
    except (ValueError, RecursionError):  # no JSON, only its beginning, or nested beyond reason
        pass
    else:
        text = text if cut == value else json.dumps(cut, ensure_ascii=False)
    if _FORM.search(kind):
        return redact_text("&" + text)[1:]  # the first field of a form has no sign before it
    return redact_text(text)
