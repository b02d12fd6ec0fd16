"""Keys of a development installation, made once and kept beside its local services.

Production names its keys in the environment; these exist so that the first start asks for nothing.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
from pathlib import Path

from config.services.accounts import server_account
from config.services.home import default_home, make_home


def _make(name: str) -> str:
    if name == "ENCRYPTION_KEYS":
        return "dev1:" + base64.b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_urlsafe(50)


def development_key(name: str) -> str:
    """The kept key, made at the first call. Two processes starting at once agree on one: the first to link wins."""
    home = Path(default_home())
    make_home(home, server_account())  # the servers' account must be able to enter it, whatever the umask
    folder = home / "keys"
    folder.mkdir(exist_ok=True, mode=0o700)
    path = folder / name
    if not path.exists():
        draft = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(_make(name))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text()
