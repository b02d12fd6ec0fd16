"""Fixtures shared by all parts of the suite."""

from __future__ import annotations

import pytest

SUITES = ("unit", "contract", "chaos", "tenancy", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test belongs to the part its folder names."""
    for item in items:
        for suite in SUITES:
            if suite in item.path.parts:
                item.add_marker(suite)
