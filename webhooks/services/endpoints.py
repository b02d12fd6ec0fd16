"""Endpoints: made, changed, paused and ended. Each change is one transaction under the endpoint's row lock.

Their signing secrets are shown once, when they are made; two sign while one replaces the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from core import ids
from core.errors import ConflictError, FieldError, ValidationFailedError
from webhooks.choices import EndpointStatus
from webhooks.models import Delivery, DeliveryAttempt, WebhookEndpoint, WebhookSecret
from webhooks.services.addresses import check_url
from webhooks.signing import new_secret
from workspaces import audit
from workspaces.audit import changed_names
from workspaces.event_catalogue import is_choice_of_types
from workspaces.models import Feed, Workspace
from workspaces.secrets import seal

__all__ = [
    "MOST_ENDPOINTS", "OVERLAP", "create_endpoint", "delete_endpoint", "enable_endpoint", "pause_endpoint",
    "resume_endpoint", "rotate_secret", "tell_audit", "update_endpoint",
]  # fmt: skip

MOST_ENDPOINTS = 50
OVERLAP = timedelta(hours=24)
CHANGEABLE = ("url", "description", "connection_ids", "event_types", "include_initial", "payload")


@transaction.atomic
def create_endpoint(
    *, workspace: Workspace, environment: str, url: str, created_by: str = "", **values: Any
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint with its signing secret, which nobody can show again. It is told of events from now on.

    `values` as of CHANGEABLE; connections are the caller's to check, since who asks decides which are visible.
    Errors: ValidationFailedError (address, event type), ConflictError TOO_MANY_ENDPOINTS.
    """
    check_url(url, environment)
    _check_types(values.get("event_types", ()))
    # One at a time, or two requests would both find the last place free.
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
    if WebhookEndpoint.objects.filter(workspace=workspace, environment=environment).count() >= MOST_ENDPOINTS:
        raise ConflictError(
            f"There are {MOST_ENDPOINTS} webhook endpoints in the {environment} environment already, the most there can"
            " be. Delete one that nobody listens to.",
            code="TOO_MANY_ENDPOINTS",
        )
    feed = Feed.objects.filter(workspace=workspace, environment=environment)
    endpoint = WebhookEndpoint(
        workspace=workspace,
        environment=environment,
        url=url,
        created_by=created_by[:160],
        position=feed.values_list("position", flat=True).first() or 0,
        **_sorted(values),
    )
    endpoint.save(force_insert=True)
    endpoint.refresh_from_db()
    tell_audit("created", endpoint, environment=environment)
    return endpoint, _give_secret(endpoint)


@transaction.atomic
def update_endpoint(endpoint: WebhookEndpoint, **values: Any) -> WebhookEndpoint:
    """Change what CHANGEABLE names; nothing is written when nothing differs.

    With a new address it starts afresh: failures of the old one say nothing about it.
    """
    locked = _lock(endpoint)
    before = {name: getattr(locked, name) for name in CHANGEABLE}
    wanted = {**before, **_sorted(values)}
    changed = changed_names(before, wanted)
    if "url" in changed:
        check_url(wanted["url"], locked.environment)
        _forget_failures(locked)
    if "event_types" in changed:
        _check_types(wanted["event_types"])
    if changed:
        for name in changed:
            setattr(locked, name, wanted[name])
        locked.save(update_fields=[*changed, *_COUNTED, "updated_at"])
        tell_audit("changed", locked, changed=changed)
    return locked


