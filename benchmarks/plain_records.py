"""Fills the plain list's table with the very records the real one serves."""

from __future__ import annotations

from typing import Any

import orjson
from django.db import connection

from benchmarks.models import PlainRecord
from connections.models import Connection
from syncs.records import Selection, as_texts, position_of, read_records

PIECE = 500


def fill(customer: Connection) -> int:
    """Copy every purchase order of a connection, in the order of the list. Answers how many."""
    if PlainRecord._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(PlainRecord)
    count, after = 0, None
    where: dict[str, Any] = {"workspace_id": customer.workspace_id, "connection_id": customer.pk}
    while rows := read_records(Selection(), entity="purchase_order", limit=PIECE, after=after, **where):
        records = [PlainRecord(**orjson.loads(text)) for text in as_texts(rows)]
        PlainRecord.objects.bulk_create(records)
        count, after = count + len(records), position_of(rows[-1])
    return count
