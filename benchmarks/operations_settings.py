"""The platform's settings with the connector of the operations benchmark."""

from __future__ import annotations

from benchmarks.settings import *  # noqa: F403

CONNECTORS = ["benchmarks.operations_connector.BenchMaintainX"]
