"""Endpoints of this room: the event feed and the tokens."""
