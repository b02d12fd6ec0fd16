"""What passes between a connector and the engine while a list is walked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.errors import TransientError

Position = Mapping[str, Any]
"""Where to go on: plain JSON values the connector understands, stored as the run's checkpoint."""


@dataclass(frozen=True)
class Window:
    """What a walk asks for. Times are aware UTC by the remote's clock.

    `since` None walks everything. With `open_too`, objects in the resource's open states are asked for whatever their age
    (first and full walks of documents); a connector that cannot ask so walks everything.
    """

    since: datetime | None
    until: datetime
    open_too: bool = False
    by_id: bool = False  # a complete walk: must be ordered so that nothing is skipped while the list moves


@dataclass(frozen=True)
class Page:
    """One page as it came: (remote id, bytes of the object) in order of arrival; ids may repeat.

    `next` None ends the walk. `newest` is the greatest change time on the page, `total` what the system counts in all.
    `unreadable` are objects without a usable id, as (reason, bytes).
    """

    records: list[tuple[str, bytes]]
    next: Position | None = None
    newest: datetime | None = None
    total: int | None = None
    unreadable: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass(frozen=True)
class CheckResult:
    """What a cheap sign-in told: who we are there, and the system's version and clock (aware UTC)."""

    account: str
    version: str = ""
    now: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class PositionExpiredError(TransientError):
    """The system forgot its page token: the same window starts again."""

    default_code = "PAGE_TOKEN_EXPIRED"
