"""Endpoints of this room: sync status, syncs, runs, and the unified records."""
