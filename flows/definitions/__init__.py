"""Definitions of flows: what they may say, checked, and the JSON Schema that tells it. Django-free."""
