"""How long connections stay open between calls. The pools of urllib3 keep them; these are the limits."""

from __future__ import annotations

# At most one idle connection to each origin; the origin unused for longest is closed first.
MAX_KEPT = 8
MAX_IDLE_SECONDS = 30.0
# A server may close an idle connection just as a request leaves. A read is then sent again; a write would end as
# "outcome unknown", so it takes only a connection that was used a moment ago.
MAX_IDLE_SECONDS_FOR_WRITE = 2.0


def has_idled(idle_seconds: float, *, is_write: bool) -> bool:
    """Whether a connection last heard from `idle_seconds` ago is too old for this call."""
    return idle_seconds > (MAX_IDLE_SECONDS_FOR_WRITE if is_write else MAX_IDLE_SECONDS)
