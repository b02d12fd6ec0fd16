"""One helper process as its parent has it. Used by one thread at a time."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flows.expressions import frames
from flows.expressions.errors import HelperUnavailableError

SECONDS = 1.0
"""For an answer, by the clock."""
START_SECONDS = 30.0
MAX_ANSWER = 1024 * 1024
_ROOT = Path(__file__).resolve().parents[2]
_COMMAND = [sys.executable, "-P", "-s", "-m", "flows.expressions.process"]
# Nothing of ours reaches it: no settings, no secrets.
_ENVIRONMENT = {
    "PATH": os.defpath,
    "PYTHONPATH": os.pathsep.join(
        dict.fromkeys([str(_ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    ),
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True)
class Answer:
    """What the helper said: `kind` is VALUES, REFUSED or OUT_OF_MEMORY of `frames`."""

    kind: int
    body: bytes


class TooSlowError(Exception):
    """No answer in time; the helper is ended. `used_seconds` of processor time went into it."""

    def __init__(self, used_seconds: float) -> None:
        super().__init__()
        self.used_seconds = used_seconds


class EndedError(Exception):
    """The helper has ended without an answer; `by` is the signal that ended it, 0 when it went by itself or nobody knows."""

    def __init__(self, by: int) -> None:
        super().__init__()
        self.by = by


class Helper:
    """A running helper process.

    `ask` gives as many answers as the request has questions; whoever takes fewer closes the helper. After TooSlowError,
    EndedError and OUT_OF_MEMORY it is closed already.
    """

    def __init__(self) -> None:
        try:
            self._process = subprocess.Popen(
                _COMMAND,
                bufsize=0,
                cwd="/",
                env=_ENVIRONMENT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise _unavailable(str(error)) from error
        assert self._process.stdin and self._process.stdout
        self.pid, self._used_seconds, self.is_open = self._process.pid, 0.0, True
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)

    def wait_until_ready(self) -> None:
        """The start is not part of anybody's time. Raises HelperUnavailableError."""
        try:
            self._read_answer(time.monotonic() + START_SECONDS)
        except (EndedError, TooSlowError) as error:
            raise _unavailable(f"{' '.join(_COMMAND)} ended or hung at its start") from error

    def ask(self, kind: int, request: bytes, count: int) -> Iterator[Answer]:
        """Send one request and yield its `count` answers, waiting SECONDS for each."""
        deadline = time.monotonic() + SECONDS
        self._send(frames.REQUEST.pack(kind, len(request)) + request, deadline)
        for _ in range(count):
            answer = self._read_answer(deadline)
            if answer.kind == frames.OUT_OF_MEMORY:
                self.close()
            yield answer
            deadline = time.monotonic() + SECONDS

    def close(self) -> int:
        """End it and reap it; the signal that ended it."""
        if not self.is_open:
            return 0
        ended_by, _ = self._end()
        return ended_by

    def kill(self) -> None:
        """From any thread. The one that uses it finds out, and closes it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def forget(self) -> None:
        """In a forked child: leave the parent's helper alone, and do not keep its input open."""
        self._process.returncode = 0
        self._hang_up()

    def _send(self, data: bytes, deadline: float) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._to, rest) :]
            except BlockingIOError:
                self._wait(self._to, select.POLLOUT, deadline)
            except BrokenPipeError as error:
                raise EndedError(self.close()) from error

    def _read_answer(self, deadline: float) -> Answer:
        kind, used_seconds, length = frames.ANSWER.unpack(self._read(frames.ANSWER.size, deadline))
        if length > MAX_ANSWER:
            raise EndedError(self.close())
        self._used_seconds = used_seconds
        return Answer(kind, self._read(length, deadline))

    def _read(self, length: int, deadline: float) -> bytes:
        pieces = []
        while length:
            try:
                piece = os.read(self._from, length)
            except BlockingIOError:
                self._wait(self._from, select.POLLIN, deadline)
                continue
            if not piece:
                raise EndedError(self.close())
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        """An answer that came while this process itself was frozen counts as in time."""
        # poll, because select takes no descriptor beyond 1023.
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            before = self._used_seconds
            _, used_seconds = self._end()
            raise TooSlowError(used_seconds - before)

    def _end(self) -> tuple[int, float]:
        """The signal that ended it (SIGKILL where it still ran), and the processor time it used in all."""
        try:
            # Of a child that is not reaped yet nobody else can have the number.
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid == 0:
                os.kill(self.pid, signal.SIGKILL)
                _, status, usage = os.wait4(self.pid, 0)
            ended_by, used_seconds = os.WTERMSIG(status), usage.ru_utime + usage.ru_stime
        except ChildProcessError:
            # Somebody who waits for all children of this process was first.
            ended_by, used_seconds = 0, float("inf")
        self._process.returncode = 0
        self._hang_up()
        return ended_by, used_seconds

    def _hang_up(self) -> None:
        self.is_open = False
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


def _unavailable(why: str) -> HelperUnavailableError:
    return HelperUnavailableError(
        "The process that evaluates expressions could not be started; look whether this machine is short of memory.",
        log_detail=why,
    )
