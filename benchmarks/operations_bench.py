"""The measuring of writes: servers, client, and what one write's time was spent on.

Django must be set up before this module is imported, on the addresses that `benchmarks.ground` puts into the environment.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from django.db import connections as databases
from django_scopes import scope

from benchmarks import measured
from benchmarks.ground import Ground
from benchmarks.operations_connector import BenchMaintainX
from benchmarks.processes import BenchmarkError, end_of, module, running, wait_for
from benchmarks.project import fresh_database
from connections.choices import ConnectionStatus
from connections.models import Connection, Credential, UpstreamCall
from core import ids
from core.keys import default_ring
from syncs.choices import ACTIVE, UNFINISHED, Mode, Trigger
from syncs.models import Operation, Record, Sync, SyncRun
from syncs.services import ensure_syncs, request_run, update_sync
from workspaces.choices import Scope
from workspaces.services import create_workspace
from workspaces.tokens import create_token

ENTITY, PATH, AT_ONCE = "work_order", "/api/v1/work-orders", 4
LONGEST_WRITE_SECONDS = 120.0
CREATES = 4  # every so many writes is a create
WARM_UP = 80  # every child and every thread has done some
READY_SECONDS, COPIED_BEFORE = 60.0, 2_000


@dataclass(frozen=True)
class Upstream:
    """The simulator in its process."""

    origin: str
    prefix: str
    api_key: str

    def timings(self) -> list[tuple[str, str, str | None, float, float]]:
        with urllib.request.urlopen(f"{self.origin}/_timings", timeout=30) as answer:
            return [tuple(row) for row in json.load(answer)]


@dataclass(frozen=True)
class Sent:
    """One write as its client saw it. Times are seconds since 1970."""

    kind: str
    at_once: int
    title: str
    remote_id: str
    operation_id: UUID
    began: float
    ended: float
    answered_late: bool  # 202: no place to wait was free


@dataclass(frozen=True)
class Written:
    """Where the time of one write went, milliseconds. `overhead`: `seen` less `upstream`, the system's own record."""

    kind: str
    at_once: int
    seen: float
    upstream: float
    overhead: float
    calls: float  # the same calls as our door timed them
    before: float  # from the client to the stored operation
    pickup: float  # until the worker's first call
    between: float  # between the calls: planning, intent, answer stored
    finishing: float  # from the last call to the stored outcome
    answer: float  # until the client had it


@dataclass(frozen=True)
class Result:
    """What the last line tells: overhead of writes sent one at a time and four at once, and what the sync read meanwhile.

    Four at once share two cores with the sync, the system and the client here; the bar is about the single ones.
    """

    p50_ms: float
    p95_ms: float
    four_p50_ms: float
    four_p95_ms: float
    operations: int
    sync_records_during: int


