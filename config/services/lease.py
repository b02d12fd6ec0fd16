"""The clients' side: attach to the running pair of servers, or have it started, and hold on to it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from config.services import channel
from config.services.accounts import server_account
from config.services.channel import Request
from config.services.errors import LocalServicesError
from config.services.home import CHECKOUT, Home, default_home, new_ephemeral_home, open_home
from config.services.server import tail

ANSWER_SECONDS = 180.0  # the predecessor may still write its checkpoint, and PostgreSQL recover from a crash


@dataclass(frozen=True)
class Services:
    """A running pair of servers: where they listen (with password), where they keep things, their process ids."""

    database_url: str
    redis_url: str
    home: Path
    postgres_pid: int
    redis_pid: int

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Self:
        return cls(
            database_url=message["database_url"],
            redis_url=message["redis_url"],
            home=Path(message["home"]),
            postgres_pid=message["postgres_pid"],
            redis_pid=message["redis_pid"],
        )


class Lease:
    """A claim on the servers: they run until the last lease is released or its process has ended, however it ended.

    The connection to the supervisor is the claim. It is closed on exec, so programs started from here do not prolong
    it. A forked child shares it: the child's exit or release changes nothing for us.
    """

    def __init__(self, connection: socket.socket, services: Services) -> None:
        # Kept as a bare descriptor: a lease nobody refers to any more holds on until its process ends.
        self._descriptor: int | None = connection.detach()
        self._owner = os.getpid()
        self._services = services

    @property
    def services(self) -> Services:
        return self._services

    def release(self) -> None:
        """Give the servers up. Returns when they have stopped, or at once when somebody else still uses them."""
        if self._descriptor is None:
            return
        with socket.socket(fileno=self._descriptor) as connection:
            self._descriptor = None
            if self._owner != os.getpid():
                return
            try:
                connection.settimeout(ANSWER_SECONDS)
                connection.shutdown(socket.SHUT_WR)
                while channel.receive(connection) is not None:
                    continue
            except OSError:
                return  # the supervisor was killed, or hangs: nothing is left to wait for

    def stop_postgres_immediately(self) -> None:
        """Stop PostgreSQL for every client as a crash would: no checkpoint, sessions cut off."""
        self._control(Request.STOP_POSTGRES)

    def start_postgres(self) -> None:
        """Start PostgreSQL again on the same port, and wait until it has recovered."""
        self._services = Services.from_message(self._control(Request.START_POSTGRES))

    def _control(self, what: Request) -> dict[str, Any]:
        message = request(Home(self._services.home), what)
        if message is None:
            raise LocalServicesError("The local servers have been stopped: start them again.")
        return message

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def start(
    home: Path | None = None, *, ephemeral: bool = False, postgres_settings: Mapping[str, str] | None = None
) -> Lease:
    """Attach to the servers of `home` (the default home when None), which are started when they do not run.

    `ephemeral` makes a pair of its own in a new temporary folder, which is removed at the end; a crash of the machine
    may lose its data. `postgres_settings` are those of postgresql.conf and count for whoever starts the server.
    Errors: LocalServicesError, with the end of the server's log when a server does not start.
    """
    if not sys.platform.startswith("linux"):
        raise LocalServicesError("Local servers are started on Linux only. Set DATABASE_URL and REDIS_URL.")
    if ephemeral and home is not None:
        raise LocalServicesError("An ephemeral pair of servers chooses its own folder: give no home.")
    account = server_account()
    if not ephemeral:
        opened = open_home(home or default_home(), account)
        return _attach(opened, postgres_settings) or _attach_or_spawn(opened, postgres_settings)
    temporary = new_ephemeral_home(account)
    try:
        return _spawn(temporary, postgres_settings, is_ephemeral=True)
    except BaseException:
        shutil.rmtree(temporary.path, ignore_errors=True)
        raise


def request(home: Home, what: Request) -> dict[str, Any] | None:
    """Ask the supervisor once and return its answer; None when there is no supervisor or it stopped."""
    try:
        connection = channel.connect(home.control, ANSWER_SECONDS)
    except PermissionError as error:
        raise LocalServicesError(f"{home.path} belongs to another user. Set LINESHAFT_HOME.") from error
    if connection is None:
        return None
    with connection:
        return _ask(connection, what)


def _attach_or_spawn(home: Home, settings: Mapping[str, str] | None) -> Lease:
    with home.locked("start"):
        return _attach(home, settings) or _spawn(home, settings, is_ephemeral=False)


def _attach(home: Home, settings: Mapping[str, str] | None) -> Lease | None:
    """Attach to a running supervisor; None when there is none, or it is stopping."""
    connection = channel.connect(home.control, ANSWER_SECONDS)
    if connection is None:
        return None
    try:
        message = _ask(connection, Request.ATTACH)
        if message is None:
            connection.close()
            return None
        if settings is not None and message["postgres_settings"] != dict(settings):
            raise LocalServicesError(
                "The local PostgreSQL runs with other settings: stop it with `python -m config.services stop`."
            )
        return Lease(connection, Services.from_message(message))
    except BaseException:
        connection.close()
        raise


def _ask(connection: socket.socket, what: Request) -> dict[str, Any] | None:
    try:
        channel.send(connection, {"do": what})
        message = channel.receive(connection)
    except TimeoutError as error:
        raise LocalServicesError("The supervisor of the local servers does not answer: end its process.") from error
    except (BrokenPipeError, ConnectionResetError):
        return None
    if message is not None and "error" in message:
        raise LocalServicesError(message["error"])
    return message


def _spawn(home: Home, settings: Mapping[str, str] | None, *, is_ephemeral: bool) -> Lease:
    """Start a supervisor. It is born with our connection, so that it sees our end even while it starts."""
    ours, its = socket.socketpair(*channel.KIND)
    try:
        with its:
            _run_supervisor(home, its, settings or {}, is_ephemeral=is_ephemeral)
        ours.settimeout(ANSWER_SECONDS)
        message = _ask(ours, Request.ATTACH)
        if message is None:
            raise LocalServicesError(f"The supervisor of the local servers ended:\n{tail(home.log('supervisor'))}")
        return Lease(ours, Services.from_message(message))
    except BaseException:
        ours.close()
        raise


def _run_supervisor(home: Home, connection: socket.socket, settings: Mapping[str, str], *, is_ephemeral: bool) -> None:
    arguments = [str(home.path), str(connection.fileno()), json.dumps(dict(settings))]
    home.log("supervisor").parent.mkdir(mode=0o700, exist_ok=True)
    with home.log("supervisor").open("wb") as log:
        # It forks once more and returns: the supervisor is no child of ours, in a session without our terminal.
        launcher = subprocess.run(
            [
                sys.executable,
                "-m",
                "config.services.supervisor",
                *arguments,
                *(["--ephemeral"] if is_ephemeral else []),
            ],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[connection.fileno()],
            start_new_session=True,
            check=False,
        )
    if launcher.returncode != 0:
        raise LocalServicesError(f"The supervisor of the local servers does not start:\n{tail(home.log('supervisor'))}")
