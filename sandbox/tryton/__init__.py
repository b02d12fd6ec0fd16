"""A real Tryton ERP with a seeded plant, for demos and tests. See README.md beside this file."""

from .environment import setup
from .server import TrytonServer, running

__all__ = ["TrytonServer", "running", "setup"]
