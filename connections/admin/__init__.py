"""Screens of this room: connections, their mappings and calls. The room above adds to them what it knows of syncs."""

from connections.admin.calls import UpstreamCallAdmin
from connections.admin.connections import ConnectionAdmin
from connections.admin.systems import SystemSettingsAdmin

__all__ = ["ConnectionAdmin", "SystemSettingsAdmin", "UpstreamCallAdmin"]
