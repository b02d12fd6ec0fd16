"""Screens of this room: connections, their mappings and calls. The room above adds to them what it knows of syncs."""

from connections.admin.calls import UpstreamCallAdmin
from connections.admin.connections import ConnectionAdmin
from connections.admin.link_sessions import LinkSessionAdmin
from connections.admin.logos import SystemLogoAdmin
from connections.admin.systems import SystemSettingsAdmin

__all__ = ["ConnectionAdmin", "LinkSessionAdmin", "SystemLogoAdmin", "SystemSettingsAdmin", "UpstreamCallAdmin"]
