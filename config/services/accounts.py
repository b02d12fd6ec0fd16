"""Whom the servers run as: never root."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from config.services.errors import LocalServicesError

UNPRIVILEGED_NAMES = ("nobody", "daemon")


class Identity(TypedDict, total=False):
    """The arguments of `subprocess.Popen` that choose whom a process runs as."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """An unprivileged user of this machine that root starts the servers as."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """Return the account for the servers; None means ourselves, who are not root."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise LocalServicesError(
        f"PostgreSQL refuses to run as root, and none of the users {', '.join(UNPRIVILEGED_NAMES)} exists. "
        "Start Lineshaft as an ordinary user, or set DATABASE_URL and REDIS_URL."
    )


def identity(account: Account | None) -> Identity:
    """Return the Popen arguments that make a process run as `account`, without any of our groups."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def can_reach(path: Path, account: Account | None) -> bool:
    """Tell whether `account` may enter the folder `path`; asked of the kernel, so access lists count too."""
    command = ["/bin/sh", "-c", 'test -d "$1" && test -x "$1"', "sh", str(path)]
    try:
        return subprocess.run(command, **identity(account), cwd="/", check=False).returncode == 0
    except (OSError, subprocess.SubprocessError) as error:
        raise LocalServicesError(
            f"Cannot run a process as {account.name if account else 'ourselves'}: {error}. "
            "Start Lineshaft as an ordinary user, or set DATABASE_URL and REDIS_URL."
        ) from error
