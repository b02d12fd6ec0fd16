"""Cutting secrets out of texts that leave the door: errors and call records."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
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
        forms = sorted({form for secret in secrets if secret for form in _forms(secret)}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_pattern, forms)), re.IGNORECASE) if forms else None

    def clean(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text

    def clean_error(self, error: LineshaftError) -> None:
        """Cut the error's own texts and those of the exceptions that caused it or are held by these, in place."""
        error.detail = self.clean(error.detail)
        error.log_detail = self.clean(error.log_detail)
        error.extra = {
            name: self.clean(value) if isinstance(value, str) else value for name, value in error.extra.items()
        }
        if error.source:
            error.source = replace(error.source, message=error.source.message and self.clean(error.source.message))
        for each in _chain(error):
            each.args = tuple(self.clean(arg) if isinstance(arg, str) else arg for arg in each.args)


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
    if len(form) < _SHORT:
        return rf"(?<![^\W_]){re.escape(form)}(?![^\W_])"
    return re.escape(form)


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield quote_plus(secret)
    for safe in ("", "/", QUERY_SAFE):
        yield quote(secret, safe=safe)
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
