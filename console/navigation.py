"""Who sees which entry of the sidebar. Named by dotted path in the theme's settings."""

from __future__ import annotations

from django.http import HttpRequest

from core.admin import roles_of


def belongs_somewhere(request: HttpRequest) -> bool:
    """A member of any workspace, or the operator of the installation."""
    return is_operator(request) or bool(roles_of(request))


def is_operator(request: HttpRequest) -> bool:
    """The operator of the installation, who lets people in."""
    return bool(getattr(request.user, "is_superuser", False))
