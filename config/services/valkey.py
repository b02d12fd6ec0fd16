"""The local Valkey (or Redis): it carries hints only, so it keeps nothing on disk."""

from __future__ import annotations

import secrets
import signal
import socket
from pathlib import Path
from typing import ClassVar

from config.services.accounts import Account
from config.services.home import Home, server_folder
from config.services.server import Server

ANSWER_SECONDS = 1.0


class Valkey(Server):
    """Valkey with a new password at each supervisor's start; nobody needs it longer than the server lives."""

    name: ClassVar[str] = "Valkey"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_seconds: ClassVar[float] = 5.0

    def __init__(self, home: Home, account: Account | None, program: Path) -> None:
        super().__init__(home, account)
        self._program = program
        self._password = secrets.token_hex(24)
        self._folder = home.path / "valkey"

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        server_folder(self._folder, self.account)

    def command(self, port: int) -> list[str]:
        return [str(self._program), "-"]  # the configuration comes by standard input: no password on disk or in `ps`

    def configuration(self, port: int) -> bytes:
        lines = (
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {self._password}",
            f'dir "{self._folder}"',
            'save ""',
            "appendonly no",
            "daemonize no",
        )
        return "\n".join(lines).encode() + b"\n"

    def is_ready(self, port: int, pid: int) -> bool:
        """Only our server knows the password: another one that took the port is not mistaken for it."""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as connection:
                connection.sendall(f"AUTH {self._password}\r\n".encode())
                return connection.recv(64).startswith(b"+OK")
        except OSError:
            return False
