"""The connectors of these tests: calls so short that leases end within seconds."""

from integrations.connectors.maintainx import MaintainX
from integrations.sdk.declarations import Limits
from tests.connectors import TestErp


class ChaosErp(TestErp):
    """As the test ERP; one call may take two seconds."""

    call_seconds = 2.0


class ChaosMaintainX(MaintainX):
    """As MaintainX, with as many calls a minute as a run of a thousand writes needs; one may take three seconds."""

    limits = Limits(per_minute=6000, page_size=200)
    call_seconds = 3.0
