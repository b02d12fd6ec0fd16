"""Fixtures shared by all parts of the suite."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

SUITES = ("unit", "contract", "chaos", "tenancy", "browser")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Between tests with real transactions all tables are emptied, which the audit log would refuse."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE workspaces_auditevent DISABLE TRIGGER pgtrigger_never_emptied_50daf")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test belongs to the part its folder names."""
    for item in items:
        for suite in SUITES:
            if suite in item.path.parts:
                item.add_marker(suite)
