"""A real PostgreSQL and Valkey of this machine, for development and tests, where none is configured.

`start()` returns a `Lease` on a pair of servers that all processes with the same home share; it ends with the last of
them. `ensure_environment()` sets DATABASE_URL and REDIS_URL from it where they are missing. From a shell:
`python -m config.services run -- COMMAND`. Plain Python: settings import this before Django is set up.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import MutableMapping

from config.services.errors import LocalServicesError
from config.services.lease import Lease, Services, start

__all__ = ["Lease", "LocalServicesError", "Services", "ensure_environment", "start"]


def ensure_environment(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set DATABASE_URL and REDIS_URL where missing or empty, to local servers that run as long as this process.

    Processes started from here inherit the addresses; they hold nothing themselves, and their servers end with us.
    """
    missing = [name for name in ("DATABASE_URL", "REDIS_URL") if not environ.get(name)]
    if not missing:
        return
    lease = start()
    atexit.register(lease.release)
    found = {"DATABASE_URL": lease.services.database_url, "REDIS_URL": lease.services.redis_url}
    environ.update({name: found[name] for name in missing})
