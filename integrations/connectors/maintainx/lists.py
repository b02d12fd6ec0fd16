"""What the lists of this API have in common.

Source: the vendor's OpenAPI document, "MaintainX API", version 1.
"""

from __future__ import annotations

from integrations.protocols.paging import Anchored, Cursor
from integrations.sdk.declarations import Since

CURSOR = Cursor(next="nextCursor")
# Cursors of parts, assets and purchase orders count rows, says the vendor.
BY_TIME = Anchored(CURSOR)
MARK = "extraFields.Lineshaft key"
SETTLE_SECONDS = 20.0


def changes(*touched_by: str) -> Since:
    """What most lists can be asked for; the document calls it inclusive."""
    return Since("updatedAt", parameter="updatedAt[gte]", touched_by=touched_by)
