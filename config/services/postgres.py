"""The local PostgreSQL: a cluster with one password, made on first use, reachable on 127.0.0.1 only."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from config.services.accounts import Account
from config.services.errors import LocalServicesError
from config.services.home import Home, read_or_make_password, server_folder
from config.services.server import POLL_SECONDS, Server, spawn, tail

ROLE = DATABASE = "lineshaft"
SOCKET_PATH_LIMIT = 107  # sun_path holds 108 bytes, the last is zero
LEFTOVER_SECONDS = 60.0
READY_LINE = 7  # of postmaster.pid; source: PostgreSQL's miscadmin.h, LOCK_FILE_LINE_PM_STATUS

DEVELOPMENT_SETTINGS = {
    "shared_buffers": "256MB",
    "max_connections": "200",
    "max_wal_size": "4GB",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}
# A stopped or killed server still keeps what it committed; only a crash of the machine would lose it.
EPHEMERAL_SETTINGS = {"fsync": "off", "full_page_writes": "off"}
RESERVED_SETTINGS = frozenset(
    {"port", "listen_addresses", "data_directory", "hba_file", "config_file", "unix_socket_directories"}
)


class Postgres(Server):
    """PostgreSQL with the database `lineshaft`, owned by a role of that name that may create databases.

    The superuser `postgres` has the same password, for the few things an owner may not do.
    """

    name: ClassVar[str] = "PostgreSQL"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": ends sessions, writes a checkpoint
    stop_seconds: ClassVar[float] = 30.0

    def __init__(
        self, home: Home, account: Account | None, programs: Path, settings: Mapping[str, str], *, is_ephemeral: bool
    ) -> None:
        super().__init__(home, account)
        if reserved := RESERVED_SETTINGS & settings.keys():
            raise LocalServicesError(f"These PostgreSQL settings are chosen here: {', '.join(sorted(reserved))}.")
        self._programs = programs
        self._settings = DEVELOPMENT_SETTINGS | (EPHEMERAL_SETTINGS if is_ephemeral else {}) | dict(settings)
        self._is_ephemeral = is_ephemeral
        self._password = ""
        self._folder = home.path / "postgres"
        self._data = self._folder / "data"
        self._pid_file = self._data / "postmaster.pid"

    @property
    def url(self) -> str:
        return f"postgresql://{ROLE}:{self._password}@127.0.0.1:{self.port}/{DATABASE}"

    def prepare(self) -> None:
        self._folder.mkdir(exist_ok=True)
        self._folder.chmod(0o700 if self.account is None else 0o711)
        self._write_access_rules()
        if not self._data.exists():
            self._make_cluster()
        elif not self.home.password_file.exists():
            raise LocalServicesError(
                f"{self.home.password_file} is missing, so nobody can sign in to {self._data}. "
                f"Put it back, or remove {self.home.path} to begin anew."
            )
        self._password = read_or_make_password(self.home)
        self._end_leftover()
        shutil.rmtree(self._sockets, ignore_errors=True)
        server_folder(self._sockets, self.account)

    def command(self, port: int) -> list[str]:
        has_socket = len(os.fsencode(self._sockets / f".s.PGSQL.{port}")) <= SOCKET_PATH_LIMIT
        settings = self._settings | {
            "port": str(port),
            "listen_addresses": "127.0.0.1",
            "hba_file": str(self._access_rules),
            # With a long home there is no short place inside it: TCP alone, which is what the URL uses anyway.
            "unix_socket_directories": f'"{self._sockets}"' if has_socket else "",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._programs / "postgres"), "-D", str(self._data), *options]

    def is_ready(self, port: int, pid: int) -> bool:
        lines = self._pid_lines()
        return len(lines) > READY_LINE and lines[0] == str(pid) and lines[READY_LINE].strip() == "ready"

    @property
    def _sockets(self) -> Path:
        return self._folder / "run"

    @property
    def _access_rules(self) -> Path:
        return self._folder / "pg_hba.conf"

    def _write_access_rules(self) -> None:
        """Ask everybody for the password; the file is ours, so the server itself cannot loosen it."""
        self._access_rules.write_text("local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n")
        self._access_rules.chmod(0o644)

    def _make_cluster(self) -> None:
        """Make the cluster aside and give it its name when complete: a half-made one is never used."""
        password = read_or_make_password(self.home)
        staging = self._folder / "data.new"
        shutil.rmtree(staging, ignore_errors=True)
        server_folder(staging, self.account)
        # The built-in locale sorts alike on every machine, and needs no locale installed.
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-locale", "--encoding=UTF8"]
        sync = ["--no-sync"] if self._is_ephemeral else []
        self._run("initdb", "-D", str(staging), "--username=postgres", "--auth=reject", *locale, *sync, script="")
        statements = (
            f"ALTER ROLE postgres PASSWORD '{password}';",
            f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{password}' IN ROLE pg_monitor, pg_signal_backend, pg_checkpoint;",
            f"CREATE DATABASE {DATABASE} OWNER {ROLE};",
        )
        single = ["--single", "-D", str(staging), "-c", "exit_on_error=on", "-c", "password_encryption=scram-sha-256"]
        self._run("postgres", *single, "postgres", script="\n".join(statements) + "\n")
        staging.rename(self._data)

    def _run(self, program: str, *arguments: str, script: str) -> None:
        log = self.home.log("postgresql")
        process = spawn([str(self._programs / program), *arguments], self.account, log, stop_signal=signal.SIGKILL)
        process.communicate(script.encode())
        if process.returncode != 0:
            raise LocalServicesError(f"{program} failed. Its log, {log}, ends with:\n{tail(log)}")

    def _pid_lines(self) -> list[str]:
        try:
            return self._pid_file.read_text().splitlines()
        except FileNotFoundError:
            return []

    def _end_leftover(self) -> None:
        """Wait for the server of a killed supervisor, which is stopping; forget a recorded pid that is not its own.

        After a crash the number may belong to any process, and PostgreSQL would then refuse to start.
        """
        lines = self._pid_lines()
        if not lines or not lines[0].isdigit():
            return
        pid = int(lines[0])
        if self._is_ours(pid):
            os.kill(pid, signal.SIGINT)
            deadline = time.monotonic() + LEFTOVER_SECONDS
            while self._is_ours(pid):
                if time.monotonic() > deadline:
                    raise LocalServicesError(f"Process {pid} still uses {self._data} and does not end: stop it.")
                time.sleep(POLL_SECONDS)
        elif Path(f"/proc/{pid}").exists():
            self._pid_file.unlink(missing_ok=True)

    def _is_ours(self, pid: int) -> bool:
        """Tell whether `pid` is a server on our data: PostgreSQL works in its data folder."""
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == self._data
        except OSError:
            return False  # gone, or of another user
