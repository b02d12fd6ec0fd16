"""The log of upstream calls: those of failed runs, of every operation and of passthrough, kept for some days.

    calls = CallLog(connection, last=20)
    with open_connector(connection, on_call=calls) as connector:
        ...
    calls.save(run_id=run.pk)

Until it is saved a log lives in memory only: a run that goes well writes nothing.
"""

from __future__ import annotations

import itertools
from collections import deque
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now
from django_scopes import scope, scopes_disabled

from connections.models import Connection, UpstreamCall
from core.http import CallRecord
from core.redaction import redact_text

__all__ = ["CallLog", "forget_old_calls"]

MOST = 200
URL_CHARACTERS = 2000
FORGOTTEN_AT_ONCE = 1000


class CallLog:
    """Collects the calls of one connection's door; may be called from any thread, one at a time.

    `last` is how many are kept, from the end; without it all are, up to 200.
    """

    def __init__(self, connection: Connection, *, last: int | None = None) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._kept: deque[tuple[int, CallRecord]] = deque(maxlen=min(last or MOST, MOST))

    def __call__(self, record: CallRecord) -> None:
        self._kept.append((next(self._numbers), record))

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def left_out(self) -> int:
        """How many earlier calls were let go; the positions of those that are saved begin behind them."""
        return self._kept[0][0] - 1 if self._kept else 0

    def save(self, *, run_id: UUID | None = None, operation_id: UUID | None = None, triggered_by: str = "") -> int:
        """Write down what was collected and not saved yet; answers how many. In the caller's transaction if one is open.

        The connection must still exist.
        """
        kept = [self._kept.popleft() for _ in range(len(self._kept))]
        owner = {"run_id": run_id, "operation_id": operation_id, "triggered_by": triggered_by[:160]}
        rows = [
            UpstreamCall(
                workspace_id=self._connection.workspace_id,
                connection_id=self._connection.pk,
                position=position,
                **owner,
                **_columns(record),
            )
            for position, record in kept
        ]
        with scope(workspace=self._connection.workspace_id):
            UpstreamCall.objects.bulk_create(rows)
        return len(rows)


def forget_old_calls(*, limit: int = FORGOTTEN_AT_ONCE) -> int:
    """Delete at most `limit` calls older than settings.UPSTREAM_CALL_DAYS; answers how many. A duty of the tick."""
    with scopes_disabled():
        old = UpstreamCall.objects.filter(created_at__lt=Now() - timedelta(days=settings.UPSTREAM_CALL_DAYS))
        found = list(old.order_by("created_at").values_list("pk", flat=True)[:limit])
        return int(UpstreamCall.objects.filter(pk__in=found).delete()[0]) if found else 0


def _columns(record: CallRecord) -> dict[str, object]:
    """The columns of a record; nothing in them can make the database refuse the row."""
    return {
        "method": _fit(record.method, 20),
        "url": _fit(redact_text(record.url), URL_CHARACTERS),
        "status": record.status,
        "error_code": record.error_code[:60],
        "started_at": record.started_at,
        "elapsed_ms": round(record.elapsed_ms, 1),
        "request_bytes": record.request_bytes,
        "response_bytes": record.response_bytes,
        "request_body": record.request_body,
        "response_body": record.response_body,
    }


def _fit(text: str, length: int) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:length]
