"""Child processes of one command: started, looked after, and ended by their ids, so that none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

STOP_SECONDS = 30.0  # a worker takes up to 25 to finish what it has begun
LOOK_SECONDS = 0.1
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 1.0, 30.0
STEADY_SECONDS = 30.0  # one that lived this long begins with the first pause again

Say = Callable[[str], None]


@dataclass
class Child:
    """A process to keep running. Times are monotonic seconds."""

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log: Path | None = None  # where its output goes; None: to ours
    descriptors: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started_at: float = field(default=0.0, init=False)
    restart_at: float | None = field(default=None, init=False)
    pause_seconds: float = field(default=FIRST_PAUSE_SECONDS, init=False)

    def start(self) -> None:
        """Start it in a session of its own: Ctrl-C in the terminal is for us, who then stop it in order."""
        command = [sys.executable, "-m", "console.tethered", str(os.getpid()), *self.command]
        output = self.log.open("ab") if self.log else None
        try:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output or sys.stderr,
                stderr=output or sys.stderr,
                pass_fds=self.descriptors,
                start_new_session=True,
            )
        finally:
            if output:
                output.close()
        self.started_at, self.restart_at = time.monotonic(), None

    def has_ended(self) -> bool:
        """Whether it has ended. It is not reaped here: until `reap` its id stays its own."""
        if self.process is None or self.process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.process is not None and not self.has_ended():
            self.process.send_signal(number)

    def reap(self) -> int:
        """Kill it with whatever it started, and answer how it ended, as `Popen.returncode`."""
        if self.process is None:
            return 0
        if self.process.returncode is None:
            # Not reaped, so the id is not given to another process: the group can only be ours.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()


class Processes:
    """Children in order. Leaving the block stops them; `say` is told what a person should know."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._children: list[Child] = []

    def start(self, child: Child) -> None:
        self._children.append(child)
        child.start()

    def look_after(self) -> None:
        """Start again what has ended, after a pause that grows as long as it does not stay up. Call it often."""
        for child in self._children:
            if child.restart_at is not None:
                if time.monotonic() >= child.restart_at:
                    child.start()
            elif child.has_ended():
                self._plan_restart(child)

    def pids(self) -> dict[str, int]:
        """Process id of each child that runs."""
        return {child.name: child.process.pid for child in self._children if child.process and not child.has_ended()}

    def _plan_restart(self, child: Child) -> None:
        now = time.monotonic()
        if now - child.started_at >= STEADY_SECONDS:
            child.pause_seconds = FIRST_PAUSE_SECONDS
        code, pause = child.reap(), child.pause_seconds
        child.restart_at = now + pause
        child.pause_seconds = min(pause * 2, MAX_PAUSE_SECONDS)
        self._say(f"{child.name} ended ({ending(code)}); it is started again in {pause:.0f} s.")

    def stop(self) -> None:
        """End all, the last started first: SIGTERM, time to finish, SIGKILL. A second Ctrl-C skips the waiting."""
        with _signals_noted() as noted:
            last_first = list(reversed(self._children))
            for child in last_first:
                child.tell(signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            for child in last_first:
                while not child.has_ended() and not noted and time.monotonic() < deadline:
                    time.sleep(LOOK_SECONDS)
                if not child.has_ended():
                    why = "is killed, as you asked twice" if noted else "did not stop in time and is killed"
                    self._say(f"{child.name} {why}; nothing is lost by that.")
                child.reap()
            self._children.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def ending(code: int) -> str:
    """How a process ended, in words."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


@contextmanager
def stoppable() -> Iterator[None]:
    """Within the block Ctrl-C, SIGTERM and SIGHUP end the work by KeyboardInterrupt, ignored before or not."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with _handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), interrupt):
        yield


@contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Within the block signals do not interrupt; they are found in the list."""
    noted: list[int] = []
    with _handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), lambda number, _: noted.append(number)):
        yield noted


@contextmanager
def _handled(numbers: Sequence[signal.Signals], handler: Callable[[int, object], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
