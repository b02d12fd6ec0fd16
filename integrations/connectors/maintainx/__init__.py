"""MaintainX: a CMMS in the cloud, over its public REST API. See docs/systems/maintainx.md."""

from integrations.connectors.maintainx.connector import MaintainX

__all__ = ["MaintainX"]