def measure(ground: Ground, *, records: int, writes: int, latency_ms: float) -> dict[str, Any]:
    """Start everything, write while a sync of `records` runs, and stop everything."""
    fresh_database(ground)
    with ExitStack() as started:
        upstream = started.enter_context(_upstream(ground, records, latency_ms))
        connection, sync = _connect(upstream)
        token = _token(connection)
        port = started.enter_context(_web(ground))
        for name, command in _commands().items():
            started.enter_context(running(manage(command), log=ground.log(name)))
        keeper = started.enter_context(_syncing(sync))
        wait_for("the first records", lambda: keeper.read_count() >= COPIED_BEFORE, seconds=READY_SECONDS)
        client = Client(port, token, _targets(connection, writes + WARM_UP))
        client.send(WARM_UP, at_once=AT_ONCE)
        read_before = keeper.read_count()
        sent = client.send(writes // 2, at_once=1) + client.send(writes - writes // 2, at_once=AT_ONCE)
        read_during = keeper.read_count() - read_before
        found = _written(connection, sent, upstream.timings())
    print(report(found), flush=True)
    late = sum(one.answered_late for one in sent)
    print(f"\n{late} of {len(sent)} were answered 202, as no place to wait was free, and asked for again.")
    one, four = ([each.overhead for each in found if each.at_once == at_once] for at_once in (1, AT_ONCE))
    result = Result(
        p50_ms=round(percentile(one, 50), 1),
        p95_ms=round(percentile(one, 95), 1),
        four_p50_ms=round(percentile(four, 50), 1),
        four_p95_ms=round(percentile(four, 95), 1),
        operations=len(found),
        sync_records_during=read_during,
    )
    measured.keep("operations", result)
    return asdict(result)


# --- servers ----------------------------------------------------------------------------------------------------------


@contextmanager
def _upstream(ground: Ground, records: int, latency_ms: float) -> Iterator[Upstream]:
    log = ground.log("simulator")
    command = module("benchmarks.operations_upstream", "--records", str(records), "--latency-ms", str(latency_ms))
    with running(command, log=log, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()  # ends with the process, so it never hangs
        if not line:
            raise BenchmarkError(f"The simulator does not start:\n{end_of(log)}")
        yield Upstream(**json.loads(line))


@contextmanager
def _web(ground: Ground) -> Iterator[int]:
    """The web process as `manage.py run` starts it; its port. The socket is ours, so no port is guessed."""
    log = ground.log("web")
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        number, port = listener.fileno(), listener.getsockname()[1]
        options = ["-c", "python:config.gunicorn_settings", "--bind", f"fd://{number}", "config.wsgi"]
        environment = {"LINESHAFT_PROCESS": "web"}
        with running(module("gunicorn", *options), log=log, pass_fds=[number], environment=environment) as process:

            def is_ready() -> bool:
                if process.poll() is not None:
                    raise BenchmarkError(f"The web process ended:\n{end_of(log)}")
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=10):
                        return True
                except OSError:
                    return False

            wait_for("the web process", is_ready, seconds=READY_SECONDS)
            yield port


def _commands() -> dict[str, list[str]]:
    return {
        "worker-sync": ["worker", "sync", "--concurrency", "1"],
        "worker-operations": ["worker", "operations", "--concurrency", str(AT_ONCE)],
        "tick": ["tick"],
    }


def manage(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "manage.py", *arguments]


def _connect(upstream: Upstream) -> tuple[Connection, Sync]:
    """A workspace with an active connection; of its syncs only that of the work orders runs, over their whole history."""
    workspace = create_workspace(name="Benchmark", slug="benchmark")
    with scope(workspace=workspace.pk):
        connection = Connection(
            workspace=workspace,
            system=BenchMaintainX.slug,
            name="Simulated plant",
            config={"base_url": upstream.origin + upstream.prefix},
            health=ConnectionStatus.ACTIVE,
        )
        connection.save(force_insert=True)
        credential = Credential(workspace=workspace, connection=connection, name="api_key")
        credential.ciphertext = default_ring().encrypt(upstream.api_key, bound_to=credential.bound_to)
        credential.save(force_insert=True)
        syncs = {sync.entity: sync for sync in ensure_syncs(connection)}
        Sync.objects.filter(connection=connection).exclude(entity=ENTITY).update(paused=True)
        return connection, update_sync(syncs[ENTITY], history_days=None)


def _token(connection: Connection) -> str:
    with scope(workspace=connection.workspace_id):
        _, clear = create_token(
            workspace=connection.workspace,
            name="Benchmark",
            scopes=[Scope.RECORDS_READ, Scope.RECORDS_WRITE],
            environment=connection.environment,
            connection_id=connection.pk,
        )
    return clear


# --- the sync that runs meanwhile -------------------------------------------------------------------------------------


class Keeper(threading.Thread):
    """Has a run of the sync under way at all times: a full one follows when one ends."""

    def __init__(self, sync: Sync) -> None:
        super().__init__(daemon=True)
        self.sync, self.halt = sync, threading.Event()

    def run(self) -> None:
        mode = Mode.INITIAL
        try:
            with scope(workspace=self.sync.workspace_id):
                while not self.halt.is_set():
                    if not SyncRun.objects.filter(sync=self.sync, status__in=ACTIVE).exists():
                        self.sync.refresh_from_db()
                        request_run(self.sync, mode, trigger=Trigger.COMMAND, by="benchmark")
                        mode = Mode.FULL
                    self.halt.wait(0.2)
        finally:
            databases.close_all()

    def read_count(self) -> int:
        """Records read by all runs so far."""
        with scope(workspace=self.sync.workspace_id):
            runs = SyncRun.objects.filter(sync=self.sync)
            failed = runs.filter(status="failed").values_list("error", flat=True).first()
            if failed is not None:
                raise BenchmarkError(f"The sync failed: {failed}")
            return sum(runs.values_list("read_count", flat=True))


@contextmanager
def _syncing(sync: Sync) -> Iterator[Keeper]:
    keeper = Keeper(sync)
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.halt.set()
        keeper.join(10)


# --- the client -------------------------------------------------------------------------------------------------------


def _targets(connection: Connection, count: int) -> list[tuple[str, str]]:
    """(id, remote id) of records that are copied already; each is written once."""
    with scope(workspace=connection.workspace_id):
        records = Record.objects.filter(connection=connection, entity=ENTITY).order_by("written_at")
        found = records.values_list("pk", "remote_id")[:count]
        return [(str(ids.show("wo", pk)), remote_id) for pk, remote_id in found]


class Client:
    """Writes, with a kept connection for each of its threads."""

    def __init__(self, port: int, token: str, targets: list[tuple[str, str]]) -> None:
        self.port, self.token, self.targets = port, token, targets
        self._local = threading.local()
        self._numbers = iter(range(1_000_000))

    def send(self, count: int, *, at_once: int) -> list[Sent]:
        """`count` writes, `at_once` of them at a time."""
        work = []
        for number in range(count):
            is_create = number % CREATES == CREATES - 1
            work.append((f"Bench {next(self._numbers)}", None if is_create else self.targets.pop()))
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(lambda one: self._write(one[0], one[1], at_once), work))

    def _write(self, title: str, target: tuple[str, str] | None, at_once: int) -> Sent:
        method, path = ("PATCH", f"{PATH}/{target[0]}") if target else ("POST", PATH)
        began = time.time()
        status, body, shown_id = self._ask(method, path, {"title": title})
        operation_id = ids.read("op", shown_id)
        if operation_id is None:
            raise BenchmarkError(f"{method} {path} answers {status}: {body}")
        late, operation = status == 202, body["operation"]
        while operation["status"] in UNFINISHED:
            if time.time() > began + LONGEST_WRITE_SECONDS:
                raise BenchmarkError(f"{shown_id} is {operation['status']} after {LONGEST_WRITE_SECONDS:.0f} s.")
            time.sleep(0.02)  # a service that was told 202 asks again
            _, operation, _ = self._ask("GET", f"/api/v1/operations/{shown_id}")
        ended = time.time()
        if operation["status"] != "succeeded":
            raise BenchmarkError(f"{method} {path} answers {status}: {body}")
        return Sent(method, at_once, title, target[1] if target else "", operation_id, began, ended, late)

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any, str]:
        if not hasattr(self._local, "http"):
            self._local.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Prefer": "wait=30", "Content-Type": "application/json"}
        self._local.http.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._local.http.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None, answer.headers.get("X-Operation-Id", "")


