"""What all contestants stand on: one durable PostgreSQL, one Valkey, one upstream, all started here and stopped here."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from benchmarks.processes import BenchmarkError, end_of, module, running, stop, tree_cpu_seconds
from config.services import Services, start

PROJECT, TEMPLATE = "bench_project", "bench_template"
# The moment a transaction committed is kept, so that the end of a run is known to be its final commit.
POSTGRES_SETTINGS = {"track_commit_timestamp": "on"}
_LISTENING = re.compile(rb"listening (\d+)\n")


@dataclass(frozen=True)
class Ground:
    """Running servers. `folder` is temporary and holds logs and data."""

    services: Services
    upstream_url: str
    folder: Path
    records: int

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def dsn(self, database: str) -> str:
        return urlsplit(self.services.database_url)._replace(path=f"/{database}").geturl()

    def execute(self, statement: str, database: str = "lineshaft") -> list[tuple[Any, ...]]:
        """Run one statement of ours in a session of its own; answers its rows."""
        with psycopg.connect(self.dsn(database), autocommit=True) as db:
            cursor = db.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def fresh_database(self, name: str, *, template: str = "template1") -> None:
        self.drop_database(name)
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')

    def drop_database(self, name: str) -> None:
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def settle(self, database: str, *, vacuum: bool) -> None:
        """Let no contestant pay for another's dirty pages, nor meet an autovacuum that only chance brings."""
        if vacuum:
            self.execute("VACUUM (ANALYZE)", database)
        self.execute("CHECKPOINT")

    def postgres_cpu_seconds(self) -> float:
        return tree_cpu_seconds(self.services.postgres_pid)

    def upstream(self, path: str, *, method: str = "POST") -> dict[str, Any]:
        """Steer the upstream, or ask what it saw."""
        request = urllib.request.Request(self.upstream_url + path, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            told: dict[str, Any] = json.load(answer)
            return told


@contextmanager
def ground(records: int) -> Iterator[Ground]:
    """Start everything; stop everything, also when interrupted. Sets this process's environment for Django."""
    folder = Path(tempfile.mkdtemp(prefix="lineshaft-bench-"))
    folder.chmod(0o711)  # as root, the servers' own account must pass through
    try:
        with start(folder / "home", postgres_settings=POSTGRES_SETTINGS) as lease:
            _set_environment(lease.services, folder)
            with _upstream(records, folder) as url:
                made = Ground(lease.services, url, folder, records)
                _make_template(made)
                yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _set_environment(services: Services, folder: Path) -> None:
    """A complete environment of its own: keys for this run only, loopback as an allowed network."""
    project_url = urlsplit(services.database_url)._replace(path=f"/{PROJECT}").geturl()
    os.environ.update(
        DJANGO_SETTINGS_MODULE="benchmarks.settings",
        LINESHAFT_MODE="development",
        LINESHAFT_HOME=str(folder / "home"),
        DATABASE_URL=project_url,
        REDIS_URL=services.redis_url,
        REDIS_PREFIX="",
        SECRET_KEY=secrets.token_urlsafe(50),
        TOKEN_PEPPER=secrets.token_urlsafe(50),
        ENCRYPTION_KEYS="bench1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        EGRESS_ALLOWED_NETWORKS="127.0.0.0/8",
        LOG_FORMAT="json",
        LOG_LEVEL="INFO",
    )


@contextmanager
def _upstream(records: int, folder: Path) -> Iterator[str]:
    log = folder / "upstream.log"
    command = module("benchmarks.upstream", "--records", str(records))
    with running(command, log=log, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        found = _LISTENING.match(process.stdout.readline())  # ends with the process, so it never hangs
        if found is None:
            stop(process)
            raise BenchmarkError(f"The upstream does not start:\n{end_of(log)}")
        yield f"http://127.0.0.1:{int(found[1])}"


def _make_template(made: Ground) -> None:
    """The platform's empty tables, and the plain one beside them, migrated once."""
    made.fresh_database(TEMPLATE)
    log = made.log("migrate")
    with log.open("wb") as output:
        done = subprocess.run(
            module("django", "migrate", "--run-syncdb", "--verbosity", "0"),
            env={**os.environ, "DATABASE_URL": made.dsn(TEMPLATE)},
            cwd=Path(__file__).resolve().parent.parent,
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode != 0:
        raise BenchmarkError(f"The migrations fail:\n{end_of(log)}")
