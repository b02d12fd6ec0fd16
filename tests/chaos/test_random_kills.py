"""Real Celery workers and tickers, killed at random while two connections sync; Redis emptied in between."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.db import connections as databases
from django_scopes import scopes_disabled

from syncs.choices import ACTIVE, SyncState
from syncs.models import SyncRun
from syncs.services import sync_status
from tests.chaos import processes
from tests.connectors import TestErpServer, connect, erp_server  # noqa: F401
from tests.syncing import copy_of, events_of, record_events, sync_of
from workspaces.models import Workspace

pytestmark = pytest.mark.django_db(transaction=True)
ORDERS, KILLS, LIMIT_SECONDS = 400, 8, 90


@pytest.fixture
def chaos_connector(settings: Any) -> None:
    settings.CONNECTORS = ["tests.chaos.connector.ChaosErp"]


def start_worker() -> subprocess.Popen[bytes]:
    queue = django_settings.REDIS_PREFIX + "sync"
    return processes.start("-m", "celery", "-A", "config", "worker", "-Q", queue, "-c", "2", "-l", "ERROR")


def start_tick() -> subprocess.Popen[bytes]:
    return processes.start("manage.py", "tick", "--interval", "0.1")


class Watcher(threading.Thread):
    """Asks for the sync status again and again while things die, and keeps what would be a lie."""

    def __init__(self, connection: Any) -> None:
        super().__init__(daemon=True)
        self.connection, self.halt = connection, threading.Event()
        self.lies: list[str] = []
        self.asked = 0

    def run(self) -> None:
        try:
            with scopes_disabled():
                while not self.halt.wait(0.05):
                    self.look()
        finally:
            databases.close_all()

    def look(self) -> None:
        (status,) = sync_status([self.connection])
        self.asked += 1
        for entity in status.entities:
            with_data = entity.last_successful_sync_at is not None
            if entity.status == SyncState.COMPLETED and not with_data:
                self.lies.append(f"{entity.entity} completed without a success")
            if entity.progress and entity.progress["done"] > ORDERS:
                self.lies.append(f"{entity.entity} read {entity.progress['done']} of {ORDERS}")


def test_syncs_when_workers_die_and_redis_is_emptied_then_nothing_is_lost_doubled_or_misnumbered(
    chaos_connector: None,
    erp_server: TestErpServer,
) -> None:
    erp_server.page_size = 10
    erp_server.add_orders(ORDERS)
    workspace = Workspace(name="Acme", slug="acme-chaos")
    workspace.save(force_insert=True)
    syncs = [sync_of(connect(erp_server, workspace=workspace, page_size=10, name=f"Plant {n}")) for n in (1, 2)]
    watcher = Watcher(syncs[0].connection)
    watcher.start()
    broker = redis.Redis.from_url(django_settings.REDIS_URL)
    chance = random.Random(20261124)
    worker, tick, kills = start_worker(), start_tick(), 0
    slow_down(erp_server)
    try:
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline and not _done(syncs):
            watcher.halt.wait(chance.uniform(0.6, 1.6))
            if kills < KILLS and SyncRun.objects.with_scopes_disabled().filter(status="running").exists():
                victim = worker if kills % 4 != 3 else tick
                os.killpg(victim.pid, signal.SIGKILL)
                processes.end(victim)
                kills += 1
                if kills == KILLS // 2:
                    broker.flushall()
                worker, tick = (start_worker(), tick) if victim is worker else (worker, start_tick())
    finally:
        watcher.halt.set()
        processes.end(worker)
        processes.end(tick)
        watcher.join(10)
    assert _done(syncs), _states()
    assert kills >= 3 and watcher.asked > 20 and not watcher.lies
    for sync in syncs:
        _check(sync)
    positions = [event["position"] for event in events_of(syncs[0])]
    assert positions == list(range(1, len(positions) + 1))


def _states() -> list[Any]:
    with scopes_disabled():
        shown = ("entity", "status", "page_no", "fence", "claims_without_progress", "due_at", "lease_until", "error")
        return list(SyncRun.objects.values_list(*(f"sync__{n}" if n == "entity" else n for n in shown)))


def slow_down(server: TestErpServer) -> None:
    """Thirty milliseconds an answer, so that there is something to interrupt."""
    original = server.answer

    def answer(call: Any) -> Any:
        threading.Event().wait(0.03)
        return original(call)

    server.answer = answer  # type: ignore[method-assign]


def _done(syncs: list[Any]) -> bool:
    with scopes_disabled():
        runs = SyncRun.objects.filter(sync__in=syncs)
        return (
            runs.filter(status="completed").values("sync").distinct().count() == len(syncs)
            and not runs.filter(status__in=ACTIVE).exists()
        )


def _check(sync: Any) -> None:
    assert len(copy_of(sync).live) == ORDERS
    mine = record_events(sync)
    assert set(mine.values()) == {1}, "an event was doubled"
    assert len(mine) == 2 * ORDERS  # the workspace's feed holds both connections
