"""The platform's settings with the benchmark's connector, its plain model and the plain view beside the real API."""

from __future__ import annotations

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS as _INSTALLED_APPS

CONNECTORS = ["benchmarks.connector.BenchErp"]
INSTALLED_APPS = [*_INSTALLED_APPS, "benchmarks"]
ROOT_URLCONF = "benchmarks.urls"
# Counted as always, which is a part of what a request costs, but never reached.
RATE_LIMIT_TOKEN = RATE_LIMIT_CONNECTION = 10_000_000
