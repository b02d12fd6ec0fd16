"""A small connector and the system it speaks to: a real HTTP server on a free loopback port, under the test's control.

    # ruff: noqa: F811 (fixtures are imported)
    from tests.connectors import erp_connector, erp_server  # noqa: F401

    def test_...(erp_connector, erp_server):
        erp_server.add_orders(3)
        erp_server.fail("http_500", times=2, on="/orders")

The server shares no code with the connector. Its clock can be set; lists are in order of id, so they do not shift.
"""

from __future__ import annotations

from tests.connectors.calls import Answer, Call
from tests.connectors.connecting import connect, erp_connector, erp_server
from tests.connectors.connector import SLUG, TestErp
from tests.connectors.server import API_KEY, TestErpServer

__all__ = [
    "API_KEY",
    "SLUG",
    "Answer",
    "Call",
    "TestErp",
    "TestErpServer",
    "connect",
    "erp_connector",
    "erp_server",
]
