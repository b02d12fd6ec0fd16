"""How gunicorn serves the web: `gunicorn -c python:config.gunicorn_settings config.wsgi`.

WEB_CONCURRENCY sets the processes, PORT or --bind the address. https://docs.gunicorn.org/en/stable/settings.html
"""

from __future__ import annotations

import os

worker_class = "gthread"
threads = 8
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
timeout = 60
graceful_timeout = 20
keepalive = 5
max_requests = 20_000  # a leak somewhere below must not grow for ever
max_requests_jitter = 2_000
accesslog = None  # the platform writes a line for each request itself, with its id
control_socket_disable = True
# Liveness is told through a file: in memory, since a disk can block.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
