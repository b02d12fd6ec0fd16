"""Real workers and ticks, and what happens to them: killed, frozen longer than a lease, their hints thrown away."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import redis
from django.conf import settings

from tests.chaos import processes

Process = subprocess.Popen[bytes]
ACTS = {"kill_worker": 4, "kill_child": 5, "freeze": 2, "kill_tick": 1}
MOST_GIVEN_UP = 5
# A lease lasts one call of three seconds and this.
ENVIRONMENT = {"CHAOS_LEASE_MARGIN_SECONDS": "2", "LOG_LEVEL": "WARNING"}
WORKER = ("manage.py", "worker", "operations", "--concurrency", "2")


class Havoc(threading.Thread):
    """Starts `workers` and `ticks` at once and keeps so many running; from `run` on one of them comes to harm again and
    again, until `stop`. `counts` says how often what was done. Everything is ended by its process id."""

    def __init__(
        self, log: Path, *, seed: int, gap_seconds: tuple[float, float], freeze_seconds: float, tick: tuple[str, ...]
    ) -> None:
        super().__init__(daemon=True)
        self.log, self.chance = log, random.Random(seed)
        self.gap_seconds, self.freeze_seconds, self.tick = gap_seconds, freeze_seconds, tick
        self.counts: Counter[str] = Counter()
        self.frozen: list[tuple[float, Process]] = []
        self._halt = threading.Event()
        self.broken: BaseException | None = None
        self.workers = [self._start(WORKER) for _ in range(3)]
        self.ticks = [self._start(tick) for _ in range(2)]
        # Each kind early once, so that a short run has met all of them.
        self.first = ["kill_child", "freeze", "kill_worker"]

    @property
    def kills(self) -> int:
        return self.counts["kill_worker"] + self.counts["kill_child"]

    def _start(self, command: tuple[str, ...]) -> Process:
        return processes.start_logged(self.log, *command, env=ENVIRONMENT)

    def run(self) -> None:
        try:
            while not self._halt.wait(self.chance.uniform(*self.gap_seconds)):
                self._thaw()
                self._look()
                act = self.first.pop(0) if self.first else self._any()
                getattr(self, f"_{act}")()
        except BaseException as error:
            self.broken = error

    def calm(self) -> None:
        """No more harm; what was frozen goes on."""
        self._halt.set()
        self.join(30)
        self.freeze_seconds = 0
        self._thaw()

    def end(self) -> None:
        """End every process."""
        self._halt.set()
        if self.is_alive():
            self.join(30)
        for process in (*self.workers, *self.ticks):
            processes.end(process)

    def _any(self) -> str:
        return self.chance.choices(list(ACTS), list(ACTS.values()))[0]

    def _look(self) -> None:
        """Start again what ended by itself, as whoever runs it does: Celery gives up when its children die at birth."""
        for kind, command in ((self.workers, WORKER), (self.ticks, self.tick)):
            for place, process in enumerate(kind):
                if process.poll() is not None:
                    self.counts["gave_up"] += 1
                    kind[place] = self._start(command)
        if self.counts["gave_up"] > MOST_GIVEN_UP:
            raise AssertionError(f"processes do not stay; {self.log} says why")

    # --- the harm -------------------------------------------------------------------------------------------------

    def _kill_worker(self) -> None:
        """The whole worker, its children included."""
        victim = self.chance.choice(self.workers)
        processes.end(victim)
        self.frozen = [one for one in self.frozen if one[1] is not victim]
        self.workers[self.workers.index(victim)] = self._start(WORKER)
        self.counts["kill_worker"] += 1

    def _kill_child(self) -> None:
        """A process in which tasks run; its worker finds out and starts another."""
        victim = self.chance.choice(self.workers)
        children = children_of(victim.pid)
        if children:
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(children), signal.SIGKILL)
                self.counts["kill_child"] += 1

    def _freeze(self) -> None:
        """The whole worker, longer than its leases last."""
        victim = self.chance.choice(self.workers)
        os.killpg(victim.pid, signal.SIGSTOP)
        self.frozen.append((time.monotonic() + self.freeze_seconds, victim))
        self.counts["freeze"] += 1

    def _thaw(self) -> None:
        for until, process in list(self.frozen):
            if time.monotonic() >= until or not self.freeze_seconds:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGCONT)
                self.frozen.remove((until, process))

    def _kill_tick(self) -> None:
        victim = self.chance.choice(self.ticks)
        processes.end(victim)
        self.ticks[self.ticks.index(victim)] = self._start(self.tick)
        self.counts["kill_tick"] += 1

    def empty_broker(self) -> None:
        """Every hint is lost. Each costs its operation a minute, so this is done when told, not at random."""
        redis.Redis.from_url(settings.REDIS_URL).flushall()
        self.counts["empty_broker"] += 1


def children_of(pid: int) -> list[int]:
    """The living children of a process."""
    with suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
