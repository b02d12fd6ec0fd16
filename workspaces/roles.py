"""What a member may do, in scopes: the bounds of tokens that belong to a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workspaces.choices import OFF_BY_DEFAULT, Role, Scope
from workspaces.scopes import grants

_READS = frozenset(scope.value for scope in Scope if scope.endswith(":read")) - OFF_BY_DEFAULT
_ALL = frozenset(Scope.values)

ROLE_SCOPES: Mapping[str, frozenset[str]] = {
    Role.OWNER: _ALL,
    Role.OPERATOR: _ALL - {Scope.FLOWS_WRITE, Scope.TOKENS_WRITE, Scope.SYSTEMS_WRITE, Scope.AUDIT_READ},
    Role.DEVELOPER: _ALL - {Scope.CAPABILITIES_WRITE, Scope.AUDIT_READ},
    Role.AUDITOR: _READS,
}
"""Owners may do all; operators run what is there; developers build on it; auditors look, but make no raw calls.

As on the screens (`workspaces.role_permissions`): what a role may not do there, it may not do by API."""


def beyond(scopes: Iterable[str], role: str) -> list[str]:
    """The scopes that a role does not have, and so cannot give to a token."""
    return [scope for scope in scopes if not grants(ROLE_SCOPES[role], scope)]


def narrowed(scopes: Iterable[str], role: str) -> list[str]:
    """What is left of scopes in a role: `write` becomes `read` where the role may only read."""
    allowed, kept = ROLE_SCOPES[role], []
    for scope in scopes:
        reading = f"{scope.partition(':')[0]}:read"
        if grants(allowed, scope):
            kept.append(scope)
        elif grants(allowed, reading):
            kept.append(reading)
    return sorted(set(kept))
