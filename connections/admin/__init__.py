"""Screens of this room: connections, their mappings and calls. The room above adds to them what it knows of syncs."""

from connections.admin.calls import UpstreamCallAdmin
from connections.admin.connections import ConnectionAdmin

__all__ = ["ConnectionAdmin", "UpstreamCallAdmin"]
