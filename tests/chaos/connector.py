"""The connectors of these tests: calls so short that leases end within seconds."""

from dataclasses import replace

from integrations.connectors.maintainx import MaintainX
from integrations.sdk.declarations import Limits, Resource
from tests.connectors import TestErp

SETTLE_SECONDS = 20.0


class ChaosErp(TestErp):
    """As the test ERP; one call may take two seconds."""

    call_seconds = 2.0


def _soon_settled(resource: Resource) -> Resource:
    """What is not there twenty seconds after it was sent was not done, whatever was sent."""
    writes = (replace(write, settle_seconds=min(write.settle_seconds, SETTLE_SECONDS)) for write in resource.writes)
    return replace(resource, writes=tuple(writes))


class ChaosMaintainX(MaintainX):
    """As MaintainX, with as many calls a minute as a run of a thousand writes needs; one may take three seconds."""

    limits = Limits(per_minute=6000, page_size=200)
    call_seconds = 3.0

    work_orders = _soon_settled(MaintainX.work_orders)
    assets = _soon_settled(MaintainX.assets)
    inventory_items = _soon_settled(MaintainX.inventory_items)
    locations = _soon_settled(MaintainX.locations)
    vendors = _soon_settled(MaintainX.vendors)
    purchase_orders = _soon_settled(MaintainX.purchase_orders)
