"""The platform on one machine: web, a worker for each queue, and the tick, as children of one command."""

from __future__ import annotations

import http.client
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connections

from console.management.checkup import QUEUES
from console.processes import Child, Processes, Say

HOST = "127.0.0.1"
PORTS_TRIED = 50
BACKLOG = 512
READY_SECONDS = 60.0
WORKER_CHILDREN = {"sync": 2}
_LOCK_NAME = "lineshaft: one starter a database"


@contextmanager
def listening(port: int, say: Say) -> Iterator[socket.socket]:
    """A listening socket on loopback, at `port` or the next free one, which is told.

    It is opened here and handed to the web process, so that nobody can take the port in between.
    """
    with closing(_bind(port)) as listener:
        listener.listen(BACKLOG)
        if port_of(listener) != port != 0:
            say(f"Port {port} is taken; the platform listens on {port_of(listener)} instead.")
        yield listener


def _bind(port: int) -> socket.socket:
    for candidate in range(port, min(port + PORTS_TRIED, 65536)) if port else (0,):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
        except OSError as error:
            listener.close()
            if isinstance(error, PermissionError):
                raise CommandError(f"This user may not listen on port {candidate}; give --port 8000.") from error
        else:
            return listener
    raise CommandError(f"No port from {port} on is free; choose another by --port.")


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


@contextmanager
def only_one() -> Iterator[None]:
    """Make sure that no other `run` or `demo` works on this database: their workers may have other settings.

    A session of PostgreSQL is the lock, so it ends with this process. In production any number may run.
    """
    if settings.PRODUCTION:
        yield
        return
    held = connections.create_connection("default")
    try:
        with held.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [_LOCK_NAME])
            if not cursor.fetchone()[0]:
                raise CommandError(
                    "Another `manage.py run` or `manage.py demo` works on this database. Stop it first, or set"
                    " LINESHAFT_HOME to another folder for a second installation."
                )
        yield
    finally:
        held.close()


def start_platform(
    processes: Processes, listener: socket.socket, *, environment: Mapping[str, str] | None = None, logs: Path | None
) -> str:
    """Start web, workers and tick. `logs` is a folder for their output, None for ours. Answers the web's address."""
    port = port_of(listener)
    variables = _environment(port) | dict(environment or {})
    for name, command in commands(listener.fileno()).items():
        processes.start(
            Child(
                name,
                command,
                folder=settings.BASE_DIR,
                environment=variables,
                log=logs / f"{name}.log" if logs else None,
                descriptors=(listener.fileno(),) if name == "web" else (),
            )
        )
    return f"http://{HOST}:{port}"


def commands(descriptor: int) -> dict[str, list[str]]:
    """The command of each process; `descriptor` is the web's listening socket."""
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    web = [sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn_settings", "--bind", f"fd://{descriptor}"]
    workers = {
        f"worker-{queue}": [*manage, "worker", queue, "--concurrency", str(WORKER_CHILDREN.get(queue, 1))]
        for queue in QUEUES
    }
    return {"web": [*web, "config.wsgi"], **workers, "tick": [*manage, "tick"]}


def _environment(port: int) -> dict[str, str]:
    """Ours, with what is not chosen yet."""
    defaults = {"PUBLIC_URL": f"http://{HOST}:{port}"}
    if sys.stderr.isatty():
        defaults["LOG_FORMAT"] = "console"
    return {**defaults, **os.environ, "PYTHONUNBUFFERED": "1"}


def wait_until_ready(processes: Processes, listener: socket.socket) -> None:
    """Wait for the web process to say that it can serve. CommandError when it does not come to that."""
    deadline, answer = time.monotonic() + READY_SECONDS, "no answer"
    while time.monotonic() < deadline:
        processes.look_after()
        try:
            answer = _readyz(port_of(listener))
        except (OSError, http.client.HTTPException) as error:
            answer = str(error)
        if not answer:
            return
        time.sleep(0.1)
    raise CommandError(f"The web process is not ready after {READY_SECONDS:.0f} s: {answer}")


def _readyz(port: int) -> str:
    """What is missing, empty when nothing is."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=10)) as connection:
        host = next((name for name in settings.ALLOWED_HOSTS if "*" not in name and not name.startswith(".")), HOST)
        connection.request("GET", "/readyz", headers={"Host": host})
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        return "" if answer.status == 200 else body[:500]
