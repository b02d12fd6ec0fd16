"""What the customer shares, asked before anything is fetched or written."""

from __future__ import annotations

from connections.models import Connection
from core.errors import PermissionDeniedError

ASK_AGAIN = "Ask for it by a link to sign in again."


def demand_shared(connection: Connection, entity: str, *, write: bool = False) -> None:
    """PermissionDeniedError ENTITY_NOT_SHARED when the customer does not let us read the entity, or write it."""
    if not connection.shares(entity, write=write):
        what = f"{'writing ' if write else ''}{entity.replace('_', ' ')}"
        raise PermissionDeniedError(
            f"The customer does not share {what} on this connection. {ASK_AGAIN}", code="ENTITY_NOT_SHARED"
        )


def demand_raw_calls(connection: Connection) -> None:
    """PermissionDeniedError PASSTHROUGH_NOT_SHARED when the customer does not let raw calls through."""
    if not connection.passthrough_shared:
        raise PermissionDeniedError(
            f"The customer does not let raw calls through on this connection. {ASK_AGAIN}",
            code="PASSTHROUGH_NOT_SHARED",
        )
