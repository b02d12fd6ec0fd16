"""Duties of the tick in this room."""

from __future__ import annotations


def dispatch_due_syncs() -> int:
    return 0


def hint_due_runs() -> int:
    return 0


def forget_old_rows() -> int:
    return 0
