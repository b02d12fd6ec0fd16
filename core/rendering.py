"""JSON in and out of DRF: strict on the way in, pre-rendered text passed through on the way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.utils.functional import Promise
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from core.json import MAX_BYTES, BodyTooLargeError, RawJson, encoded, json_default, loads_strict

__all__ = ["JsonRenderer", "RawJson", "StrictJsonParser"]


class JsonRenderer(BaseRenderer):
    """`core.json.dumps` as a DRF renderer.

    Anywhere in the data, RawJson(text) is put in its place unread: Response({"data": [RawJson(row) for row in rows]}).
    """

    media_type = "application/json"
    format = "json"
    charset = None  # JSON is UTF-8 by its definition

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        return encoded(data, _default)


class StrictJsonParser(BaseParser):
    """`core.json.loads_strict` as a DRF parser. A request without a body never reaches it: `request.data` is {}."""

    media_type = "application/json"
    max_bytes = MAX_BYTES

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        announced = _content_length(parser_context)
        if announced > self.max_bytes:
            raise BodyTooLargeError(f"The body has {announced} bytes; at most {self.max_bytes} are accepted.")
        return loads_strict(stream.read(self.max_bytes + 1), max_bytes=self.max_bytes)


def _default(value: object) -> Any:
    return str(value) if isinstance(value, Promise) else json_default(value)


def _content_length(parser_context: Mapping[str, Any] | None) -> int:
    request = (parser_context or {}).get("request")
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0) if request is not None else 0
    except ValueError:
        return 0  # Django reads such a header as "no body" too
