"""Run a fresh copy of the seeded Tryton, for as long as somebody needs it."""

from __future__ import annotations

import json
import selectors
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import ConfigError

from . import environment

START_SECONDS = 60.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class TrytonServer:
    """A running server. `log` is its standard error; `guest_user` belongs to no group."""

    base_url: str
    database: str
    user: str
    password: str = field(repr=False)
    admin_user: str
    admin_password: str = field(repr=False)
    guest_user: str
    guest_password: str = field(repr=False)
    pid: int
    log: Path


@contextmanager
def running(port: int = 0, *, work_dir: Path | None = None) -> Iterator[TrytonServer]:
    """Serve a copy of the seeded database on loopback; `port` 0 takes a free one.

    The copy lies in `work_dir`, where one from an earlier run is used again, or in a temporary folder.
    Errors: ConfigError when the sandbox cannot be made or does not start.
    """
    python, seeded = environment.setup()
    if work_dir is None:
        with (
            tempfile.TemporaryDirectory(prefix="lineshaft-tryton-") as folder,
            _serving(python, seeded, Path(folder), port) as server,
        ):
            yield server
    else:
        work_dir.mkdir(parents=True, exist_ok=True)
        with _serving(python, seeded, work_dir.resolve(), port) as server:
            yield server


@contextmanager
def _serving(python: Path, seeded: Path, folder: Path, port: int) -> Iterator[TrytonServer]:
    if not (folder / seeded.name).exists():
        shutil.copyfile(seeded, folder / seeded.name)
    config = environment.write_config(folder)
    log = folder / "trytond.log"
    command = [str(python), "-B", str(environment.INSIDE / "serve.py"), str(config), environment.DATABASE, str(port)]
    with log.open("ab") as errors:
        # A session of its own: Ctrl-C is for us. Our end of its standard input is its lifeline, see serve.py.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    try:
        base_url = f"http://127.0.0.1:{_port_of(process, log)}"
        _wait_until_it_answers(base_url, process, log)
        yield _describe(base_url, process.pid, log)
    finally:
        _stop(process)


def _port_of(process: subprocess.Popen[bytes], log: Path) -> int:
    """Read the port that the server prints once it listens."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(START_SECONDS):
            raise _did_not_start(log)
    line = process.stdout.readline()
    if not line:
        raise _did_not_start(log)
    return int(line)


def _wait_until_it_answers(base_url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    body = json.dumps({"id": 1, "method": "common.server.version", "params": []}).encode()
    request = urllib.request.Request(f"{base_url}/rpc/", body, {"Content-Type": "application/json"})
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=START_SECONDS):
                return
        except urllib.error.URLError:
            time.sleep(0.05)
    raise _did_not_start(log)


def _did_not_start(log: Path) -> ConfigError:
    return ConfigError("The Tryton sandbox did not start.", log_detail=log.read_text(errors="replace")[-2000:])


def _describe(base_url: str, pid: int, log: Path) -> TrytonServer:
    accounts = json.loads((environment.INSIDE / "accounts.json").read_text())
    return TrytonServer(
        base_url=base_url,
        database=environment.DATABASE,
        user="lineshaft",
        password=accounts["lineshaft"]["password"],
        admin_user="admin",
        admin_password=accounts["admin"]["password"],
        guest_user="guest",
        guest_password=accounts["guest"]["password"],
        pid=pid,
        log=log,
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
