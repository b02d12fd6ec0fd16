"""A tick killed while it works off what systems told: nothing is lost, and nothing is half done."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_scopes import scopes_disabled

from connections.choices import ConnectionStatus
from connections.models import Connection
from syncs.models import Sync
from syncs.services.heeding import heed_hooks
from tests.chaos import processes
from tests.tenants import make_workspace
from webhooks.models import InboundHook

pytestmark = [pytest.mark.django_db(transaction=True)]
MESSAGES = 120


@pytest.fixture
def sync(settings: Any) -> Sync:
    """Not due, with messages that make it so."""
    settings.CONNECTORS = ["tests.chaos.connector.ChaosMaintainX"]
    workspace = make_workspace()
    with scopes_disabled():
        connection = Connection(workspace=workspace, system="maintainx", name="Plant", health=ConnectionStatus.ACTIVE)
        connection.save(force_insert=True)
        later = timezone.now() + timedelta(hours=1)
        found = Sync.objects.create(
            workspace=workspace, connection=connection, entity="work_order", next_run_at=later, next_full_at=later
        )
        InboundHook.objects.bulk_create(
            InboundHook(workspace=workspace, connection=connection, body=b'{"type": "NEW_WORK_ORDER"}')
            for _ in range(MESSAGES)
        )
    return found


def is_due(sync: Sync) -> bool:
    with scopes_disabled():
        due = Sync.objects.values_list("next_run_at", flat=True).get(pk=sync.pk)
    return due is not None and due <= timezone.now()


def count(status: str) -> int:
    with scopes_disabled():
        return InboundHook.objects.filter(status=status).count()


@pytest.mark.parametrize(
    ("point", "occurrence", "done"),
    [("before", 1, 0), ("messages_done", 1, 0), ("syncs_due", 1, 0), ("before", 2, 50), ("syncs_due", 2, 50)],
)
def test_tick_when_killed_then_the_next_one_goes_on(sync: Sync, point: str, occurrence: int, done: int) -> None:
    with processes.running("-m", "tests.chaos.hook_worker", point, "SIGKILL", str(occurrence)) as killed:
        assert killed.wait(60) == -signal.SIGKILL, killed.stderr and killed.stderr.read().decode()
    assert (count("done"), count("received")) == (done, MESSAGES - done)
    assert is_due(sync) == (done > 0), "messages are done when the sync is due, or neither"

    assert heed_hooks() == MESSAGES - done
    assert count("done") == MESSAGES and is_due(sync)
