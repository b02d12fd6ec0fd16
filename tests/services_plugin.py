"""Starts the test servers before Django's settings are read: the same starter as everywhere, in a folder of its own.

Under pytest-xdist the controller starts one pair; each worker has its own database and Redis prefix.
"""

from __future__ import annotations

import base64
import os
import signal

import pytest

_lease = None

# Started in the background by a shell, this process and all its children would ignore what Ctrl-C sends.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _prepare() -> None:
    global _lease
    os.environ.setdefault("LINESHAFT_MODE", "development")
    os.environ["SECRET_KEY"] = "test-" + "s" * 60
    os.environ["TOKEN_PEPPER"] = "test-" + "p" * 60
    os.environ["ENCRYPTION_KEYS"] = "test1:" + base64.b64encode(bytes(range(32))).decode()
    os.environ["EGRESS_ALLOWED_NETWORKS"] = "127.0.0.0/8"
    os.environ["LOG_FORMAT"] = "console"
    os.environ["REDIS_PREFIX"] = os.environ.get("PYTEST_XDIST_WORKER", "main") + "-"
    if "LINESHAFT_TEST_SERVICES" not in os.environ:
        from config.services import start

        _lease = start(ephemeral=True)
        os.environ["LINESHAFT_TEST_SERVICES"] = str(_lease.services.home)
        os.environ["DATABASE_URL"] = _lease.services.database_url
        os.environ["REDIS_URL"] = _lease.services.redis_url


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Before pytest-django looks at the settings."""
    _prepare()


def pytest_unconfigure() -> None:
    if _lease is not None:
        _lease.release()
