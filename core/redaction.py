"""Secrets are cut here, for logs, problems and whatever else is shown. Django-free.

By key (`password`, `api_key`, ...) in anything nested, and by shape inside any text: our own tokens, authorization
schemes, user and password in URLs, secret query parameters and the tokens of Link pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

CUT = "[cut]"
MAX_DEPTH = 12

_NAMES = (
    r"passwo?r?d|passwd|passphrase|pass|pwd|secret|token|authorization|api[-_]?key|credentials?|cookie|"
    r"private[-_]?key|encryption[-_]?keys?|access[-_]?key|pepper|assertion|signature|jwt"
)
_SECRET_KEY = re.compile(rf"(?:^|[-_.]|(?<=[a-z])(?=[A-Z]))(?:{_NAMES})s?(?:$|[-_.]|(?=[A-Z]))|^session[-_]?id$", re.I)
# `token_id` or `credential_kind` tell which one without telling it.
_HARMLESS_KEY = re.compile(r"[-_](?:id|ids|kind|type|name|count|at|version|status|url|seconds|prefix|hint)$", re.I)

_TEXT_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\blsh_(live|test)_[A-Za-z0-9_-]+"), rf"lsh_\1_{CUT}"),
    (re.compile(r"\b(Bearer|Basic|Token|Digest|ApiKey)\s+(?!\[cut\])[A-Za-z0-9._~+/=:,\"-]{6,}", re.I), rf"\1 {CUT}"),
    (re.compile(r"\b([a-z][a-z0-9+.-]{0,30}://)[^\s/?#@\"'<>]*(?::[^\s/?#\"'<>]*)?@", re.I), rf"\1{CUT}@"),
    (re.compile(rf"([?&](?:[a-z0-9]+[-_])?(?:{_NAMES}|code|sig)=)[^&\s\"'<>#]+", re.I), rf"\1{CUT}"),
    (re.compile(rf"([\"'](?:[a-z0-9]+[-_])?(?:{_NAMES})[\"']\s*:\s*)([\"']).*?(?<!\\)\2", re.I), rf"\1\2{CUT}\2"),
    (re.compile(r"(/link/)(?!exchange\b)[A-Za-z0-9_.~-]{8,}"), rf"\1{CUT}"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), CUT),
)


def is_secret_key(key: str) -> bool:
    """Whether the value under this key is a secret, judged by the name."""
    return bool(_SECRET_KEY.search(key)) and not _HARMLESS_KEY.search(key)


def redact_text(text: str) -> str:
    """The text with everything that has the shape of a secret cut out."""
    for pattern, replacement in _TEXT_PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact(value: Any, *, depth: int = 0) -> Any:
    """A copy without secrets. Containers stay what they are; unknown objects become their cut text."""
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
        return redact_text(value[:2000].decode("utf-8", "replace"))
    return redact_text(str(value) if not isinstance(value, BaseException) else repr(value))


def redact_item(key: object, value: Any, *, depth: int = 0) -> Any:
    """The value under a key: cut whole when the key names a secret."""
    if isinstance(key, str) and value is not None and not isinstance(value, bool) and is_secret_key(key):
        return CUT
    return redact(value, depth=depth)
