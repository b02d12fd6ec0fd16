"""Lists page by page with opaque keyset cursors.

    check_query_parameters(request, allowed={"limit", "cursor", "modified_after"})
    filters = filters_of(request)
    after = decode_cursor(text, (datetime, UUID), purpose="records", filters=filters) if text else None
    next_cursor = encode_cursor((row.changed_at, row.id), purpose="records", filters=filters)

A cursor holds the sort values of the last row shown. It is signed, belongs to one list (`purpose`) and to the filters it
was made with, and does not expire.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from typing import Any
from uuid import UUID

from django.conf import settings

from core.api_errors import BadRequestError
from core.errors import FieldError
from core.parameters import (
    AnyRequest,
    boolean_from,
    check_body_fields,
    check_query_parameters,
    choice_from,
    date_from,
    datetime_from,
    id_from,
    integer_from,
    text_from,
    wrong_parameter,
)

__all__ = [
    "CursorValue",
    "boolean_from",
    "check_body_fields",
    "check_query_parameters",
    "choice_from",
    "cursor_from",
    "date_from",
    "datetime_from",
    "decode_cursor",
    "encode_cursor",
    "filters_of",
    "id_from",
    "integer_from",
    "limit_from",
    "text_from",
    "wrong_parameter",
]

CursorValue = str | int | datetime | UUID
DEFAULT_LIMIT, MAX_LIMIT = 100, 500
MAX_CURSOR_CHARACTERS = 4096
_SIGNATURE_BYTES = 12
_DIGEST_BYTES = 6


def limit_from(request: AnyRequest) -> int:
    """`?limit`, 1 to 500, 100 when absent."""
    limit = integer_from(request, "limit", low=1, high=MAX_LIMIT)
    return DEFAULT_LIMIT if limit is None else limit


def filters_of(request: AnyRequest, *, ignore: Iterable[str] = ("cursor", "limit")) -> dict[str, list[str]]:
    """What a cursor is bound to: every query parameter but the paging itself, and the connection named by header."""
    filters = {name: [str(value) for value in values] for name, values in request.GET.lists() if name not in ignore}
    connection = request.headers.get("X-Connection-Id")
    return {**filters, "X-Connection-Id": [connection]} if connection else filters


def cursor_from(request: AnyRequest, types: Sequence[type[CursorValue]], *, purpose: str) -> tuple[Any, ...] | None:
    """The values of `?cursor`, None on the first page."""
    text = text_from(request, "cursor", max_length=MAX_CURSOR_CHARACTERS)
    return None if text is None else decode_cursor(text, types, purpose=purpose, filters=filters_of(request))


def encode_cursor(
    values: Sequence[CursorValue], *, purpose: str, filters: Mapping[str, Sequence[str]] | None = None
) -> str:
    """The cursor that continues after a row with these sort values. Datetimes must be aware."""
    content = [_digest(purpose), _digest(_canonical(filters)), *(_plain(value) for value in values)]
    payload = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(_signature(payload) + payload).rstrip(b"=").decode()


def decode_cursor(
    text: str,
    types: Sequence[type[CursorValue]],
    *,
    purpose: str,
    filters: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Any, ...]:
    """The sort values, one per type. BadRequestError INVALID_CURSOR when it was changed or belongs elsewhere."""
    content = _open(text)
    if content[0] != _digest(purpose) or len(content) != len(types) + 2:
        raise _invalid("This cursor belongs to another list; start without one.")
    if content[1] != _digest(_canonical(filters)):
        raise _invalid("This cursor was made with other filters; keep them unchanged or start without a cursor.")
    return tuple(_typed(value, kind) for value, kind in zip(content[2:], types, strict=True))


def _open(text: str) -> list[Any]:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid("This cursor is damaged; use it as it was given.") from error
    signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    # The last character of base64 may carry bits that are dropped: only the one spelling we made is accepted.
    spelled = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    if spelled != text or not hmac.compare_digest(signature, _signature(payload)):
        raise _invalid("This cursor is damaged; use it as it was given.")
    content: list[Any] = json.loads(payload)
    return content


def _signature(payload: bytes) -> bytes:
    key = sha256(b"core.pagination:" + settings.SECRET_KEY.encode()).digest()
    return hmac.digest(key, payload, "sha256")[:_SIGNATURE_BYTES]


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=_DIGEST_BYTES).hexdigest()


def _canonical(filters: Mapping[str, Sequence[str]] | None) -> str:
    return json.dumps({name: list(values) for name, values in (filters or {}).items()}, sort_keys=True)


def _plain(value: CursorValue) -> str | int:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("a cursor takes aware times only")
        return value.astimezone(UTC).isoformat()
    return value.hex if isinstance(value, UUID) else value


def _typed(value: Any, kind: type[CursorValue]) -> CursorValue:
    """A value we signed ourselves; it fits unless the list changed its order since."""
    try:
        if kind is datetime:
            return datetime.fromisoformat(value)
        if kind is UUID:
            return UUID(hex=value)
        if type(value) is kind:
            return value
    except (ValueError, TypeError, AttributeError) as error:
        raise _invalid("This cursor is of an older release; start without one.") from error
    raise _invalid("This cursor is of an older release; start without one.")


def _invalid(detail: str) -> BadRequestError:
    return BadRequestError(detail, code="INVALID_CURSOR", errors=(FieldError("?cursor", "INVALID_CURSOR", detail),))
