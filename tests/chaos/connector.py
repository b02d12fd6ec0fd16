"""The test connector with calls so short that leases end within seconds."""

from tests.connectors import TestErp


class ChaosErp(TestErp):
    """As the test ERP; one call may take two seconds."""

    call_seconds = 2.0
