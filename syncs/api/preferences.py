"""What a caller of a write asks by headers: how long to wait, under which key, and which version it means."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rest_framework.request import Request

from core.api_errors import BadRequestError
from core.errors import FieldError
from core.parameters import boolean_from

DEFAULT_WAIT_SECONDS, MOST_WAIT_SECONDS = 10, 30
MAX_KEY_CHARACTERS = 255
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_VERSION = re.compile(r'"([0-9]{1,9})"')
# One preference of RFC 7240: a name, perhaps a value, perhaps parameters, which none of ours has.
_PREFERENCE = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9a-z-]+)\s*(?:=\s*("[^"]*"|[^\s,;"]*))?\s*(?:;[^,]*)?', re.IGNORECASE)


@dataclass(frozen=True)
class Wait:
    """`seconds` to wait for the outcome. `asked`: the caller said so, and is told when it was done."""

    seconds: int = DEFAULT_WAIT_SECONDS
    asked: bool = False


def wait_from(request: Request) -> Wait:
    """`Prefer: wait=N` (RFC 7240), at most 30 s; `respond-async` alone does not wait. Other preferences are no matter."""
    found = _preferences(request.headers.get("Prefer", ""))
    if "wait" in found:
        text = found["wait"]
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise _wrong("Prefer", "Write the seconds to wait as a whole number: Prefer: wait=10.")
        return Wait(min(int(text), MOST_WAIT_SECONDS), asked=True)
    return Wait(0, asked=True) if "respond-async" in found else Wait()


def _preferences(header: str) -> dict[str, str]:
    """Name -> value; of one given twice the first counts."""
    found: dict[str, str] = {}
    for part in header.split(","):
        match = _PREFERENCE.fullmatch(part)
        if match is None:
            if part.strip():
                raise _wrong("Prefer", "The header cannot be read; write it as Prefer: wait=10.")
            continue
        found.setdefault(match[1].lower(), (match[2] or "").strip('"'))
    return found


def key_from(request: Request, *, most: int = MAX_KEY_CHARACTERS) -> str | None:
    """The `Idempotency-Key`, None without one."""
    key = request.headers.get("Idempotency-Key")
    return None if key is None else check_key(key, "Idempotency-Key", most=most)


def check_key(key: str, where: str, *, most: int = MAX_KEY_CHARACTERS) -> str:
    """A key as it may be sent; `where` is named when it may not."""
    if not _KEY.fullmatch(key) or len(key) > most:
        raise _wrong(where, f"A key has 1 to {most} visible ASCII characters, such as a UUID.")
    return key


def version_from(request: Request) -> int | None:
    """The version that `If-Match` names; None without the header, and for `*`."""
    tag = request.headers.get("If-Match")
    return None if tag is None else version_of(tag.strip(), "If-Match")


def version_of(tag: str, where: str) -> int | None:
    """The version of an ETag of ours."""
    if tag == "*":
        return None
    match = _VERSION.fullmatch(tag)
    if match is None:
        raise _wrong(where, 'Send the one ETag of the record as it was given, such as "3".')
    return int(match[1])


def no_version_of_new(request: Request) -> None:
    """A create changes nothing that has a version."""
    if "If-Match" in request.headers:
        raise _wrong("If-Match", "This header is about a record that exists; leave it out when one is created.")


def is_dry_run(request: Request) -> bool:
    """`?dry_run=true`."""
    return boolean_from(request, "dry_run")


def _wrong(where: str, detail: str) -> BadRequestError:
    return BadRequestError(detail, code="INVALID_HEADER", errors=(FieldError(where, "INVALID_HEADER", detail),))
