"""One server process: started on a free port as an unprivileged user, and never outliving its supervisor."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from config.services.accounts import Account, identity
from config.services.errors import LocalServicesError
from config.services.home import Home

START_ATTEMPTS = 5
START_SECONDS = 60.0
POLL_SECONDS = 0.02
RETRY_SECONDS = 0.3
LOG_LINES_SHOWN = 15
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)  # loaded here: between fork and exec nothing may be loaded


class Server(ABC):
    """A server of the supervisor. Subclasses say how it is started, when it is ready, and how it is stopped."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    stop_seconds: ClassVar[float]

    def __init__(self, home: Home, account: Account | None) -> None:
        self.home = home
        self.account = account
        self.port: int | None = None
        self.is_wanted = False
        self.started_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """Return the command that runs the server in the foreground on `port` of 127.0.0.1."""

    @abstractmethod
    def is_ready(self, port: int, pid: int) -> bool:
        """Tell whether our process `pid`, and not some other server, answers on `port`."""

    @abstractmethod
    def prepare(self) -> None:
        """Make what must be there before the server starts."""

    def configuration(self, port: int) -> bytes:
        """Return what the server reads from its standard input."""
        return b""

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def start(self) -> None:
        """Start and wait until it answers. The first start takes a free port, later ones the same again.

        Another process may take a port between our look and the server's bind: then a start is tried again.
        """
        self.prepare()
        for attempt in range(START_ATTEMPTS):
            if attempt:
                time.sleep(RETRY_SECONDS)  # also lets the memory of a killed predecessor go
            port = self.port or free_port()
            self._process = self._spawn(port)
            if self._wait_until_ready(port, self._process):
                self.port = port
                self.is_wanted = True
                self.started_at = time.monotonic()
                return
        raise LocalServicesError(f"{self.name} does not start. Its log, {self._log}, ends with:\n{tail(self._log)}")

    def stop(self, stop_signal: signal.Signals | None = None) -> None:
        """Stop the server and wait for its end; one that does not obey in time is killed."""
        self.is_wanted = False
        if self._process is None:
            return
        for signal_, seconds in ((stop_signal or self.stop_signal, self.stop_seconds), (signal.SIGQUIT, 5.0)):
            self._process.send_signal(signal_)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
            return
        self._process.kill()
        self._process.wait()

    @property
    def _log(self) -> Path:
        return self.home.log(self.name.lower())

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        process = spawn(self.command(port), self.account, self._log, stop_signal=self.stop_signal)
        assert process.stdin is not None
        try:
            with process.stdin as stdin:
                stdin.write(self.configuration(port))
        except BrokenPipeError:
            process.wait()  # it ended at once; its log says why
        return process

    def _wait_until_ready(self, port: int, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None:
            if self.is_ready(port, process.pid):
                return True
            if time.monotonic() > deadline:
                self.stop()
                raise LocalServicesError(
                    f"{self.name} did not answer within {START_SECONDS:.0f} s. "
                    f"Its log, {self._log}, ends with:\n{tail(self._log)}"
                )
            time.sleep(POLL_SECONDS)
        return False


def spawn(
    command: Sequence[str], account: Account | None, log: Path, *, stop_signal: signal.Signals
) -> subprocess.Popen[bytes]:
    """Start a process as `account` that gets `stop_signal` when we die, however we die. It knows no setting of ours."""
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    with log.open("ab") as output:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=environment,
                cwd="/",
                preexec_fn=_ends_with(os.getpid(), stop_signal),  # safe: the supervisor has one thread
                **identity(account),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise LocalServicesError(f"Cannot run {command[0]}: {error}.") from error


def _ends_with(parent: int, stop_signal: signal.Signals) -> Callable[[], None]:
    """Return what a new process does before exec, to be told of its parent's death.

    Changing the user clears the request, so it must come after that (Popen's `user` is done by then). A parent that
    died before the request sends nothing any more, so the parent is looked at after it. Source: prctl(2).
    """

    def arm() -> None:
        if _libc.prctl(PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0) != 0 or os.getppid() != parent:
            os._exit(126)

    return arm


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tail(log: Path) -> str:
    """Return the last lines of a log, for a message to its reader."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "(nothing was logged)"
    return "\n".join(lines[-LOG_LINES_SHOWN:]) or "(nothing was logged)"
