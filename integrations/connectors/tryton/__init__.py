"""Tryton: an open-source ERP, read over its JSON-RPC interface. See docs/systems/tryton.md."""

from integrations.connectors.tryton.connector import Tryton

__all__ = ["Tryton"]
