"""What every operation of the published schema has in common: its problems and its token."""

from __future__ import annotations

from typing import Any, Literal

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from core.problems import CONTENT_TYPE, ProblemSerializer

_PROBLEMS = {
    "400": "The request is malformed: unknown parameter or field, unreadable value or JSON",
    "401": "No valid token",
    "403": "The token may not do this",
    "404": "There is no such thing, or it belongs to somebody else",
    "429": "Too many requests; `Retry-After` says how many seconds to wait",
    "default": "Any other failure",
}


class ProblemAutoSchema(AutoSchema):
    """drf-spectacular's AutoSchema with the problem answers added where the view declares none for that status."""

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        if direction == "response":
            problem = self.resolve_serializer(ProblemSerializer, direction).ref
            for status, description in _PROBLEMS.items():
                bodies.setdefault(status, {"content": {CONTENT_TYPE: {"schema": problem}}, "description": description})
        return bodies


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The API token as a bearer token. Found by being imported; the class it describes is named, not known."""

    target_class = "workspaces.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "lsh",
            "description": "A workspace or connection token: `Authorization: Bearer lsh_<live|test>_...`",
        }
