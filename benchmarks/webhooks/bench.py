"""The measuring of webhooks: receivers, contestants, rounds.

Django must be set up before this module is imported, on the addresses that `benchmarks.ground` puts into the environment.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django_scopes import scopes_disabled

from benchmarks import measured
from benchmarks.ground import PROJECT, Ground
from benchmarks.processes import BenchmarkError, end_of, module, running, wait_for
from benchmarks.project import fresh_database
from benchmarks.webhooks import naive
from core import hints
from webhooks.choices import DeliveryStatus
from webhooks.models import Delivery, WebhookEndpoint
from webhooks.services.claiming import SLOTS
from webhooks.services.endpoints import create_endpoint
from webhooks.services.fanout import fan_out
from webhooks.services.hinting import QUEUE, TASK
from workspaces.choices import Environment, EventType
from workspaces.events import emit
from workspaces.models import Workspace
from workspaces.services import create_workspace

ENDPOINTS = 16
IN_FLIGHT = ENDPOINTS * SLOTS  # what the engine may have under way; the bare client has as many
LATENCY_MS = 50
TASK_SHARE = 4  # the way of one task each is slow: it sends this part of a round
TASK_CHILDREN = 2  # as many as the machine has cores, where the engine has one
ROUND_SECONDS = 180.0
IDS = [f"po_{number:032x}" for number in range(20)]


@dataclass(frozen=True)
class Round:
    """One contestant's round. From the first request's arrival to the commit of the last outcome; without a database to
    the last answer."""

    contestant: str
    number: int
    deliveries: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.deliveries / self.seconds


@dataclass(frozen=True)
class Sink:
    """A receiver in its process."""

    url: str

    def told(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/told", timeout=30) as answer:
            told: dict[str, Any] = json.load(answer)
            return told


@dataclass(frozen=True)
class Stage:
    """What rounds are run on: a workspace of its own for each receiver, with its endpoints."""

    ground: Ground
    quick: Sink
    slow: Sink
    quick_workspace: Workspace
    slow_workspace: Workspace


def measure(ground: Ground, *, deliveries: int, rounds: int) -> dict[str, Any]:
    """Run every contestant in turn, `rounds` times."""
    found: list[Round] = []
    with stage(ground) as on:
        for number in range(rounds):
            found += [
                engine_round(on, "engine", number, deliveries),
                task_round(on, number, deliveries // TASK_SHARE),
                engine_round(on, "engine_50ms", number, deliveries),
                bare_round(on, number, deliveries),
            ]
            for one in found[-4:]:
                measured.keep("webhooks", one)
                print(f"{one.contestant:12} round {number + 1}: {one.per_second:8.0f} deliveries/s", flush=True)
    result = summary(found)
    print()
    print(
        measured.table(
            ["contestant", "", "median/s"], [[name, "", f"{value:.0f}"] for name, value in speeds(found).items()]
        )
    )
    return result


def speeds(found: Sequence[Round]) -> dict[str, float]:
    """The median of each contestant's rounds, deliveries a second."""
    names = dict.fromkeys(one.contestant for one in found)
    return {name: measured.median(one.per_second for one in found if one.contestant == name) for name in names}


def summary(found: Sequence[Round]) -> dict[str, Any]:
    """What the last line tells."""
    speed = speeds(found)
    return {
        "engine_per_s": round(speed["engine"]),
        "task_per_s": round(speed["task"]),
        "ratio": round(speed["engine"] / speed["task"], 2),
        "engine_50ms_per_s": round(speed["engine_50ms"]),
        "bare_50ms_per_s": round(speed["bare_50ms"]),
        "ratio_50ms": round(speed["engine_50ms"] / speed["bare_50ms"], 2),
    }


# --- stage ------------------------------------------------------------------------------------------------------------


@contextmanager
def stage(ground: Ground) -> Iterator[Stage]:
    fresh_database(ground)
    with ExitStack() as started, scopes_disabled():
        quick = started.enter_context(sink(ground, 0))
        slow = started.enter_context(sink(ground, LATENCY_MS))
        yield Stage(
            ground, quick, slow, workspace_with_endpoints("quick", quick), workspace_with_endpoints("slow", slow)
        )


