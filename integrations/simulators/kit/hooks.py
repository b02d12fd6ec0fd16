"""What a simulated system tells by itself: messages over real HTTP, in order of the changes unless a fault says otherwise."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.errors import LineshaftError
from core.http import Door, Request
from core.http.policy import connection_policy
from integrations.simulators.kit.clock import Clock
from integrations.simulators.kit.settings import Settings

TIMEOUT_SECONDS = 10
# A simulator stands beside what it tells: on this machine, or in its network.
NEIGHBOURS = ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
_GATHER_SECONDS = 0.2
_MOST_KEPT = 10_000


@dataclass(frozen=True)
class Message:
    """One message to one address. `sign` makes the headers of the moment it is sent at (seconds since 1970), by the right
    secret or by a wrong one."""

    type: str
    url: str
    body: bytes
    sign: Callable[[float, bool], dict[str, str]]


class HookSender:
    """Sends in a thread of its own, one after the other. It tries once: what is not taken is lost, as the worst would do."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._waiting: deque[Message] = deque()
        self._sent: deque[dict[str, Any]] = deque(maxlen=_MOST_KEPT)
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._in_hand = 0
        self._door = Door(connection_policy(NEIGHBOURS))
        self._thread: threading.Thread | None = None

    def add(self, messages: list[Message]) -> None:
        """Queue messages; returns at once."""
        if not messages or self._stop.is_set():
            return
        with self._news:
            self._waiting.extend(messages)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
            self._news.notify_all()

    def status(self) -> dict[str, Any]:
        """What was sent, with the status it was answered (null: no answer), and how many messages wait."""
        with self._news:
            return {"sent": list(self._sent), "waiting": len(self._waiting) + self._in_hand}

    def settle(self, seconds: float = TIMEOUT_SECONDS) -> bool:
        """Wait until everything is sent; whether it was."""
        with self._news:
            return self._news.wait_for(lambda: not self._waiting and not self._in_hand, seconds)

    def clear(self) -> None:
        with self._news:
            self._waiting.clear()
            self._sent.clear()

    def close(self) -> None:
        self._stop.set()
        with self._news:
            self._waiting.clear()
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join(TIMEOUT_SECONDS + 1)
        self._door.close()

    def _work(self) -> None:
        while not self._stop.is_set():
            for message in self._next():
                for _ in range(self._settings["hooks"]["copies"]):
                    self._send(message)
                with self._news:
                    self._in_hand -= 1
                    self._news.notify_all()

    def _next(self) -> list[Message]:
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._stop.is_set())
            faults = self._settings["hooks"]
        if faults["out_of_order"]:
            self._stop.wait(_GATHER_SECONDS)
        self._stop.wait(faults["late_seconds"])
        with self._news:
            count = len(self._waiting) if faults["out_of_order"] else min(1, len(self._waiting))
            found = [self._waiting.popleft() for _ in range(count)]
            self._in_hand += len(found)
        return found[::-1]

    def _send(self, message: Message) -> None:
        if self._stop.is_set():
            return
        faults = self._settings["hooks"]
        headers = message.sign(self._clock.now() - faults["old_seconds"], not faults["wrong_signature"])
        status: int | None = None
        try:
            status = self._door.send(
                Request(
                    "POST",
                    message.url,
                    content=message.body,
                    headers={"Content-Type": "application/json", **headers},
                    total_timeout=TIMEOUT_SECONDS,
                )
            ).status
        except LineshaftError:
            status = None  # nobody there: told in the list of what was sent
        with self._news:
            self._sent.append({"type": message.type, "url": message.url, "status": status, "at": self._clock.text()})
