#!/usr/bin/env python
"""The command line of the platform."""

import os
import sys


def main() -> None:
    """Run a command. Without DATABASE_URL or REDIS_URL the local services are started or joined first."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if os.environ.get("LINESHAFT_MODE", "development") == "development":
        from config.services import ensure_environment

        ensure_environment()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
