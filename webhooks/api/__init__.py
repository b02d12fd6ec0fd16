"""Endpoints, deliveries."""
