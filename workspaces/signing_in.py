"""Sign-ins of people in the audit log. They belong to no workspace: a person may be a member of several."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

from core.callers import address_of
from core.seldom import Seldom
from workspaces import audit
from workspaces.choices import ActorKind, AuditOutcome

NOBODY_WE_KNOW = "somebody unknown"
_failures = Seldom(seconds=60)


def connect() -> None:
    """Listen to Django's own signals, for as long as the process lives."""
    user_logged_in.connect(_signed_in, dispatch_uid="audit.signed_in")
    user_logged_out.connect(_signed_out, dispatch_uid="audit.signed_out")
    user_login_failed.connect(_failed, dispatch_uid="audit.sign_in_failed")


def _signed_in(*, request: Any, user: Any, **_: Any) -> None:
    _record("person.signed_in", request, user.get_username())


def _signed_out(*, request: Any, user: Any, **_: Any) -> None:
    if user is not None:
        _record("person.signed_out", request, user.get_username())


def _failed(*, credentials: dict[str, Any], request: Any = None, **_: Any) -> None:
    """At most once a minute for each name and address, so that nobody can fill the log.

    A name that nobody has is not kept: people type passwords into the wrong field.
    """
    users = get_user_model()
    given = str(credentials.get(users.USERNAME_FIELD, ""))
    known = "\x00" not in given and users._default_manager.filter(**{users.USERNAME_FIELD: given}).exists()
    name = given if known else NOBODY_WE_KNOW
    key = (name, address_of(request) if request is not None else None)
    if _failures.is_due(key):
        _record("person.sign_in_failed", request, name, AuditOutcome.REFUSED)
        _failures.told(key)


def _record(action: str, request: Any, name: str, outcome: AuditOutcome = AuditOutcome.DONE) -> None:
    known_request = request is not None
    actor = audit.actor_of(request, ActorKind.PERSON, name) if known_request else audit.Actor(ActorKind.PERSON, name)
    audit.record(action, workspace_id=None, about=("person", name), outcome=outcome, actor=actor)
