"""Real processes on the test's own database: started here, ended here by their pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connection as database

ROOT = Path(__file__).resolve().parents[2]


def environment() -> dict[str, str]:
    """The environment of a child: the test database, short leases."""
    at = database.settings_dict
    url = f"postgresql://{quote(at['USER'])}:{quote(at['PASSWORD'])}@{at['HOST']}:{at['PORT']}/{at['NAME']}"
    return {
        **os.environ,
        "DATABASE_URL": url,
        "REDIS_URL": settings.REDIS_URL,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONWARNINGS": "ignore",
    }


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """A Python process of ours, in a session of its own."""
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment(), start_new_session=True, stderr=subprocess.PIPE)


def worker(run_id: object, *point: str) -> subprocess.Popen[bytes]:
    """A process that executes one run, with a trap if `point` names one."""
    return start("-m", "tests.chaos.worker", str(run_id), *point)


def operation_worker(operation_id: object, *point: str) -> subprocess.Popen[bytes]:
    """The same for one operation."""
    return start("-m", "tests.chaos.operation_worker", str(operation_id), *point)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process of ours and its session, whatever state it is in."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)
    if process.stderr:
        process.stderr.close()


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = start(*arguments)
    try:
        yield process
    finally:
        end(process)


@contextmanager
def logged(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The same for one that may say much: standard output is a pipe, standard error goes to the end of `log`."""
    process = start_logged(log, *arguments, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        end(process)
        if process.stdout:
            process.stdout.close()


def start_logged(log: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """A Python process of ours, in a session of its own, that writes to the end of `log`. `env` is added to its own."""
    with log.open("ab") as file:
        options = {"stdout": file, "stderr": file, **options, "env": environment() | options.get("env", {})}
        return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, start_new_session=True, **options)


def until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Wait for a condition, looking every 20 ms; fails with `what` at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def is_stopped(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process is frozen (state T)."""
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"
