"""Starting and stopping the processes of a benchmark by their ids, and what /proc says of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 30.0
SNAPSHOTS = 5


class BenchmarkError(Exception):
    """Something did not run, or did the wrong thing: no number is told."""


@contextmanager
def running(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command from the checkout until the block ends; what it says goes to `log`."""
    with log.open("ab") as output:
        options = {"stdout": output, "stderr": output, **options}
        process = subprocess.Popen(
            list(command), cwd=CHECKOUT, env={**os.environ, **(environment or {})}, start_new_session=True, **options
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and kill it when it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs one of our modules with this interpreter."""
    return [sys.executable, "-m", name, *arguments]


def end_of(log: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


def children(pid: int) -> list[int]:
    """The living children of a process."""
    return [child for child, (parent, _, _) in _processes().items() if parent == pid]


def cpu_seconds(pid: int) -> float:
    """CPU a process has used itself."""
    found = _stat(pid)
    if found is None:
        raise BenchmarkError(f"Process {pid} has ended.")
    return found[1]


def tree_cpu_seconds(root: int) -> float:
    """CPU of a process, its living descendants, and those they have waited for.

    A process that ends while /proc is read would count twice or not at all: read again until none did.
    """
    found = _tree(root)
    for _ in range(SNAPSHOTS):
        again = _tree(root)
        if again.keys() == found.keys() and all(again[pid][2] == found[pid][2] for pid in found):
            break
        found = again
    return sum(own + waited_for for _, own, waited_for in found.values())


def forget_peak(pid: int) -> None:
    """Let the process's peak of resident memory begin anew at what it has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def wait_for(what: str, ready: Any, *, seconds: float, every: float = 0.05) -> Any:
    """The first true answer of `ready()`. BenchmarkError when none comes in time."""
    deadline = time.monotonic() + seconds
    while not (found := ready()):
        if time.monotonic() > deadline:
            raise BenchmarkError(f"Waited {seconds:.0f} s in vain for {what}.")
        time.sleep(every)
    return found


def _tree(root: int) -> dict[int, tuple[int, float, float]]:
    processes = _processes()
    found, todo = {}, [root]
    while todo:
        pid = todo.pop()
        if pid in processes:
            found[pid] = processes[pid]
        todo += [child for child, (parent, _, _) in processes.items() if parent == pid]
    return found


def _processes() -> dict[int, tuple[int, float, float]]:
    found = {int(name): _stat(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    return {pid: stat for pid, stat in found.items() if stat is not None}


def _stat(pid: int) -> tuple[int, float, float] | None:
    """(parent, own CPU seconds, CPU seconds of the children it waited for); None once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    user, system, child_user, child_system = (int(field) / TICKS_PER_SECOND for field in fields[11:15])
    return int(fields[1]), user + system, child_user + child_system
