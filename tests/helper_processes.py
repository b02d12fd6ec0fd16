"""The processes that evaluate expressions, as tests look at them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flows.expressions.pool import POOL

MOST_BYTES = 256 * 1024 * 1024


def status_of(pid: int) -> dict[str, str]:
    """What Linux says of a process; empty when it is gone."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {}


def is_gone(pid: int) -> bool:
    """It has ended; somebody may still have to ask for its exit code."""
    return status_of(pid).get("State", "Z")[0] in "ZX"


def wait_until_gone(pid: int, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_gone(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


def peak_bytes(pid: int) -> int:
    """The most memory that was resident in it; 0 when it is gone."""
    return int(status_of(pid).get("VmHWM", "0 kB").split()[0]) * 1024


class Watch(threading.Thread):
    """Looks at all helpers of this process again and again; `most` is the largest of their peaks."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0
        self._halt = threading.Event()

    def run(self) -> None:
        while not self._halt.wait(0.005):
            self.look()

    def look(self) -> None:
        self.most = max([self.most, *map(peak_bytes, POOL.pids())])

    def end(self) -> None:
        self._halt.set()
        self.join()
        self.look()


@contextmanager
def watched() -> Iterator[Watch]:
    """Watch the memory of the helpers meanwhile, and end with an assertion about it."""
    watch = Watch()
    watch.start()
    try:
        yield watch
    finally:
        watch.end()
    assert 0 < watch.most < MOST_BYTES
