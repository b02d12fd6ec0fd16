"""What a simulated system is, as far as the kit knows."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from integrations.simulators.kit.entities import Entity
from integrations.simulators.kit.hooks import Message
from integrations.simulators.kit.messages import Answer, Request, json_answer
from integrations.simulators.kit.settings import Settings
from integrations.simulators.kit.store import Change, Store, Transaction


@dataclass
class Call:
    """One request on its way through a handler. `number` is the id in the path."""

    request: Request
    transaction: Transaction
    store: Store
    settings: Settings
    entity: str
    number: int | None = None

    def matches_version(self) -> bool:
        """Whether If-Match, if any is sent and ETags are on, names the present version."""
        wanted = self.request.headers.get("if-match")
        if not wanted or wanted == "*" or not self.settings["etags"] or self.number is None:
            return True
        row = self.store.row(self.entity, self.number)
        return row is None or wanted == f'"{row.version}"'


Handler = Callable[[Call], Answer]
# The part of a pattern that is the id of an object.
NUMBER = r"(?P<id>\d+)"


@dataclass(frozen=True)
class Route:
    """`pattern` matches the whole path; `NUMBER` in it is the id of the object."""

    method: str
    pattern: str
    entity: str
    handler: Handler

    @property
    def shown(self) -> str:
        """The path with {id} in the place of the number."""
        return self.pattern.replace(NUMBER, "{id}")


class Tenant(ABC):
    """Entities, routes and rules of one system."""

    name = ""
    entities: tuple[Entity, ...] = ()
    # Of the base URL; jobs live beside the entities.
    prefix = ""
    # What is never ignored when filters are.
    paging_parameters = frozenset({"limit", "cursor", "sort"})
    cursor_parameter = "cursor"
    settings: dict[str, Any] = {}

    @abstractmethod
    def routes(self) -> list[Route]: ...

    @abstractmethod
    def seed(self, store: Store, seed: int, scale: float, records: int | None) -> None:
        """Fill an empty store, the same for the same numbers. `records` scales the biggest entity."""

    @abstractmethod
    def refused(self, request: Request, api_key: str, settings: Settings) -> Answer | None:
        """The answer to somebody who may not ask, else None."""

    def messages(self, store: Store, request: Request, changes: list[Change]) -> list[Message]:
        """What the system tells of the changes a request made. Needs the store's lock."""
        return []

    def error(self, status: int, message: str) -> Answer:
        return json_answer(status, {"error": message})

    def endless(self, answer: Answer, request: Request) -> Answer:
        """The same page, but naming a next one that leads to it again."""
        return answer


class Router:
    """Finds the handler of a request."""

    def __init__(self, routes: list[Route]) -> None:
        self._routes = [(re.compile(route.pattern), route) for route in routes]

    def find(self, request: Request) -> tuple[Route, int | None] | None:
        for pattern, route in self._routes:
            if route.method == request.method and (found := pattern.fullmatch(request.path)):
                number = found.groupdict().get("id")
                return route, int(number) if number else None
        return None

    def knows_path(self, request: Request) -> bool:
        return any(pattern.fullmatch(request.path) for pattern, _ in self._routes)
