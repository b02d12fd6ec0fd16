"""Settings of processes that tests start: ours, with the test connectors and short leases."""

import os

from config.settings import *  # noqa: F403

CONNECTORS = ["tests.chaos.connector.ChaosErp", "tests.chaos.connector.ChaosMaintainX"]
SYNC_LEASE_MARGIN_SECONDS = int(os.environ.get("CHAOS_LEASE_MARGIN_SECONDS", "1"))
SYNC_RETRY_SECONDS = [0.2] * 200
WEBHOOK_TIMEOUT_SECONDS = float(os.environ.get("CHAOS_WEBHOOK_TIMEOUT_SECONDS", "15"))
WEBHOOK_LEASE_MARGIN_SECONDS = float(os.environ.get("CHAOS_WEBHOOK_MARGIN_SECONDS", "30"))
