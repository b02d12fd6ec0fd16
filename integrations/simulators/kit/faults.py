"""Faults on demand: which request gets which, and how often."""

from __future__ import annotations

import itertools
import random
import re
import threading
from dataclasses import dataclass, field
from typing import Any

from integrations.simulators.kit.messages import Request

# Kind -> its parameters with defaults.
KINDS: dict[str, dict[str, Any]] = {
    "rate_limit": {"retry_after": 1},
    "server_error": {"status": 500},
    "apply_then_error": {"status": 500},
    "cut": {},
    "cut_answer": {},
    "apply_then_hang": {"seconds": 30},
    "hang": {"seconds": 30},
    "slow_body": {"seconds": 5},
    "repeated_page": {},
    "expired_token": {},
    "unauthorized": {},
    "ignored_filter": {"filters": []},
    "dropped_field": {"fields": []},
    "garbage": {},
}
# These leave the state alone.
NOT_APPLIED = {"rate_limit", "server_error", "cut", "hang", "unauthorized", "garbage", "expired_token"}
# These concern lists only.
_LISTS = {"repeated_page", "expired_token", "ignored_filter"}
_COMMON = {"kind", "match", "times", "after", "probability", "seed"}
_MATCH = {"method", "path", "body_contains"}


class InvalidFaultError(ValueError):
    """Says what is wrong with the description of a fault."""


@dataclass
class Fault:
    """`times` None is for ever. `seen` counts matching requests, `fired` those that got the fault."""

    id: int
    kind: str
    method: str | None
    path: str
    body_contains: str | None
    times: int | None
    after: int
    probability: float
    parameters: dict[str, Any]
    random: random.Random
    seen: int = 0
    fired: int = 0
    # What a list repeats, by path.
    pages: dict[str, bytes] = field(default_factory=dict)

    def matches(self, request: Request, cursor: str) -> bool:
        if self.method and self.method != request.method:
            return False
        if self.kind in _LISTS and request.method != "GET":
            return False
        if self.kind == "expired_token" and cursor not in request.query:
            return False
        at = re.search(self.path, request.path) if self.path.startswith("^") else request.path.startswith(self.path)
        return bool(at) and (self.body_contains is None or self.body_contains.encode() in request.body)

    def fires(self) -> bool:
        """Count a matching request; True when it gets the fault."""
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.fired >= self.times):
            return False
        if self.probability < 1 and self.random.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def described(self) -> dict[str, Any]:
        match = {"method": self.method, "path": self.path, "body_contains": self.body_contains}
        return {
            "id": self.id,
            "kind": self.kind,
            "match": match,
            "times": self.times,
            "after": self.after,
            "probability": self.probability,
            **self.parameters,
            "seen": self.seen,
            "fired": self.fired,
        }


class Faults:
    """The faults in force, in the order they were added; the first that fires wins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._faults: list[Fault] = []

    def add(self, description: dict[str, Any]) -> Fault:
        """InvalidFaultError for what cannot be meant: an unknown kind, parameter or pattern."""
        fault = read_fault(description, next(self._ids))
        with self._lock:
            self._faults.append(fault)
        return fault

    def all(self) -> list[Fault]:
        with self._lock:
            return list(self._faults)

    def remove(self, number: int) -> bool:
        with self._lock:
            kept = [fault for fault in self._faults if fault.id != number]
            is_found = len(kept) < len(self._faults)
            self._faults = kept
        return is_found

    def clear(self) -> None:
        with self._lock:
            self._faults = []

    def pick(self, request: Request, cursor: str) -> Fault | None:
        with self._lock:
            return next((one for one in self._faults if one.matches(request, cursor) and one.fires()), None)


def read_fault(description: dict[str, Any], number: int) -> Fault:
    kind = description.get("kind")
    if kind not in KINDS:
        raise InvalidFaultError(f"kind must be one of {', '.join(KINDS)}")
    match = description.get("match") or {}
    allowed = _COMMON | set(KINDS[kind])
    if unknown := [*(set(description) - allowed), *(set(match) - _MATCH)]:
        raise InvalidFaultError(f"unknown: {', '.join(sorted(unknown))}")
    parameters = {name: description.get(name, default) for name, default in KINDS[kind].items()}
    for name, default in KINDS[kind].items():
        if isinstance(default, list) != isinstance(parameters[name], list):
            raise InvalidFaultError(f"{name} must be {'a list' if isinstance(default, list) else 'a number'}")
    path = match.get("path", "/")
    try:
        re.compile(path)
        return Fault(
            id=number,
            kind=kind,
            method=match.get("method"),
            path=path,
            body_contains=match.get("body_contains"),
            times=None if description.get("times") is None else int(description["times"]),
            after=int(description.get("after") or 0),
            probability=float(description.get("probability", 1)),
            parameters=parameters,
            random=random.Random(description.get("seed", 0)),
        )
    except (re.error, TypeError, ValueError) as error:
        raise InvalidFaultError(str(error)) from error
