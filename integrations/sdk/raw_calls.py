"""What a raw call may be: which address, which headers, how large. The same for every system.

The caller chooses a path below the connection's address and nothing else of where the call goes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import unquote

from core.errors import ConfigError, FieldError, ValidationFailedError
from core.http.urls import parse_target

RAW_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
READING_METHODS = frozenset({"GET", "HEAD"})
RAW_SECONDS = 30.0
RAW_REQUEST_BYTES = 1024 * 1024
RAW_ANSWER_BYTES = 5 * 1024 * 1024
MAX_PATH_CHARACTERS = 2000
MOST_DECODINGS = 3

# Everything else could carry another credential, aim elsewhere or undo what the door promises.
RAW_HEADERS = frozenset(
    {
        "accept",
        "accept-language",
        "content-language",
        "content-type",
        "dataserviceversion",
        "idempotency-key",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-unmodified-since",
        "maxdataserviceversion",
        "odata-maxversion",
        "odata-version",
        "patchtype",
        "prefer",
        "properties",
        "x-correlation-id",
        "x-request-id",
        "x-requested-with",
    }
)
# They make another method of the one that was sent, so a call that only reads must not have them.
METHOD_OVERRIDES = frozenset({"_method", "x-http-method", "x-http-method-override", "x-method-override"})
_UNPLAIN = re.compile(r"[\x00-\x20\x7f\\]")


def address_below(base: str, path: str) -> str:
    """The address of `path` below `base`, on the same server and within the same folder however it is decoded.

    Errors: ValidationFailedError PATH_REFUSED for a path that leads elsewhere or that two servers could read
    differently; ConfigError for a base that is no address.
    """
    if not path.startswith("/") or "?" in path or "#" in path:
        raise _refused("it begins with one slash and has no query, which goes into `query`")
    if len(path) > MAX_PATH_CHARACTERS:
        raise _refused(f"it is longer than {MAX_PATH_CHARACTERS} characters")
    _check_spelling(path)
    root = parse_target(base)
    try:
        target = parse_target(base.rstrip("/") + path)
    except ConfigError as error:
        raise _refused("it makes no address that may be called") from error
    if target.origin != root.origin or not target.path.startswith(root.path.rstrip("/") + "/"):
        raise _refused("it leads away from the connection's address")
    return target.url


def check_names(headers: Mapping[str, str], query: Mapping[str, object], *, is_read: bool) -> None:
    """Refuse headers that are not allowed, and what would make a write of a read.

    Errors: ValidationFailedError HEADER_REFUSED or METHOD_REFUSED.
    """
    overrides = [name for name in (*headers, *query) if name.lower() in METHOD_OVERRIDES]
    if is_read and overrides:
        raise _wrong("/headers", "METHOD_REFUSED", f"{overrides[0]} would make another method of the call.")
    for name in headers:
        if name.lower() not in RAW_HEADERS | METHOD_OVERRIDES:
            allowed = ", ".join(sorted(RAW_HEADERS))
            raise _wrong("/headers", "HEADER_REFUSED", f"{name[:60]} cannot be sent. Allowed are {allowed}.")


def merged(*layers: Mapping[str, str]) -> dict[str, str]:
    """Headers of several layers, whose names ignore case; the later ones win."""
    found: dict[str, tuple[str, str]] = {}
    for layer in layers:
        found |= {name.lower(): (name, value) for name, value in layer.items()}
    return dict(found.values())


def _check_spelling(path: str) -> None:
    """Servers, and proxies before them, decode a path once or twice: no reading of it may leave the folder."""
    text = path
    for _ in range(MOST_DECODINGS + 1):
        if _UNPLAIN.search(text):
            raise _refused("it holds spaces, backslashes or control characters, perhaps encoded")
        plain = unicodedata.normalize("NFKC", text)
        if plain.startswith("//") or any(part.partition(";")[0] in (".", "..") for part in re.split(r"[/\\]", plain)):
            raise _refused("it holds `//` at its beginning, `.` or `..`, perhaps encoded")
        try:
            decoded = unquote(text, errors="strict")
        except UnicodeDecodeError as error:
            raise _refused("it holds encoded bytes that are not UTF-8") from error
        if decoded == text:
            return
        text = decoded
    raise _refused("it is encoded several times over")


def _refused(reason: str) -> ValidationFailedError:
    return _wrong("/path", "PATH_REFUSED", f"The path may not be called: {reason}.")


def _wrong(pointer: str, code: str, detail: str) -> ValidationFailedError:
    return ValidationFailedError(detail, code=code, errors=(FieldError(pointer, code, detail),))
