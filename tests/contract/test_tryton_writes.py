"""Writing to Tryton on the sandbox ERP: the shared contract, and what is Tryton's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integrations.connectors.tryton import Tryton
from sandbox.tryton import TrytonServer
from sandbox.tryton.client import TrytonClient
from tests.contract.kit import Subject
from tests.contract.test_tryton_connector import subject_of
from tests.contract.tryton_stage import TrytonStage
from tests.contract.write_kit import WriteContract

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]


@pytest.fixture(scope="session")
def erp(tryton_server: TrytonServer) -> TrytonClient:
    """Somebody who works in the ERP."""
    client = TrytonClient(tryton_server.base_url, tryton_server.database)
    return client.login(tryton_server.admin_user, tryton_server.admin_password)


@pytest.fixture(scope="session")
def stage(erp: TrytonClient) -> TrytonStage:
    return TrytonStage(erp)


@pytest.fixture
def subject(tryton_server: TrytonServer) -> Iterator[Subject]:
    found = subject_of(tryton_server)
    yield found
    found.close()


class TestTrytonWrites(WriteContract):
    connector = Tryton
    # Lines are declared as a whole: once a purchase is quoted, Tryton still takes these of them.
    stricter = frozenset(
        f"purchase_order {trial}" for trial in ("lines.line_number", "lines.expected_date", "lines:remove")
    )
