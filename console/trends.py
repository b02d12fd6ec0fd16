"""Counts of the last day beside the day before, and the last week as a line, for whoever looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet, Sum

from console.models import ActivityHour

DAYS = 7
LINE_WIDTH, LINE_HEIGHT = 84, 24
_SHOWN = (
    # label, what is counted, what of it failed
    ("Records changed", "records_changed", ""),
    ("Sync runs", "runs", "failed_runs"),
    ("Operations", "operations", "failed_operations"),
    ("Flow runs", "flow_runs", "failed_flow_runs"),
    ("Webhook messages given up", "given_up", ""),
)


@dataclass(frozen=True)
class Trend:
    """`count` and `failed` of the last 24 hours, `change` against the 24 before in words, `points` of a polyline."""

    label: str
    count: int
    failed: int
    change: str
    points: str
    spoken: str


def trends(at: datetime) -> list[Trend]:
    """What has ever been counted in these seven days, in one query. `at` is now."""
    first = at.replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS) + timedelta(hours=1)
    names = [name for _, *pair in _SHOWN for name in pair if name]
    hours: QuerySet[Any] = ActivityHour.objects.filter(starts_at__gte=first).values("starts_at").order_by("starts_at")
    days: list[dict[str, int]] = [dict.fromkeys(names, 0) for _ in range(DAYS)]
    rows: Any = hours.annotate(**{f"of_{name}": Sum(name) for name in names})
    for row in rows:
        day = days[min(DAYS - 1, int((row["starts_at"] - first) / timedelta(days=1)))]
        for name in names:
            day[name] += row[f"of_{name}"]
    return [_trend(label, name, failed, days) for label, name, failed in _SHOWN if any(day[name] for day in days)]


def _trend(label: str, name: str, failed: str, days: Sequence[Mapping[str, int]]) -> Trend:
    counts = [day[name] for day in days]
    spoken = f"{label}, by day, the oldest first: {', '.join(f'{count:,}' for count in counts)}"
    return Trend(
        label,
        counts[-1],
        days[-1][failed] if failed else 0,
        _change(counts[-2], counts[-1]),
        _points(counts),
        spoken,
    )


def _change(before: int, now: int) -> str:
    if before == now:
        return "as the day before"
    if not before:
        return "none the day before"
    percent = round((now - before) * 100 / before)
    return f"{'+' if percent > 0 else ''}{percent:,} % against the day before" if percent else "as the day before"


def _points(counts: Sequence[int]) -> str:
    most = max(counts) or 1
    step = LINE_WIDTH / (len(counts) - 1)
    return " ".join(
        f"{number * step:.0f},{LINE_HEIGHT - 2 - count * (LINE_HEIGHT - 4) / most:.1f}"
        for number, count in enumerate(counts)
    )
