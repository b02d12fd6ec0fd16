"""Screens of this room: connections and their mappings. The room above adds to them what it knows of syncs."""

from connections.admin.connections import ConnectionAdmin

__all__ = ["ConnectionAdmin"]