@transaction.atomic
def pause_endpoint(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Send nothing until it is resumed; what happens meanwhile waits. Pausing twice changes nothing."""
    return _move(endpoint, {EndpointStatus.ACTIVE}, EndpointStatus.PAUSED, "paused")


@transaction.atomic
def resume_endpoint(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Send again, what waited first. Errors: ConflictError ENDPOINT_DISABLED, which takes more than resuming."""
    return _move(endpoint, {EndpointStatus.PAUSED}, EndpointStatus.ACTIVE, "resumed")


@transaction.atomic
def enable_endpoint(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Send again after it was disabled: it starts afresh, and what is due goes out at once. Also ends a pause."""
    locked = _lock(endpoint)
    if locked.status == EndpointStatus.ACTIVE:
        return locked
    locked.status, locked.disabled_reason, locked.disabled_at = EndpointStatus.ACTIVE, "", None
    _forget_failures(locked)
    locked.save(update_fields=["status", "disabled_reason", "disabled_at", *_COUNTED, "updated_at"])
    tell_audit("enabled", locked)
    return locked


@transaction.atomic
def rotate_secret(endpoint: WebhookEndpoint, *, overlap: timedelta = OVERLAP) -> str:
    """A new signing secret, shown this once. The present one signs beside it until the overlap is over.

    Never more than two sign: one that was replaced before ends now.
    """
    locked = _lock(endpoint)
    locked.secrets.exclude(expires_at=None).delete()
    if overlap:
        locked.secrets.update(expires_at=Now() + overlap)
    else:
        locked.secrets.all().delete()
    clear = _give_secret(locked)
    tell_audit("secret_rotated", locked, overlap_seconds=int(overlap.total_seconds()))
    return clear


@transaction.atomic
def delete_endpoint(endpoint: WebhookEndpoint) -> None:
    """End it, with its deliveries and what is known of them.

    Under its lock none is made and no outcome is written; what is under way ends without being noted.
    """
    locked = _lock(endpoint)
    tell_audit("deleted", locked)
    # Straight by SQL: there may be a hundred thousand, which the ORM would load to look for what hangs on them.
    for rows in (
        DeliveryAttempt.objects.filter(delivery__endpoint_id=locked.pk),
        Delivery.objects.filter(endpoint_id=locked.pk),
    ):
        rows._raw_delete(rows.db)
    locked.delete()


def tell_audit(done: str, endpoint: WebhookEndpoint, **details: Any) -> None:
    """Note in the audit log what was done to an endpoint, e.g. `paused`. Never its address, which may hold a secret."""
    about = ("webhook_endpoint", ids.show(WebhookEndpoint.PREFIX, endpoint.pk) or "")
    audit.record(f"webhook_endpoint.{done}", workspace_id=endpoint.workspace_id, about=about, details=details)


_COUNTED = ("failures_in_row", "failing_since", "probe_at")


def _forget_failures(endpoint: WebhookEndpoint) -> None:
    """The caller saves _COUNTED."""
    endpoint.failures_in_row, endpoint.failing_since, endpoint.probe_at = 0, None, None


def _move(endpoint: WebhookEndpoint, from_: set[EndpointStatus], to: EndpointStatus, done: str) -> WebhookEndpoint:
    locked = _lock(endpoint)
    if locked.status == EndpointStatus.DISABLED:
        raise ConflictError(
            "The endpoint is disabled. Mend what it says in `disabled_reason`, then enable it.",
            code="ENDPOINT_DISABLED",
        )
    if locked.status in from_:
        locked.status = to
        if to == EndpointStatus.ACTIVE:
            _forget_failures(locked)  # what failed before a long pause must not disable it at the first failure after
        locked.save(update_fields=["status", *_COUNTED, "updated_at"])
        tell_audit(done, locked)
    return locked


def _lock(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """The row as it stands, locked. Errors: ConflictError when somebody deleted it meanwhile."""
    rows = WebhookEndpoint.objects.select_for_update(no_key=True)
    found: WebhookEndpoint | None = rows.filter(pk=endpoint.pk).first()
    if found is None:
        raise ConflictError("Somebody deleted this endpoint meanwhile.", code="ENDPOINT_DELETED")
    return found


def _give_secret(endpoint: WebhookEndpoint) -> str:
    clear = new_secret()
    secret = WebhookSecret(workspace_id=endpoint.workspace_id, endpoint=endpoint)
    seal(secret, clear)
    secret.save(force_insert=True)
    return clear


def _sorted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Lists without doubles and in one order, so that the same choice is the same value."""
    every = dict(values)
    for name in ("connection_ids", "event_types"):
        if name in every:
            found: Iterable[str | UUID] = every[name]
            every[name] = sorted(set(found))
    return every


def _check_types(types: Iterable[str]) -> None:
    for index, name in enumerate(types):
        if not is_choice_of_types(name):
            detail = f"{name[:60]!r} is no type of event; docs/guides/events.md lists them."
            raise ValidationFailedError(
                detail, errors=(FieldError(f"/event_types/{index}", "UNKNOWN_EVENT_TYPE", detail),)
            )
