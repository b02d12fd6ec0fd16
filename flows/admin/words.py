"""Flows in words: what starts them, and how they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cronsim import CronSim

from integrations.entities import ENTITIES

__all__ = ["STATES", "STATE_BADGES", "states_of", "trigger_words"]

STATES = {
    "draft": "Draft",
    "published": "Published",
    "changed": "Unpublished changes",
    "paused": "Paused",
}
STATE_BADGES = {"draft": "secondary", "published": "success", "changed": "warning", "paused": "secondary"}
_CHANGES = {"record.created": "appear", "record.updated": "change", "record.deleted": "are deleted"}


def trigger_words(trigger: Mapping[str, Any] | None) -> str:
    """ "At 06:00 every day, Europe/Berlin", "When inventory items change"."""
    kind = (trigger or {}).get("on")
    if trigger is None or kind is None:
        return "nothing yet"
    if kind == "schedule":
        return f"{_cron_words(trigger['cron'])}, {trigger.get('zone', 'UTC')}"
    if kind == "event":
        where = " that fit its filter" if trigger.get("filter") else ""
        return f"When {_event_words(trigger['types'], trigger.get('entities', []), where)}"
    if kind == "hook":
        return "When a signed message comes" if trigger.get("signature") else "When a message comes to its address"
    return "By API or by hand"


def states_of(version: int | None, *, is_paused: bool, has_changes: bool) -> list[tuple[str, str]]:
    """How a flow stands, as (text, colour): "Published v3", "Unpublished changes", "Paused"."""
    if version is None:
        found = [(STATES["draft"], STATE_BADGES["draft"])]
    else:
        found = [(f"{STATES['published']} v{version}", STATE_BADGES["published"])]
        found += [(STATES["changed"], STATE_BADGES["changed"])] if has_changes else []
    return found + ([(STATES["paused"], STATE_BADGES["paused"])] if is_paused else [])


@cache
def _cron_words(cron: str) -> str:
    words: str = CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)).explain()
    return words


def _event_words(types: Sequence[str], entities: Sequence[str], where: str) -> str:
    what = _joined([_plural(name) for name in entities]) or "records"
    happenings = [_CHANGES[name] for name in types if name in _CHANGES]
    told = [f"{what}{where} {_joined(happenings, 'or')}"] if happenings else []
    others = [name for name in types if name not in _CHANGES]
    told += [f"{_joined(others, 'or')} is told{'' if happenings else where}"] if others else []
    return " or ".join(told)


def _plural(entity: str) -> str:
    return ENTITIES[entity].describes.plural.replace("_", " ") if entity in ENTITIES else entity


def _joined(words: Sequence[str], last: str = "and") -> str:
    return f" {last} ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
