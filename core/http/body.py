"""Reading bodies: in large pieces, whole, and never more than asked for."""

from __future__ import annotations

import zlib

from urllib3 import BaseHTTPResponse

from core.errors import BadAnswerError

READ_BYTES = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"


def read_body(answer: BaseHTTPResponse, max_bytes: int) -> bytes:
    """The decompressed body, at most `max_bytes` long.

    Errors: BadAnswerError ANSWER_TOO_LARGE, ANSWER_CUT_OFF or UNKNOWN_ENCODING; what the connection raises passes.
    """
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("gzip", "x-gzip"):
        return _read_gzip(answer, max_bytes)
    if encoding not in ("identity", ""):
        detail = f"The answer is compressed as {encoding[:50]!r}, which was not asked for."
        raise BadAnswerError(detail, code="UNKNOWN_ENCODING")
    if (announced := answer.headers.get("content-length", "")).isdecimal() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    pieces: list[bytes] = []
    size = 0
    while piece := answer.read(READ_BYTES, decode_content=False):
        size += len(piece)
        if size > max_bytes:
            raise _too_large(max_bytes)
        pieces.append(piece)
    return b"".join(pieces)


def _read_gzip(answer: BaseHTTPResponse, max_bytes: int) -> bytes:
    plain = bytearray()
    member = zlib.decompressobj(_GZIP)
    is_empty = True
    while piece := answer.read(READ_BYTES, decode_content=False):
        is_empty = False
        member = _decompress(piece, member, plain, max_bytes)
    if not member.eof and not is_empty:
        raise BadAnswerError("The answer was cut off: its gzip data has no end.", code="ANSWER_CUT_OFF")
    return bytes(plain)


def _decompress(piece: bytes, member: zlib._Decompress, plain: bytearray, max_bytes: int) -> zlib._Decompress:
    """Add the decompressed `piece` to `plain`; several gzip members may follow each other."""
    while piece:
        if member.eof:
            if not piece.startswith(_GZIP_MAGIC):
                return member  # padding after the end, which everybody ignores
            member = zlib.decompressobj(_GZIP)
        try:
            plain += member.decompress(piece, max_bytes + 1 - len(plain))
        except zlib.error as error:
            raise BadAnswerError(
                "The answer was cut off or broken: its gzip data cannot be read.", code="ANSWER_CUT_OFF"
            ) from error
        if len(plain) > max_bytes:
            raise _too_large(max_bytes)
        piece = member.unused_data
    return member


def _too_large(max_bytes: int) -> BadAnswerError:
    limit = f"{max_bytes / 1024 / 1024:.3g} MiB"
    return BadAnswerError(f"The answer is larger than {limit}: ask for smaller pages.", code="ANSWER_TOO_LARGE")
