"""History of configuration: the database itself copies a row's settings into a table of its own when they change.

    class ConnectionHistory(history_of(Connection, CONNECTION_SETTINGS)):
        objects = scoped(models.QuerySet, workspace="workspace")

The copies are of inserted, updated (as they are then) and deleted (as they were last) rows. Triggers see every change,
SQL by hand included. They name the columns they wait for, so that an UPDATE of any other columns never wakes them.
Who made a change is told by the audit event of the same transaction: both hold its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pghistory
import pgtrigger
from django.db import models
from pghistory.models import Event

__all__ = ["BASELINE", "DELETED", "INSERTED", "UPDATED", "HistoryRow", "history_of"]

BASELINE, INSERTED, UPDATED, DELETED = "baseline", "insert", "update", "delete"
"""What `pgh_label` says of a row. A baseline: as it was when history began."""


class HistoryRow(Event):
    """A row of settings as it was from `pgh_created_at` on. The database refuses to change one."""

    pgh_id = models.BigAutoField(primary_key=True)

    class Meta:
        abstract = True


def history_of(
    model: type[models.Model], fields: Sequence[str], *, keep_deleted: pgtrigger.Condition | None = None
) -> Any:
    """The abstract base of a model's history. `fields` are all that is ever copied: secrets do not stand among them.

    `keep_deleted`: only then is a deleted row copied for the last time.
    """
    columns = [field.column for field in model._meta.concrete_fields if field.name in fields]
    return pghistory.create_event_model(
        model,
        pghistory.InsertEvent(trigger_name="history_insert"),
        pghistory.UpdateEvent(
            operation=pgtrigger.UpdateOf(*columns),  # type: ignore[no-untyped-call]
            condition=pgtrigger.AnyChange(*fields),
            trigger_name="history_update",
        ),
        pghistory.DeleteEvent(condition=keep_deleted, trigger_name="history_delete"),
        fields=list(fields),
        # No context: it would cost a query at each change, and what it knows the audit log knows better.
        context_field=None,  # type: ignore[arg-type]  # documented, but not typed
        obj_field=pghistory.ObjForeignKey(related_name="+", related_query_name="+"),
        base_model=HistoryRow,
        meta={"triggers": [pgtrigger.Protect(name="never_changed", operation=pgtrigger.Update)]},
    )
