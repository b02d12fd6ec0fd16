"""Rows of a place about telling and being told: endpoints, deliveries, hooks, issues."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from connections.models import Connection
from console.models import ActivityCursor, ActivityHour
from core.ids import new_id
from syncs.models import Issue
from webhooks.models import Delivery, DeliveryAttempt, HookAddress, InboundHook, WebhookEndpoint, WebhookSecret
from workspaces.secrets import seal


def give_endpoint(word: str, connection: Connection) -> WebhookEndpoint:
    """An endpoint with its secret."""
    facts = {"workspace": connection.workspace, "environment": connection.environment}
    endpoint = WebhookEndpoint(url=f"https://{word}.example/hooks", description=f"{word} listener", **facts)
    endpoint.save(force_insert=True)
    secret = WebhookSecret(workspace=connection.workspace, endpoint=endpoint)
    seal(secret, f"{word} signs")
    secret.save(force_insert=True)
    return endpoint


def give_delivery(endpoint: WebhookEndpoint, event_id: Any) -> Delivery:
    """One that failed once and waits."""
    delivery = Delivery(
        workspace=endpoint.workspace,
        endpoint=endpoint,
        event_id=event_id,
        event_type="sync.completed",
        position=1,
        attempts=1,
    )
    delivery.save(force_insert=True)
    DeliveryAttempt(
        workspace=endpoint.workspace, delivery=delivery, number=1, status_code=500, elapsed_ms=12.5, answer=endpoint.url
    ).save(force_insert=True)
    return delivery


def give_hook(word: str, connection: Connection) -> InboundHook:
    """An address to be told at, and a message that came there."""
    address = HookAddress(workspace=connection.workspace, connection=connection, digest=new_id().bytes + new_id().bytes)
    seal(address, f"{word} signs hooks")
    address.save(force_insert=True)
    hook = InboundHook(workspace=connection.workspace, connection=connection, body=f'{{"word": "{word}"}}'.encode())
    hook.save(force_insert=True)
    return hook


def give_issue(word: str, connection: Connection) -> Issue:
    issue = Issue(
        workspace=connection.workspace,
        environment=connection.environment,
        connection=connection,
        kind="sync_overdue",
        subject="vendor",
        title=f"{word} is late",
        who_must_act="operator",
    )
    issue.save(force_insert=True)
    return issue


def give_activity(connection: Connection, starts_at: datetime) -> None:
    """An hour of the home page, and how far its feed is counted."""
    feed: dict[str, Any] = {"workspace": connection.workspace, "environment": connection.environment}
    ActivityHour(connection=connection, starts_at=starts_at, runs=3, failed_runs=1, **feed).save(force_insert=True)
    ActivityCursor.objects.get_or_create(**feed)
