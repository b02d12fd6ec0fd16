"""The folder that holds the data, password, logs and control socket of one pair of local servers."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.services.accounts import Account, can_reach
from config.services.errors import LocalServicesError

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Home:
    """Where things lie in the home. Only the folders of a server belong to its account; all else is ours alone."""

    path: Path

    @property
    def control(self) -> Path:
        return self.path / "control.sock"

    @property
    def password_file(self) -> Path:
        return self.path / "password"

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the lock `name`; waits for its holder, and a holder that dies lets go of it."""
        descriptor = os.open(self.path / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return LINESHAFT_HOME, else a folder of this user for this checkout."""
    if chosen := environ.get("LINESHAFT_HOME"):
        return Path(chosen).expanduser()
    name = f"lineshaft-{hashlib.sha256(os.fsencode(CHECKOUT)).hexdigest()[:8]}"
    if os.geteuid() == 0:
        return Path("/var/lib") / name
    state = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / name


def make_home(path: Path, account: Account | None) -> Path:
    """Make the folder of a home when missing. One that exists keeps its mode, as do all its parents."""
    path = path.absolute()
    if not path.exists():
        make_folder(path, _mode(account))
    return path.resolve(strict=True)


def open_home(path: Path, account: Account | None) -> Home:
    """Return the home at `path`, made when missing, after a look at whether it can serve as one."""
    try:
        path = make_home(path, account)
        status = path.stat()
    except OSError as error:
        raise LocalServicesError(
            f"Cannot use {path} ({error.strerror}). Set LINESHAFT_HOME to another folder."
        ) from error
    if status.st_uid != os.geteuid() or status.st_mode & 0o002:
        raise LocalServicesError(
            f"{path} belongs to another user, or others may write to it. Set LINESHAFT_HOME to a folder of your own."
        )
    if not can_reach(path, account):
        raise LocalServicesError(
            f"The servers run as {account.name if account else 'this user'}, who cannot enter {path}. "
            "Set LINESHAFT_HOME to a folder below /var/lib, or to another place that is open to that user."
        )
    return Home(path)


def new_ephemeral_home(account: Account | None) -> Home:
    """Make a new empty home in the first temporary folder that the servers can enter."""
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):
        if Path(parent).is_dir() and can_reach(Path(parent), account):
            path = Path(tempfile.mkdtemp(prefix="lineshaft-", dir=parent))
            path.chmod(_mode(account))
            return Home(path.resolve())
    raise LocalServicesError("The user of the servers can enter no temporary folder. Set TMPDIR to one that is open.")


def _mode(account: Account | None) -> int:
    """Return the mode of a home: as root, the account of the servers must pass through it, but never list it."""
    return 0o700 if account is None else 0o711


def make_folder(path: Path, mode: int) -> None:
    """Make the folder `path` with exactly `mode`, whatever the umask; another process may make it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        staging.chmod(mode)
        publish(staging, path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def publish(staging: Path, target: Path) -> None:
    """Give a finished folder its name in one step; when another process was first, its folder stays."""
    try:
        staging.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def server_folder(path: Path, account: Account | None) -> Path:
    """Make sure that `path`, in a folder of ours, exists and belongs to the servers alone."""
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)
    if account is not None:
        os.chown(path, account.uid, account.gid)
    return path


def read_or_make_password(home: Home) -> str:
    """Return the password of the database roles; made once, readable by us alone."""
    if home.password_file.exists():
        return home.password_file.read_text().strip()
    password = secrets.token_hex(24)
    staging = home.path / "password.new"
    staging.unlink(missing_ok=True)
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password + "\n")
        file.flush()
        os.fsync(descriptor)
    staging.rename(home.password_file)
    return password
