"""Five endpoints and what was heard at them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import processes
from tests.webhook_stage import make_endpoint
from webhooks.models import WebhookEndpoint
from workspaces.models import Workspace

HEALTHY = ("healthy_one", "healthy_two")
KINDS = {"healthy_one": "good", "healthy_two": "good", "flapping": "flapping", "slow": "slow", "dead": "good"}


@dataclass(frozen=True)
class Heard:
    """One message at an endpoint. `at` is in seconds since 1970."""

    header_id: str
    body_id: str
    at: float
    status: int


@dataclass
class Listeners:
    """The sinks of a run, by name. The dead one listens nowhere until `heal`."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)
    _reserved: socket.socket = field(default_factory=socket.socket)

    def start(self) -> None:
        for name, kind in KINDS.items():
            if name != "dead":
                self.ports[name] = self._start(name, kind)
        # Bound, so that nobody else gets it, but not listened at: connections are refused.
        self._reserved.bind(("127.0.0.1", 0))
        self.ports["dead"] = self._reserved.getsockname()[1]

    def heal(self) -> None:
        """From now on all of them answer at once, and well."""
        for name in KINDS:
            self._log(name).with_suffix(".healed").touch()
        self._reserved.close()
        self._start("dead", "good", self.ports["dead"])

    def heard(self, name: str) -> list[Heard]:
        log = self._log(name)
        lines = log.read_text().splitlines() if log.exists() else []
        return [Heard(one, other, float(at), int(status)) for one, other, at, status in map(str.split, lines)]

    def endpoints(self, workspace: Workspace) -> dict[str, WebhookEndpoint]:
        return {
            name: make_endpoint(workspace, f"http://127.0.0.1:{port}/hook", description=name)
            for name, port in self.ports.items()
        }

    def close(self) -> None:
        self._reserved.close()
        self._stack.close()

    def _log(self, name: str) -> Path:
        return self.folder / f"heard-{name}.log"

    def _start(self, name: str, kind: str, port: int = 0) -> int:
        arguments = ("-m", "tests.chaos.webhooks.sink", kind, str(self._log(name)), str(port))
        process = self._stack.enter_context(processes.logged(self.folder / "sinks.log", *arguments))
        assert process.stdout is not None
        return int(process.stdout.readline())


@contextmanager
def listening(folder: Path) -> Iterator[Listeners]:
    """Sinks that are ended with the block. What an earlier run left in the folder is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    listeners = Listeners(folder)
    try:
        listeners.start()
        yield listeners
    finally:
        listeners.close()
