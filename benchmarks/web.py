"""The platform's web process for a benchmark, on a port of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import BenchmarkError, end_of, running, wait_for


@contextmanager
def web_process(log: Path, *, workers: int, threads: int) -> Iterator[tuple[int, int]]:
    """Gunicorn with our application; port and process id. The socket is ours, so no port is guessed."""
    gunicorn = [str(Path(sys.executable).with_name("gunicorn")), "config.wsgi:application"]
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        number = listener.fileno()
        options = ["-k", "gthread", "-w", str(workers), "--threads", str(threads), "-b", f"fd://{number}"]
        with running([*gunicorn, *options], log=log, pass_fds=[number], stdin=subprocess.DEVNULL) as process:
            port = listener.getsockname()[1]

            def answers() -> bool:
                if process.poll() is not None:
                    raise BenchmarkError(f"The web process ended:\n{end_of(log)}")
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=10):
                        return True
                except OSError:
                    return False

            wait_for("the web process", answers, seconds=60)
            yield port, process.pid
