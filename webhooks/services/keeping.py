"""How long deliveries are kept: as long as the events they tell of."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection, transaction

from webhooks.services import clock

KEPT_FOR = timedelta(days=30)
FORGOTTEN_AT_ONCE = 1_000

_OLD = """SELECT id FROM webhooks_delivery WHERE created_at < %s ORDER BY created_at LIMIT %s
FOR UPDATE SKIP LOCKED"""


@transaction.atomic
def forget_old_deliveries(*, limit: int = FORGOTTEN_AT_ONCE) -> int:
    """Delete deliveries older than 30 days with their attempts, some at a time. Answers how many deliveries went."""
    with connection.cursor() as cursor:
        cursor.execute(_OLD, [clock.now() - KEPT_FOR, limit])
        old = [row[0] for row in cursor.fetchall()]
        if old:
            cursor.execute("DELETE FROM webhooks_deliveryattempt WHERE delivery_id = ANY(%s)", [old])
            cursor.execute("DELETE FROM webhooks_delivery WHERE id = ANY(%s)", [old])
    return len(old)
