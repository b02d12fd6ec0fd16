"""Pictures that people upload: which kinds are taken, told by their first bytes and never by their names. Django-free."""

from __future__ import annotations

from core.errors import ValidationFailedError

MAX_IMAGE_BYTES = 200_000
# Formats that hold pixels only. SVG may hold scripts, so it is none of them.
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"


def image_type(content: bytes) -> str:
    """The media type of an uploaded picture. ValidationFailedError unless it is a PNG, JPEG or WebP of at most 200 kB."""
    if len(content) > MAX_IMAGE_BYTES:
        raise ValidationFailedError(f"The picture has {len(content) // 1000} kB; at most 200 kB are taken.")
    if content.startswith(_PNG):
        return "image/png"
    if content.startswith(_JPEG):
        return "image/jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    raise ValidationFailedError("The file is no picture that is taken here: upload a PNG, JPEG or WebP.")
