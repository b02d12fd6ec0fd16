"""Who sees which entry of the sidebar. Named by dotted path in the theme's settings."""

from __future__ import annotations

from django.http import HttpRequest

from console.security import may_see
from core.admin import roles_of


def belongs_somewhere(request: HttpRequest) -> bool:
    """A member of any workspace, or the operator of the installation."""
    return is_operator(request) or bool(roles_of(request))


def sees_security(request: HttpRequest) -> bool:
    """Who may see what is weak."""
    return may_see(request)


def is_operator(request: HttpRequest) -> bool:
    """The operator of the installation, who lets people in."""
    return bool(getattr(request.user, "is_superuser", False))
