"""The process that owns a pair of servers: it starts them, serves the clients' requests, and stops them.

Run by the first client as `python -m config.services.supervisor HOME DESCRIPTOR SETTINGS [--ephemeral]`.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.services import channel
from config.services.accounts import server_account
from config.services.binaries import find_binaries
from config.services.channel import Request
from config.services.errors import LocalServicesError
from config.services.home import Home
from config.services.postgres import Postgres
from config.services.server import Server
from config.services.valkey import Valkey

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
CRASH_LOOP_SECONDS = 5.0


class Supervisor:
    """Keeps the servers while at least one client is attached."""

    def __init__(self, home: Home, settings: Mapping[str, str], *, is_ephemeral: bool) -> None:
        account = server_account()
        binaries = find_binaries(account)
        self._home = home
        self._settings = dict(settings)
        self._postgres = Postgres(home, account, binaries.postgres, settings, is_ephemeral=is_ephemeral)
        self._valkey = Valkey(home, account, binaries.valkey)
        self._servers: tuple[Server, ...] = (self._valkey, self._postgres)
        self._selector = selectors.DefaultSelector()
        self._clients: set[socket.socket] = set()
        self._leaving: list[socket.socket] = []
        self._is_stopping = False

    def run(self, first: socket.socket) -> None:
        """Start the servers, then serve clients until the last has gone. Clients that wait for the end see it last."""
        wakeup = self._listen_to_signals()
        try:
            for server in self._servers:
                server.start()
            self._clients.add(first)
            self._selector.register(first, selectors.EVENT_READ, self._hear)
            self._selector.register(wakeup, selectors.EVENT_READ, self._look_after_servers)
            with channel.listen(self._home.control) as listener:
                self._selector.register(listener, selectors.EVENT_READ, self._accept)
                self._serve()
                self._home.control.unlink(missing_ok=True)
        finally:
            for server in self._servers:
                server.stop()

    def _serve(self) -> None:
        while self._clients and not self._is_stopping:
            for key, _ in self._selector.select():
                assert isinstance(key.fileobj, socket.socket)
                key.data(key.fileobj)

    def _listen_to_signals(self) -> socket.socket:
        """Have signals wake the loop up; the handlers themselves only take note."""
        wakeup, writer = socket.socketpair()
        for end in (wakeup, writer):
            end.setblocking(False)
        signal.set_wakeup_fd(writer.detach())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in STOP_SIGNALS:
            signal.signal(number, lambda *_: self._note_stop())
        signal.pthread_sigmask(signal.SIG_SETMASK, [])  # whoever started us may have blocked some
        return wakeup

    def _note_stop(self) -> None:
        self._is_stopping = True

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        self._selector.register(connection, selectors.EVENT_READ, self._hear)

    def _hear(self, connection: socket.socket) -> None:
        try:
            message = channel.receive(connection)
            if message is not None:
                self._answer(connection, Request(message["do"]))
                return
        except (ConnectionError, ValueError, KeyError) as error:
            print(f"A client went away or cannot be understood: {error!r}", flush=True)
        self._let_go(connection)

    def _let_go(self, connection: socket.socket) -> None:
        """Forget a client. If it was the last, its connection stays open until the servers have stopped."""
        self._selector.unregister(connection)
        was_attached = connection in self._clients
        self._clients.discard(connection)
        if was_attached and not self._clients:
            self._leaving.append(connection)
        else:
            connection.close()

    def _answer(self, connection: socket.socket, request: Request) -> None:
        try:
            if request is Request.ATTACH:
                self._clients.add(connection)
            elif request is Request.STOP:
                self._is_stopping = True
                return  # the end of the connection, after that of the servers, is the answer
            elif request is Request.STOP_POSTGRES:
                self._postgres.stop(signal.SIGQUIT)
            elif request is Request.START_POSTGRES and self._postgres.has_ended():
                self._postgres.start()
        except LocalServicesError as error:
            channel.send(connection, {"error": error.detail})
        else:
            channel.send(connection, self._description())

    def _description(self) -> dict[str, Any]:
        return {
            "database_url": self._postgres.url,
            "redis_url": self._valkey.url,
            "home": str(self._home.path),
            "postgres_pid": self._postgres.pid,
            "redis_pid": self._valkey.pid,
            "supervisor_pid": os.getpid(),
            "postgres_settings": self._settings,
            "clients": len(self._clients),
        }

    def _look_after_servers(self, wakeup: socket.socket) -> None:
        """Start a server again that ended by itself (out of memory, killed); one that cannot live ends us all."""
        wakeup.recv(channel.MESSAGE_BYTES)
        for server in self._servers:
            if not server.is_wanted or not server.has_ended():
                continue
            print(f"{server.name} ended unexpectedly.", flush=True)
            if time.monotonic() - server.started_at < CRASH_LOOP_SECONDS:
                self._is_stopping = True
            else:
                server.start()


def supervise(home: Home, first: socket.socket, settings: Mapping[str, str], *, is_ephemeral: bool) -> None:
    """Run one supervisor; one that still stops the servers of this home is waited for.

    `supervisor` lives to the end of this function: closing its connections tells clients that all is done.
    """
    try:
        with home.locked("supervisor"):
            _keep_one_old_log(home)
            supervisor = Supervisor(home, settings, is_ephemeral=is_ephemeral)
            supervisor.run(first)
    except LocalServicesError as error:
        print(error.detail, flush=True)
        try:
            channel.send(first, {"error": error.detail})
        except ConnectionError:
            return  # the client has given up; the log has it
    finally:
        if is_ephemeral:
            shutil.rmtree(home.path)


def _keep_one_old_log(home: Home) -> None:
    for name in ("postgresql", "valkey"):
        log = home.log(name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="config.services.supervisor")
    parser.add_argument("home", type=Path)
    parser.add_argument("descriptor", type=int)
    parser.add_argument("settings", type=json.loads)
    parser.add_argument("--ephemeral", action="store_true")
    options = parser.parse_args()
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    first = socket.socket(fileno=options.descriptor)
    first.set_inheritable(False)
    supervise(Home(options.home), first, options.settings, is_ephemeral=options.ephemeral)


if __name__ == "__main__":
    main()
