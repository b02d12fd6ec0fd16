"""The derived states as SQL, for lists that filter by them and for the hot read path.

They say the same as `syncs.services.status`, which explains them; a test holds the two together.
"""

from __future__ import annotations

from django.db.models import CharField
from django.db.models.expressions import RawSQL

from syncs.choices import ACTIVE, RunStatus, SyncState

_ACTIVE = ", ".join(f"'{status}'" for status in ACTIVE)
_ORDER = ", ".join(f"'{state}'" for state in SyncState)

IS_SHARED = "(c.shared IS NULL OR jsonb_exists(c.shared, {entity}))"
"""Whether the customer of connection `c` shares an entity; the name of it is to be filled in."""

# `failures_in_row` stands for the latest run that ended and was not cancelled: each failure raises it, each success
# takes it back to 0. Looking the run up instead doubled what planning this statement costs.
STATE_BESIDE_CONNECTION = f"""CASE
    WHEN syncs_sync.id IS NULL THEN '{SyncState.NEVER_SYNCED}'
    WHEN syncs_sync.paused OR c.paused OR c.health = 'disconnected' THEN '{SyncState.PAUSED}'
    WHEN c.health = 'needs_reauth' THEN '{SyncState.NEEDS_REAUTH}'
    WHEN EXISTS (SELECT FROM syncs_syncrun r WHERE r.sync_id = syncs_sync.id AND r.status IN ({_ACTIVE}))
        THEN '{SyncState.IN_PROGRESS}'
    WHEN syncs_sync.failures_in_row > 0 THEN '{SyncState.FAILED}'
    WHEN EXISTS (SELECT FROM syncs_syncrun r WHERE r.sync_id = syncs_sync.id AND r.status = '{RunStatus.NEEDS_REVIEW}')
        THEN '{SyncState.NEEDS_REVIEW}'
    WHEN syncs_sync.last_success_at IS NULL THEN '{SyncState.NEVER_SYNCED}'
    ELSE '{SyncState.COMPLETED}' END"""  # noqa: S608 (our own text)
"""The state of a row of syncs_sync (under its own name, perhaps of an outer join) beside its connection `c`."""

SYNC_STATE = f"(SELECT {STATE_BESIDE_CONNECTION} FROM connections_connection c WHERE c.id = syncs_sync.connection_id)"  # noqa: S608
"""The same where the connection is not in the query."""

CONNECTION_STATE = f"""(CASE
    WHEN connections_connection.paused OR connections_connection.health = 'disconnected' THEN '{SyncState.PAUSED}'
    WHEN connections_connection.health = 'needs_reauth' THEN '{SyncState.NEEDS_REAUTH}'
    ELSE coalesce((SELECT of_entity.state
        FROM (SELECT {SYNC_STATE} AS state FROM syncs_sync
            WHERE syncs_sync.connection_id = connections_connection.id AND syncs_sync.enabled
                AND (connections_connection.shared IS NULL OR jsonb_exists(connections_connection.shared, syncs_sync.entity))
                AND syncs_sync.unavailable = '') AS of_entity
        ORDER BY of_entity.state = '{SyncState.PAUSED}', array_position(ARRAY[{_ORDER}], of_entity.state) LIMIT 1),
        '{SyncState.NEVER_SYNCED}') END)"""  # noqa: S608 (our own text)
"""The state of a row of connections_connection: of its shared entities the first that applies."""


def as_expression(state: str) -> RawSQL:
    """SYNC_STATE or CONNECTION_STATE for annotate() and alias()."""
    return RawSQL(state, [], CharField())  # noqa: S611 (our own text)
