"""Real workers and ticks, and what happens to them: killed at random, frozen longer than a lease, their hints thrown away."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import redis
from django.conf import settings

from tests.chaos import processes

Process = subprocess.Popen[bytes]
Command = tuple[str, ...]
ACTS = {"kill_worker": 4, "kill_child": 5, "freeze": 2, "kill_tick": 1}
# Each kind early once, so that a short run has met all of them.
FIRST = ("kill_child", "freeze", "kill_worker", "kill_tick", "kill_child")
MOST_GIVEN_UP = 5


class Havoc(threading.Thread):
    """Starts workers and ticks at once and keeps them running; from `start` on one of them comes to harm again and again,
    until `calm`. `counts` says how often what was done. Everything is ended by its process id."""

    def __init__(
        self,
        log: Path,
        *,
        workers: Sequence[Command],
        ticks: Sequence[Command],
        seed: int,
        gap_seconds: tuple[float, float],
        freeze_seconds: float,
        env: Mapping[str, str],
    ) -> None:
        super().__init__(daemon=True)
        self.log, self.chance, self.env = log, random.Random(seed), dict(env)
        self.gap_seconds, self.freeze_seconds = gap_seconds, freeze_seconds
        self.counts: Counter[str] = Counter()
        self.broken: BaseException | None = None
        self._frozen: list[tuple[float, Process]] = []
        self._halt = threading.Event()
        self._first = list(FIRST)
        self._commands: dict[int, Command] = {}
        self.workers = [self._start(command) for command in workers]
        self.ticks = [self._start(command) for command in ticks]

    @property
    def kills(self) -> int:
        """Of workers and of the processes in which their tasks run."""
        return self.counts["kill_worker"] + self.counts["kill_child"]

    def run(self) -> None:
        try:
            while not self._halt.wait(self.chance.uniform(*self.gap_seconds)):
                self._thaw(time.monotonic())
                self._look()
                act = self._first.pop(0) if self._first else self.chance.choices(list(ACTS), list(ACTS.values()))[0]
                getattr(self, f"_{act}")()
        except BaseException as error:
            self.broken = error

    def calm(self) -> None:
        """No more harm; what was frozen goes on."""
        self._halt.set()
        self.join(30)
        self._thaw(float("inf"))
        self._look()

    def end(self) -> None:
        """End every process."""
        self._halt.set()
        if self.is_alive():
            self.join(30)
        for process in (*self.workers, *self.ticks):
            processes.end(process)

    def empty_broker(self) -> None:
        """Every hint is lost. Done when told, not at random: a hint that is lost may cost its row a minute."""
        redis.Redis.from_url(settings.REDIS_URL).flushall()
        self.counts["empty_broker"] += 1

    def _start(self, command: Command) -> Process:
        process = processes.start_logged(self.log, *command, env=self.env)
        self._commands[process.pid] = command
        return process

    def _look(self) -> None:
        """Start again what ended by itself, as whoever runs it does: Celery gives up when its children die at birth."""
        for kind in (self.workers, self.ticks):
            for place, process in enumerate(kind):
                if process.poll() is not None:
                    self.counts["gave_up"] += 1
                    kind[place] = self._start(self._commands[process.pid])
        if self.counts["gave_up"] > MOST_GIVEN_UP:
            raise AssertionError(f"processes do not stay; {self.log} says why")

    # --- the harm -------------------------------------------------------------------------------------------------

    def _kill_worker(self) -> None:
        """The whole worker, its children included."""
        self._replace(self.workers)
        self.counts["kill_worker"] += 1

    def _kill_tick(self) -> None:
        self._replace(self.ticks)
        self.counts["kill_tick"] += 1

    def _kill_child(self) -> None:
        """A process in which tasks run; its worker finds out and starts another."""
        children = [child for worker in self.workers for child in children_of(worker.pid)]
        if children:
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(children), signal.SIGKILL)
                self.counts["kill_child"] += 1

    def _freeze(self) -> None:
        """A whole worker, longer than its leases last."""
        victim = self.chance.choice(self.workers)
        with suppress(ProcessLookupError):
            os.killpg(victim.pid, signal.SIGSTOP)
            self._frozen.append((time.monotonic() + self.freeze_seconds, victim))
            self.counts["freeze"] += 1

    def _thaw(self, at: float) -> None:
        for until, process in list(self._frozen):
            if at >= until:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGCONT)
                self._frozen.remove((until, process))

    def _replace(self, kind: list[Process]) -> None:
        victim = self.chance.choice(kind)
        processes.end(victim)
        self._frozen = [one for one in self._frozen if one[1] is not victim]
        kind[kind.index(victim)] = self._start(self._commands[victim.pid])


def children_of(pid: int) -> list[int]:
    """The living children of a process."""
    with suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
