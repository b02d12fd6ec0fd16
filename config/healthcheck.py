"""Is the process of this container well? For health checks of Docker and the like: exit code 0 or 1, one line.

    python -m config.healthcheck web|worker|tick

`web` asks /readyz; `worker` looks at the file its worker touches while it hears the broker, and at the broker; `tick`
looks for a fresh beat in the database. Django is not loaded: this runs every half minute in every container.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psycopg
import redis

from config.settings.environment import read_environment

MAX_AGE_SECONDS = 30.0
TIMEOUT_SECONDS = 5


class UnwellError(Exception):
    """What is wrong."""


def web(port: int) -> str:
    """Ask as a visitor of the first allowed host would."""
    names = [name for name in read_environment().ALLOWED_HOSTS if "*" not in name]
    host = names[0].removeprefix(".") if names else "localhost"
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request("GET", "/readyz", headers={"Host": host})
        answer = connection.getresponse()
        body = answer.read(1000).decode(errors="replace")
    if answer.status != 200:
        raise UnwellError(f"/readyz answers {answer.status}: {body}")
    return "ready"


def worker(alive: Path) -> str:
    """The file is fresh, and so is the broker's answer."""
    try:
        age = time.time() - alive.stat().st_mtime
    except FileNotFoundError:
        raise UnwellError("the worker has not heard the broker yet") from None
    if age > MAX_AGE_SECONDS:
        raise UnwellError(f"the worker has not heard the broker for {age:.0f} s")
    seconds = {"socket_connect_timeout": TIMEOUT_SECONDS, "socket_timeout": TIMEOUT_SECONDS}
    with redis.Redis.from_url(read_environment().REDIS_URL or "", **seconds) as client:
        client.ping()
    return f"heard the broker {max(age, 0):.0f} s ago"


def tick() -> str:
    """A duty of the tick has ended lately, by the database's clock."""
    url = read_environment().DATABASE_URL or ""
    with psycopg.connect(url, connect_timeout=TIMEOUT_SECONDS) as connection:
        row = connection.execute(
            "SELECT extract(epoch FROM clock_timestamp() - max(last_at))::float FROM core_tickbeat"
        ).fetchone()
    age = row[0] if row else None
    if age is None or age > MAX_AGE_SECONDS:
        raise UnwellError("no tick has run yet" if age is None else f"the last tick was {age:.0f} s ago")
    return f"ticked {max(age, 0):.0f} s ago"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.part == "web":
            told = web(options.port)
        else:
            told = worker(options.alive_file) if options.part == "worker" else tick()
    except (UnwellError, OSError, http.client.HTTPException, psycopg.Error, redis.RedisError) as error:
        sys.stdout.write(f"{options.part}: {type(error).__name__}: {error}\n")
        return 1
    sys.stdout.write(f"{options.part}: {told}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m config.healthcheck", description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    of_web = parts.add_parser("web")
    of_web.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8000")), help="PORT, else 8000")
    parts.add_parser("worker").add_argument("--alive-file", type=Path, required=True)
    parts.add_parser("tick")
    return parser


if __name__ == "__main__":
    sys.exit(main())