# --- what it tells ----------------------------------------------------------------------------------------------------


def _written(
    connection: Connection, sent: Sequence[Sent], timings: Sequence[tuple[str, str, str | None, float, float]]
) -> list[Written]:
    """The clients' times beside the system's and our own rows."""
    with scope(workspace=connection.workspace_id):
        rows = {row.pk: row for row in Operation.objects.filter(pk__in=[one.operation_id for one in sent])}
        calls: dict[UUID, list[UpstreamCall]] = {pk: [] for pk in rows}
        for call in UpstreamCall.objects.filter(operation_id__in=rows).order_by("position"):
            calls[call.operation_id].append(call)  # type: ignore[index]
    return [_one(one, rows[one.operation_id], calls[one.operation_id], timings) for one in sent]


def _one(
    sent: Sent,
    row: Operation,
    calls: list[UpstreamCall],
    timings: Sequence[tuple[str, str, str | None, float, float]],
) -> Written:
    about = f"/workorders/{row.remote_id}"
    mine = [
        ended - began
        for method, path, title, began, ended in timings
        if sent.began <= began and ended <= sent.ended + 0.005
        if about in path or (method == "POST" and title == sent.title)
    ]
    expected = 3 if sent.kind == "PATCH" else 2
    if row.status != "succeeded" or len(mine) != expected or len(calls) != expected or row.done_at is None:
        raise BenchmarkError(f"{sent.kind} {row.pk} {row.status}: {len(mine)} of {expected} calls, {row.error}")
    starts = [call.started_at.timestamp() for call in calls]
    ends = [start + call.elapsed_ms / 1000 for start, call in zip(starts, calls, strict=True)]
    made, done = row.created_at.timestamp(), row.done_at.timestamp()
    seconds = {
        "seen": sent.ended - sent.began,
        "upstream": sum(mine),
        "overhead": sent.ended - sent.began - sum(mine),
        "calls": sum(call.elapsed_ms for call in calls) / 1000,
        "before": made - sent.began,
        "pickup": starts[0] - made,
        "between": sum(start - end for start, end in zip(starts[1:], ends[:-1], strict=True)),
        "finishing": done - ends[-1],
        "answer": sent.ended - done,
    }
    return Written(sent.kind, sent.at_once, **{name: value * 1000 for name, value in seconds.items()})


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * int(percent) // 100) - 1))]


def report(found: Sequence[Written]) -> str:
    """Medians and p95 of every part, by kind and by how many were sent at once."""
    names = list(asdict(found[0]))[2:]
    rows = []
    for at_once in (1, AT_ONCE):
        for kind in ("PATCH", "POST"):
            group = [one for one in found if (one.kind, one.at_once) == (kind, at_once)]
            for label, percent in (("p50", 50), ("p95", 95)):
                values = [f"{percentile([getattr(one, name) for one in group], percent):.1f}" for name in names]
                rows.append([f"{kind} x{at_once}, {len(group)}", label, *values])
    return measured.table(["write", "ms", *names], rows)
