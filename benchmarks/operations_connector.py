"""MaintainX without the vendor's limit of calls: the engine is to be measured, not the waiting for a turn."""

from __future__ import annotations

from integrations.connectors.maintainx import MaintainX
from integrations.sdk.declarations import Limits


class BenchMaintainX(MaintainX):
    """The shipped connector; a sync and writes may call as often as they like."""

    limits = Limits(page_size=200)
