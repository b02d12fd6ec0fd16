"""Secrets of a flow: stored encrypted, sent by its HTTP steps in a header, shown to nobody.

They stand here and not in a secrets manager: who may edit a flow chooses where its steps send them, so a reference would
open every secret that the workspace may refer to.
"""

from __future__ import annotations

import re

from django.db import transaction

from core.errors import ConflictError, FieldError, NotFoundError, ValidationFailedError
from flows.engine.header_secrets import header_value
from flows.models import Flow, FlowSecret
from flows.services.locking import lock_flow, tell_audit
from workspaces.secrets import seal

__all__ = ["header_value", "remove_flow_secret", "secrets_of", "set_flow_secret"]

MOST_SECRETS = 50
MOST_CHARACTERS = 4_000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
# What a header can hold: visible ASCII and spaces between, so that nothing of it starts another header.
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


@transaction.atomic
def set_flow_secret(flow: Flow, name: str, value: str, *, by: str) -> bool:
    """Store a secret, in place of one of the same name. Answers whether the name is new.

    Errors: ValidationFailedError for the name or the value, ConflictError TOO_MANY_SECRETS.
    """
    _check(name, value)
    locked = lock_flow(flow)
    row = FlowSecret.objects.filter(flow_id=locked.pk, name=name).first()
    is_new = row is None
    if is_new and FlowSecret.objects.filter(flow_id=locked.pk).count() >= MOST_SECRETS:
        raise ConflictError(f"A flow has at most {MOST_SECRETS} secrets; remove one.", code="TOO_MANY_SECRETS")
    row = row or FlowSecret(workspace_id=locked.workspace_id, flow=locked, name=name)
    seal(row, value)
    row.save()
    tell_audit("secret_stored", locked, name=name, by=by)
    return is_new


@transaction.atomic
def remove_flow_secret(flow: Flow, name: str, *, by: str) -> None:
    """Errors: NotFoundError when there is none of this name."""
    locked = lock_flow(flow)
    count, _ = FlowSecret.objects.filter(flow_id=locked.pk, name=name).delete()
    if not count:
        raise NotFoundError("The flow has no secret of this name.", code="NO_SUCH_SECRET")
    tell_audit("secret_removed", locked, name=name, by=by)


def secrets_of(flow: Flow) -> list[FlowSecret]:
    """By name, without what they hold."""
    return list(FlowSecret.objects.filter(flow_id=flow.pk).order_by("name").defer("ciphertext"))


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        detail = "A name has lower-case letters, digits and _, begins with a letter, and has at most 40 characters."
        raise ValidationFailedError(detail, errors=(FieldError("/name", "INVALID_VALUE", detail),))
    if len(value) > MOST_CHARACTERS or not _VALUE.fullmatch(value):
        detail = f"A secret is one line of 1 to {MOST_CHARACTERS} visible ASCII characters."
        raise ValidationFailedError(detail, errors=(FieldError("/value", "INVALID_VALUE", detail),))
