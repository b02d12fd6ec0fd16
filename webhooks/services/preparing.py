"""From a claimed delivery to the signed request, or to why there is none."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from uuid import UUID

import structlog
from django.db.models import Q
from django.db.models.functions import Now

from core.errors import BugError, LineshaftError
from core.http.bulk import BulkRequest
from webhooks.models import WebhookSecret
from webhooks.services.claiming import TIMEOUT_SECONDS, Claimed
from webhooks.services.judging import Outcome
from webhooks.services.messages import message_id
from webhooks.services.rendering import freeze
from webhooks.signing import sign
from workspaces.secrets import open_secret

log = structlog.get_logger(__name__)

Secrets = Mapping[UUID, "list[str] | LineshaftError"]


def signing_secrets(endpoint_ids: Iterable[UUID]) -> Secrets:
    """The secrets that sign for each endpoint, the newest first; the error where one does not open."""
    found: dict[UUID, list[str] | LineshaftError] = {}
    rows = WebhookSecret.objects.with_scopes_disabled().filter(endpoint_id__in=set(endpoint_ids))
    for row in rows.filter(Q(expires_at=None) | Q(expires_at__gt=Now())).order_by("-created_at"):
        known = found.setdefault(row.endpoint_id, [])
        if isinstance(known, LineshaftError):
            continue
        try:
            known.append(open_secret(row))
        except LineshaftError as error:
            found[row.endpoint_id] = error
    return found


def prepare(claimed: Claimed, secrets: Secrets) -> tuple[BulkRequest, int] | Outcome:
    """The request and how many secrets signed it; the outcome where nothing is to be sent."""
    try:
        body = claimed.body or (freeze(claimed) if claimed.has_event else "")
        if not body:
            return Outcome(claimed, is_void=True)
        signing = secrets.get(claimed.endpoint_id, [])
        if isinstance(signing, LineshaftError):
            raise signing
        return _request(claimed, body.encode(), signing), len(signing)
    except Exception as error:  # an attempt's end: what happened is stored, and the others go on
        if not isinstance(error, LineshaftError) or isinstance(error, BugError):
            log.exception("delivery_not_prepared", delivery_id=str(claimed.id))
        code = error.code if isinstance(error, LineshaftError) else BugError.default_code
        return Outcome(claimed, error_code=code, is_ours=True, signed_with=0)


def _request(claimed: Claimed, body: bytes, secrets: list[str]) -> BulkRequest:
    headers = sign(message_id(claimed.event_id, claimed.part), int(time.time()), body, secrets)
    return BulkRequest(
        key=claimed.id,
        url=claimed.url,
        headers={"content-type": "application/json", **headers},
        body=body,
        timeout_seconds=TIMEOUT_SECONDS,
    )
