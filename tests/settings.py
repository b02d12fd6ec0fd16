"""Settings of processes that tests start: ours, with the test connector and short leases."""

from config.settings import *  # noqa: F403

CONNECTORS = ["tests.chaos.connector.ChaosErp"]
SYNC_LEASE_MARGIN_SECONDS = 1
SYNC_RETRY_SECONDS = [0.2] * 200
