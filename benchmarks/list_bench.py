"""Listing: pages of 100 records of the real API beside a plain ModelSerializer, same server, same token, same database."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote

from django_scopes import scope

from benchmarks import measured
from benchmarks.ground import PROJECT, Ground
from benchmarks.measured import median
from benchmarks.plain_records import fill
from benchmarks.processes import BenchmarkError, tree_cpu_seconds
from benchmarks.project import execute, fresh_database, make_customer, worker
from benchmarks.web import web_process
from connections.models import Connection
from syncs.choices import Mode
from workspaces.choices import Scope
from workspaces.tokens import create_token

REAL, PLAIN = "/api/v1/purchase-orders", "/api/v1/plain-orders"
NAMES = {REAL: "project", PLAIN: "plain-drf"}
NEXT = {REAL: "cursor", PLAIN: "after"}
PAGE, PAGES, CONNECTIONS, WORKERS, THREADS = 100, 20, 8, 2, 4
WARM_UP_SECONDS = 1.0


@dataclass(frozen=True)
class Listed:
    """One round of one contestant."""

    contestant: str
    round: int
    requests_per_second: float
    cpu_ms: float  # of the web processes, a request
    postgres_cpu_ms: float
    p50_ms: float
    p99_ms: float
    kilobytes: float


def measure(ground: Ground, *, rounds: int, seconds: float) -> list[Listed]:
    """Fill both tables, then ask for pages in turns."""
    ground.upstream("/reset")
    fresh_database(ground)
    customer = make_customer(ground)
    with worker(ground):
        execute(customer, Mode.INITIAL)
    with scope(workspace=customer.connection.workspace_id):
        fill(customer.connection)
    ground.settle(PROJECT, vacuum=True)
    token = _token(customer.connection)
    results = []
    with web_process(ground.log("web"), workers=WORKERS, threads=THREADS) as (port, pid):
        pages = {path: _pages(port, token, path) for path in (REAL, PLAIN)}
        for path in pages:
            _load(port, token, pages[path], WARM_UP_SECONDS)
        for number in range(rounds):
            for path in (PLAIN, REAL):
                result = _round(ground, number, port, pid, token, path, pages[path], seconds)
                print(
                    f"{number + 1}  {result.contestant:<13} list         {result.requests_per_second:8.0f} requests/s"
                )
                measured.keep("list", result)
                results.append(result)
    return results


def ratio(results: Sequence[Listed]) -> float | None:
    """Requests a second of the real API as a multiple of the plain one's. None when it was not measured."""
    if not results:
        return None
    real, plain = (
        median(result.requests_per_second for result in results if result.contestant == NAMES[path])
        for path in (REAL, PLAIN)
    )
    return real / plain


def report(results: Sequence[Listed]) -> str:
    """Medians of both."""
    heads = ["list of 100", "contestant", "requests/s", "CPU ms", "PG CPU ms", "p50 ms", "p99 ms", "kB"]
    columns = ("requests_per_second", "cpu_ms", "postgres_cpu_ms", "p50_ms", "p99_ms", "kilobytes")
    rows = []
    for name in NAMES.values():
        group = [result for result in results if result.contestant == name]
        rows.append(["", name, *(f"{median(getattr(result, column) for result in group):.1f}" for column in columns)])
    return measured.table(heads, rows)


def _token(connection: Connection) -> str:
    with scope(workspace=connection.workspace_id):
        _, clear = create_token(
            workspace=connection.workspace,
            name="Benchmark",
            scopes=[Scope.RECORDS_READ],
            environment=connection.environment,
            connection_id=connection.pk,
        )
    return clear


def _pages(port: int, token: str, path: str) -> list[str]:
    """The addresses of the first pages, walked once; each must show a full page of records."""
    found: list[str] = []
    target = f"{path}?limit={PAGE}"
    while len(found) < PAGES:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{target}", headers=_headers(token))
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                body = json.load(answer)
        except urllib.error.HTTPError as error:
            raise BenchmarkError(f"{target} answers {error.code}: {error.read(500)!r}") from error
        if len(body["data"]) != PAGE:
            raise BenchmarkError(f"{target} shows {len(body['data'])} records instead of {PAGE}.")
        found.append(target)
        if body["next_cursor"] is None:
            break
        target = f"{path}?limit={PAGE}&{NEXT[path]}={quote(str(body['next_cursor']))}"
    return found


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Host": "127.0.0.1"}


def _round(
    ground: Ground, number: int, port: int, pid: int, token: str, path: str, pages: list[str], seconds: float
) -> Listed:
    cpu, postgres = tree_cpu_seconds(pid), ground.postgres_cpu_seconds()
    began = time.perf_counter()
    times, size = _load(port, token, pages, seconds)
    elapsed, count = time.perf_counter() - began, len(times)
    times.sort()
    return Listed(
        contestant=NAMES[path],
        round=number,
        requests_per_second=count / elapsed,
        cpu_ms=(tree_cpu_seconds(pid) - cpu) / count * 1000,
        postgres_cpu_ms=(ground.postgres_cpu_seconds() - postgres) / count * 1000,
        p50_ms=times[count // 2] * 1000,
        p99_ms=times[count * 99 // 100] * 1000,
        kilobytes=size / count / 1000,
    )


def _load(port: int, token: str, pages: list[str], seconds: float) -> tuple[list[float], int]:
    """Ask over 8 kept connections, one request in flight on each; (seconds of each request, bytes of all bodies).

    Threads on bare sockets: what the client costs is taken from the servers it shares the machine with.
    """
    head = "".join(f"{name}: {value}\r\n" for name, value in _headers(token).items())
    requests = [f"GET {target} HTTP/1.1\r\n{head}\r\n".encode() for target in pages]
    until = time.perf_counter() + seconds
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        turned = [requests[start:] + requests[:start] for start in range(CONNECTIONS)]
        found = list(pool.map(lambda mine: _client(port, mine, until), turned))
    return [taken for times, _ in found for taken in times], sum(size for _, size in found)


def _client(port: int, requests: list[bytes], until: float) -> tuple[list[float], int]:
    times: list[float] = []
    size, buffer = 0, memoryview(bytearray(2**20))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        while (began := time.perf_counter()) < until:
            connection.sendall(requests[len(times) % len(requests)])
            size += _read_answer(connection, buffer)
            times.append(time.perf_counter() - began)
    return times, size


def _read_answer(connection: socket.socket, buffer: memoryview) -> int:
    """Read one answer, which must be 200 with a Content-Length; answers the size of its body."""
    received, end = 0, -1
    while end < 0:
        received += _receive(connection, buffer[received:])
        head = bytes(buffer[: min(received, 4096)])
        end = head.find(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise BenchmarkError(f"A list answered {head[:60]!r}.")
    _, _, rest = head[:end].lower().partition(b"\r\ncontent-length:")
    length = int(rest.partition(b"\r\n")[0])
    left = end + 4 + length - received
    while left > 0:
        left -= _receive(connection, buffer[:left])
    return length


def _receive(connection: socket.socket, buffer: memoryview) -> int:
    count = connection.recv_into(buffer)
    if count == 0:
        raise BenchmarkError("The web process closed a connection within an answer.")
    return count
