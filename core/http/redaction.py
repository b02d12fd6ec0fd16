"""Cutting secrets out of texts that leave the door: errors and call records."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus

from core.errors import LineshaftError
from core.http.urls import QUERY_SAFE

MASK = "[secret]"
# Shorter ones would shred ordinary words, so they are cut only where they stand alone.
_SHORT = 4
_MIN_BASE64_LENGTH = 6


class Redaction:
    """Knows the secrets of one door, in all the forms in which a text may show them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Cut these too from now on, such as a session that was just opened."""
        self._forms = self._forms | {form for secret in secrets if secret for form in _forms(secret)}
        forms = sorted(self._forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_pattern, forms)), re.IGNORECASE) if forms else None

    @property
    def longest(self) -> int:
        """Characters of the longest form of a secret."""
        return max(map(len, self._forms), default=0)

    def clean(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text

    def clean_start(self, text: str, limit: int) -> str:
        """The first `limit` characters of a text, cleaned. A secret that only begins in there is cut whole."""
        pieces, at = [], 0
        for found in self._pattern.finditer(text) if self._pattern else ():
            if found.start() >= limit:
                break
            pieces += [text[at : found.start()], MASK]
            at = found.end()
        return "".join([*pieces, text[at:limit]])

    def clean_error(self, error: BaseException) -> None:
        """Cut the error's own texts and those of the exceptions that caused it or are held by these, in place."""
        for each in _chain(error):
            if isinstance(each, LineshaftError):
                self._clean_own(each)
            each.args = tuple(clean_argument(arg, self.clean) for arg in each.args)
            if notes := getattr(each, "__notes__", None):
                each.__notes__ = [self.clean(note) for note in notes]

    def _clean_own(self, error: LineshaftError) -> None:
        error.detail = self.clean(error.detail)
        error.log_detail = self.clean(error.log_detail)
        error.extra = {
            name: self.clean(value) if isinstance(value, str) else value for name, value in error.extra.items()
        }
        if error.source:
            code, message = error.source.code, error.source.message
            error.source = replace(
                error.source, code=code and self.clean(code), message=message and self.clean(message)
            )


NO_SECRETS = Redaction(())


def clean_value(value: Any, clean: Callable[[str], str]) -> Any:
    """A JSON value without secrets, in keys and in numbers that are one too."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): clean_value(item, clean) for key, item in value.items()}
    if isinstance(value, list):
        return [clean_value(item, clean) for item in value]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return MASK if is_number and clean(str(value)) == MASK else value


def clean_argument(value: Any, clean: Callable[[str], str]) -> Any:
    """What an exception holds and its text shows: JSON-like values, tuples and bytes; other objects stay as they are."""
    if isinstance(value, tuple):
        return tuple(clean_argument(item, clean) for item in value)
    if isinstance(value, bytes):
        cleaned = clean(text := value.decode("utf-8", "replace"))
        return value if cleaned == text else cleaned.encode()
    return clean_value(value, clean) if isinstance(value, str | dict | list) else value


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            waiting += [each.__cause__, each.__context__, *(arg for arg in each.args if isinstance(arg, BaseException))]
            yield each


def _pattern(form: str) -> str:
    plain = _BEFORE_QUOTE.sub("", form)
    escaped = "".join(_ESCAPED.get(character) or re.escape(character) for character in _BACKSLASHES.sub(r"\\", plain))
    return rf"(?<![^\W_]){escaped}(?![^\W_])" if len(form) < _SHORT else escaped


# A text within a text within a text escapes its quotes again and again: each time twice as many backslashes, and one.
_BEFORE_QUOTE, _BACKSLASHES = re.compile(r"\\+(?=[\"'/])"), re.compile(r"\\+")
_ESCAPED = {"\\": r"\\{1,32}", '"': r'\\{0,15}"', "'": r"\\{0,15}'", "/": r"\\{0,15}/"}


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield json.dumps(secret)[1:-1].replace("/", "\\/")  # as PHP writes it
    yield repr(secret)[1:-1]
    yield escape(secret)
    yield quote_plus(secret)
    for safe in ("", "/", QUERY_SAFE):
        yield quote(secret, safe=safe)
    if len(secret) >= _SHORT:
        yield secret.encode().hex()
    yield from _base64_forms(secret.encode())


def _base64_forms(secret: bytes) -> Iterator[str]:
    """How the secret looks inside any base64 text (a Basic header holds `user:secret`): three alignments.

    The first and last characters are shared with the neighbours, so only the characters the secret alone decides count.
    """
    for shift in range(3):
        padded = bytes(shift) + secret
        first = -(-shift * 8 // 6)
        last = len(padded) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(padded).decode()[first:last]
            if len(text) >= _MIN_BASE64_LENGTH:
                yield text
