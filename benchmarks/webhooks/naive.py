"""The usual way, written well: one Celery task for each delivery.

The same Celery settings and the same rows as the engine; a session of requests kept in each process, secrets kept once
opened, the same signature, one transaction with the same updates at the end. What it has not is what the engine is for:
claims, fair turns, probes.
"""

from __future__ import annotations

import time
from datetime import timedelta
from functools import lru_cache
from uuid import UUID

import django
import requests
from celery import Celery
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django_scopes import scopes_disabled

from config.celery import app as platform

django.setup()

from webhooks.choices import DeliveryStatus  # noqa: E402
from webhooks.models import Delivery, DeliveryAttempt, WebhookEndpoint, WebhookSecret  # noqa: E402
from webhooks.services.messages import message_id  # noqa: E402
from webhooks.signing import sign  # noqa: E402
from workspaces.models import Event  # noqa: E402
from workspaces.secrets import open_secret  # noqa: E402

QUEUE = "naive"
app: Celery = platform
session = requests.Session()
session.trust_env = False


@lru_cache
def secrets_of(endpoint_id: UUID) -> list[str]:
    return [open_secret(row) for row in WebhookSecret.objects.with_scopes_disabled().filter(endpoint_id=endpoint_id)]


@app.task(name="naive.deliver", ignore_result=True)
def deliver(delivery_id: str) -> None:
    """Send one delivery and write what came of it."""
    with scopes_disabled():
        delivery = Delivery.objects.select_related("endpoint").get(pk=delivery_id)
        if delivery.status != DeliveryStatus.PENDING:
            return
        body = (delivery.body or Event.objects.values_list("body", flat=True).get(pk=delivery.event_id)).encode()
        signed = sign(
            message_id(delivery.event_id, delivery.part), int(time.time()), body, secrets_of(delivery.endpoint_id)
        )
        headers = {"content-type": "application/json", "user-agent": "Lineshaft", **signed}
        began = time.monotonic()
        answer = session.post(delivery.endpoint.url, data=body, headers=headers, timeout=15, allow_redirects=False)
        store(delivery, answer, (time.monotonic() - began) * 1000)


@transaction.atomic
def store(delivery: Delivery, answer: requests.Response, elapsed_ms: float) -> None:
    is_taken = answer.ok
    pending = Delivery.objects.filter(pk=delivery.pk, status=DeliveryStatus.PENDING)
    if is_taken:
        pending.update(status=DeliveryStatus.DELIVERED, attempts=delivery.attempts + 1, delivered_at=Now(), due_at=None)
    else:
        pending.update(attempts=delivery.attempts + 1, due_at=Now() + timedelta(seconds=5))
    DeliveryAttempt.objects.create(
        workspace_id=delivery.workspace_id,
        delivery=delivery,
        number=delivery.attempts + 1,
        status_code=answer.status_code,
        elapsed_ms=elapsed_ms,
        answer=answer.text[:4096],
    )
    counted = {"last_success_at": Now(), "failures_in_row": 0} if is_taken else {"last_failure_at": Now()}
    WebhookEndpoint.objects.filter(pk=delivery.endpoint_id).update(**counted)


def queue_name() -> str:
    return str(settings.REDIS_PREFIX + QUEUE)
