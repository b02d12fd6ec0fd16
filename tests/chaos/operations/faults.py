"""The simulator in a process of its own, and the faults it is asked for."""

from __future__ import annotations

import json
import random
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos import processes

HANG_SECONDS = 1.5
# Kind -> its parameters. The first five leave the caller in doubt, the last two say that nothing was done.
WRITES: dict[str, dict[str, Any]] = {
    "apply_then_hang": {"seconds": HANG_SECONDS},
    "cut_answer": {},
    "cut": {},
    "hang": {"seconds": HANG_SECONDS},
    "apply_then_error": {},
    "server_error": {},
    "rate_limit": {"retry_after": 1},
}
READS: dict[str, dict[str, Any]] = {
    "cut": {},
    "cut_answer": {},
    "server_error": {},
    "rate_limit": {"retry_after": 1},
    "slow_body": {"seconds": 0.5},
}
METHODS = ("POST", "PATCH", "DELETE")
# Purchase orders and vendors are read one by one, so that a search is as many calls as there are new ones. One that fails
# spoils it: with the share that other reads bear, none would come to an end.
SINGLE, REST = "^/v1/(purchaseorders|vendors)/", "^/v1/(?!(purchaseorders|vendors)/)"
SINGLE_SHARE = 0.05  # of the share of other reads


class Upstream:
    """A running simulator and its control plane."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self.base_url, self.api_key = base_url, api_key
        self._control = f"{base_url.rpartition('/')[0]}/_control"

    def control(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._control}/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def spoil(self, seed: int, *, writes: float, reads: float) -> None:
        """Spoil these shares of all requests, evenly with every kind of fault, the same sequence for the same seed."""
        chance = random.Random(seed)
        for method in METHODS:
            self._spoil(chance, method, "/v1", WRITES, writes)
        self._spoil(chance, "GET", REST, READS, reads)
        self._spoil(chance, "GET", SINGLE, READS, reads * SINGLE_SHARE)

    def _spoil(
        self, chance: random.Random, method: str, path: str, kinds: dict[str, dict[str, Any]], share: float
    ) -> None:
        # Each kind is asked in turn: a little more than an even share makes up for those before it.
        probability = 1 - (1 - share) ** (1 / len(kinds))
        for kind, parameters in kinds.items():
            rest = {"probability": probability, "seed": chance.randrange(10**6), **parameters}
            self.control("POST", "faults", {"kind": kind, "match": {"method": method, "path": path}, **rest})

    def heal(self) -> None:
        self.control("DELETE", "faults")

    def journal(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control("GET", "journal?after=0")["entries"]
        return found

    def objects(self, table: str) -> list[dict[str, Any]]:
        found = self.control("GET", f"objects/{table}")
        objects: list[dict[str, Any]] = found["objects"] if isinstance(found, dict) else found
        return objects


@contextmanager
def simulator(log: Path, *arguments: str) -> Iterator[Upstream]:
    """`manage.py simulator maintainx` on a free port, ended by its id."""
    with processes.logged(log, "manage.py", "simulator", "maintainx", *arguments) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline() or "{}")  # a process that ends closes the pipe
        assert ready, f"the simulator does not start: {log.read_text()[-2000:]}"
        yield Upstream(ready["base_url"], ready["api_key"])
