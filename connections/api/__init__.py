"""Endpoints of this room: parse, call a service, render."""
