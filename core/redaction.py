"""Secrets are cut here, for logs, problems and whatever else is shown. Django-free.

By key (`password`, `api_key`, ...) in anything nested, and by shape inside any text: our own tokens, authorization
headers, user and password in URLs, secret query parameters, private keys, the tokens of Link pages and of hook addresses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

CUT = "[cut]"
MAX_DEPTH = 12

_WORD = (
    r"(?:password|passwd|passphrase|secret|token|authorization|credential|cookie|pepper|"
    r"(?:api|access|private|encryption|signing)[-_.]?key|(?:(?<![a-z])(?:pass|pwd|assertion|signature|jwt)))s?[0-9]*"
)
_SECRET_KEY = re.compile(rf"{_WORD}(?=$|[-_.])")
_SESSION_KEY = re.compile(r"(?:^|[-_.])session[-_.]?(?:id|key)$")
# `token_id` or `credential_kind` tell which one without telling it.
_HARMLESS_KEY = re.compile(r"[-_.](?:id|ids|kind|type|name|count|at|version|status|url|seconds|prefix|hint)$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_NAME = rf"[a-z0-9_.-]{{0,40}}{_WORD}"
# A word that follows "Bearer" is a token when it has a digit or is long: "Bearer authentication" is no secret.
_BEARER_VALUE = r"(?=[^\s,;\"']*[0-9]|[^\s,;\"']{20})[A-Za-z0-9._~+/=:-]{6,}"
_TEXT_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\blsh_(live|test)_[A-Za-z0-9_-]+"), rf"lsh_\1_{CUT}"),
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]+"), f"whsec_{CUT}"),
    (re.compile(r"(authorization[\"']?\s*[:=]\s*[\"']?)[^\r\n\"']+", re.IGNORECASE), rf"\1{CUT}"),
    (re.compile(rf"\b(bearer|basic|token|digest|apikey)\s+{_BEARER_VALUE}", re.IGNORECASE), rf"\1 {CUT}"),
    (re.compile(r"\b([a-z][a-z0-9+.-]{0,30}://)[^\s/?#\"'<>]+@", re.IGNORECASE), rf"\1{CUT}@"),
    (re.compile(rf"([?&](?:{_NAME}|code|sig)=)[^&\s\"'<>#]+", re.IGNORECASE), rf"\1{CUT}"),
    # The text may be the beginning of a longer one, and end within the value.
    (re.compile(rf"([\"']{_NAME}[\"']\s*:\s*)([\"']).*?(?:(?<!\\)\2|\Z)", re.IGNORECASE), rf"\1\2{CUT}\2"),
    (re.compile(rf"([\"']{_NAME}[\"']\s*:\s*)(?:-?[0-9][0-9.e+-]*|\[[^\]]*(?:\]|\Z))", re.IGNORECASE), rf'\1"{CUT}"'),
    (re.compile(rf"(<(?:[a-z][a-z0-9]*:)?{_NAME}(?:\s[^<>]*)?>)[^<]+", re.IGNORECASE), rf"\1{CUT}"),
    (re.compile(r"((?:/hooks/con|/flow-hooks/flow)_[0-9a-f]{32}/)[A-Za-z0-9_.~-]{8,}"), rf"\1{CUT}"),
    (re.compile(r"(/link/)(?!exchange\b)[A-Za-z0-9_.~-]{8,}"), rf"\1{CUT}"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), CUT),
)


def is_secret_key(key: str) -> bool:
    """Whether the value under this key is a secret, judged by the name (snake, kebab and camel case)."""
    plain = _CAMEL.sub("_", key).lower()
    if _SESSION_KEY.search(plain):
        return True
    return bool(_SECRET_KEY.search(plain)) and not _HARMLESS_KEY.search(plain)


def redact_text(text: str) -> str:
    """The text with everything that has the shape of a secret cut out."""
    for pattern, replacement in _TEXT_PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact(value: Any, *, depth: int = 0) -> Any:
    """A copy without secrets. Sequences become lists, and unknown objects their cut text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if depth >= MAX_DEPTH:
        return "..."
    if isinstance(value, Mapping):
        return {key: redact_item(key, item, depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth=depth + 1) for item in value]
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"))
    return redact_text(repr(value) if isinstance(value, BaseException) else str(value))


def redact_item(key: object, value: Any, *, depth: int = 0) -> Any:
    """The value under a key: cut whole when the key names a secret."""
    if isinstance(key, str) and value is not None and not isinstance(value, bool) and is_secret_key(key):
        return CUT
    return redact(value, depth=depth)
