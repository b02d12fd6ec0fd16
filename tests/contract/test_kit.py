"""The shared contract holds for a REST connector too: the kit knows nothing of one family."""

from __future__ import annotations

import pytest

from tests.connectors import API_KEY, TestErp, TestErpServer, erp_server  # noqa: F401
from tests.contract.kit import ConnectorContract, Subject


class TestRestContract(ConnectorContract):
    connector = TestErp

    @pytest.fixture
    def subject(self, erp_server: TestErpServer) -> Subject:
        erp_server.add_orders(120)
        erp_server.add_orders(5, first=5001, status="done")
        erp_server.add_vendors(60)
        config = {"base_url": erp_server.base_url}
        return Subject(TestErp, config, secrets={"api_key": API_KEY}, wrong_secrets={"api_key": "another-key-91"})
