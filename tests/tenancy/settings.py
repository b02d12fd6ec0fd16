"""Settings of the web process that the tests of this folder start."""

from config.settings import *  # noqa: F403

CONNECTORS = ["tests.tenancy.plant.WholePlant"]