@contextmanager
def sink(ground: Ground, latency_ms: float) -> Iterator[Sink]:
    log = ground.log(f"sink-{latency_ms}")
    command = module("benchmarks.webhooks.sink", "--latency-ms", str(latency_ms))
    with running(command, log=log, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()  # ends with the process, so it never hangs
        if not port:
            raise BenchmarkError(f"The receiver does not start:\n{end_of(log)}")
        yield Sink(f"http://127.0.0.1:{int(port)}")


def workspace_with_endpoints(name: str, sink: Sink) -> Workspace:
    workspace = create_workspace(name=f"Benchmark {name}", slug=f"benchmark-{name}")
    for number in range(ENDPOINTS):
        create_endpoint(workspace=workspace, environment=Environment.TEST.value, url=f"{sink.url}/hooks/{number}")
    return workspace


def make_deliveries(workspace: Workspace, count: int) -> int:
    """Due deliveries by way of events and fan-out. Answers how many: a whole number of events for every endpoint."""
    with transaction.atomic():
        for _ in range(count // ENDPOINTS):
            data = {"entity": "purchase_order", "ids": IDS}
            emit(EventType.RECORD_UPDATED, data=data, workspace_id=workspace.pk, environment=Environment.TEST.value)
    made = 0
    while step := fan_out():
        made += step
    return made


# --- contestants ------------------------------------------------------------------------------------------------------


def engine_round(on: Stage, contestant: str, number: int, deliveries: int) -> Round:
    """The engine in a real worker with one child, woken by one hint."""
    is_quick = contestant == "engine"
    workspace, to = (on.quick_workspace, on.quick) if is_quick else (on.slow_workspace, on.slow)
    count = prepare(on, workspace, to, deliveries)
    endpoint = WebhookEndpoint.objects.filter(workspace=workspace).values_list("pk", flat=True)[0]
    if not hints.publish(TASK, endpoint, queue=QUEUE):
        raise BenchmarkError("The hint for the engine could not be published.")
    worker = [sys.executable, "manage.py", "worker", QUEUE, "--concurrency", "1"]
    return run(on, contestant, number, worker, to, count)


def task_round(on: Stage, number: int, deliveries: int) -> Round:
    """The same rows, a task published for each before the worker starts."""
    count = prepare(on, on.quick_workspace, on.quick, deliveries)
    pending = Delivery.objects.filter(status=DeliveryStatus.PENDING).order_by("event_id")
    with naive.app.producer_or_acquire() as producer:
        for pk in pending.values_list("pk", flat=True):
            naive.deliver.apply_async((str(pk),), queue=naive.queue_name(), producer=producer)
    options = ["--queues", naive.queue_name(), "--concurrency", str(TASK_CHILDREN), "--loglevel", "WARNING"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    worker = module("celery", "-A", "benchmarks.webhooks.naive", "--quiet", "worker", *options, *quiet)
    return run(on, "task", number, worker, on.quick, count)


def bare_round(on: Stage, number: int, deliveries: int) -> Round:
    """libcurl alone, with as many requests under way as the engine may have."""
    on.slow.told()
    command = module("benchmarks.webhooks.bare", f"{on.slow.url}/hooks/0", str(deliveries), str(IN_FLIGHT))
    log = on.ground.log("bare")
    with running(command, log=log) as process:
        if process.wait(ROUND_SECONDS):
            raise BenchmarkError(f"The bare client failed:\n{end_of(log)}")
    told = on.slow.told()
    return Round("bare_50ms", number, deliveries, told["last"] - told["first"])


def prepare(on: Stage, workspace: Workspace, to: Sink, deliveries: int) -> int:
    """Due deliveries and an empty broker: fan-out hints too, and the hint of one contestant is not the other's."""
    count = make_deliveries(workspace, deliveries)
    on.ground.settle(PROJECT, vacuum=True)
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        broker.flushdb()
    to.told()
    return count


def run(on: Stage, contestant: str, number: int, worker: Sequence[str], to: Sink, count: int) -> Round:
    """Start the worker and let it deliver everything."""
    log = on.ground.log(f"worker-{contestant}")
    with running(worker, log=log) as process:

        def is_done() -> bool:
            if process.poll() is not None:
                raise BenchmarkError(f"The worker of {contestant} ended:\n{end_of(log)}")
            return not Delivery.objects.filter(status=DeliveryStatus.PENDING).exists()

        wait_for(f"the deliveries of {contestant}", is_done, seconds=ROUND_SECONDS, every=0.1)
    told = to.told()
    if told["count"] != count:
        raise BenchmarkError(f"{contestant}: {count} deliveries, but {told['count']} requests came:\n{end_of(log)}")
    return Round(contestant, number, count, committed_last() - told["first"])


def committed_last() -> float:
    """When the last outcome was committed, seconds since 1970: by PostgreSQL's own note of it."""
    with database.cursor() as cursor:
        cursor.execute(
            """SELECT extract(epoch FROM max(pg_xact_commit_timestamp(xmin)))::float8
                FROM webhooks_delivery WHERE status = 'delivered'"""
        )
        return float(cursor.fetchone()[0])
