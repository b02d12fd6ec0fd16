"""The usual way, written well: one Celery task for each delivery.

The same Celery settings and the same rows as the engine; a session of requests kept in each process, secrets kept once
opened, the same signature, one transaction for the delivery and its attempt. What it has not is what the engine is for:
claims, fair turns, counts and probes of endpoints, which would have its tasks wait for each other.
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
from webhooks.models import Delivery, DeliveryAttempt, WebhookSecret  # noqa: E402
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
        secrets = secrets_of(delivery.endpoint_id)
        signed = sign(message_id(delivery.event_id, delivery.part), int(time.time()), body, secrets)
        headers = {"content-type": "application/json", "user-agent": "Lineshaft", **signed}
        began = time.monotonic()
        answer = session.post(delivery.endpoint.url, data=body, headers=headers, timeout=15, allow_redirects=False)
        store(delivery, answer, (time.monotonic() - began) * 1000)


@transaction.atomic
def store(delivery: Delivery, answer: requests.Response, elapsed_ms: float) -> None:
    pending = Delivery.objects.filter(pk=delivery.pk, status=DeliveryStatus.PENDING)
    if answer.ok:
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


def queue_name() -> str:
    return str(settings.REDIS_PREFIX + QUEUE)
