"""Make Tryton's own virtual environment and the seeded database, once, in the user's cache folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from core.errors import ConfigError

HERE = Path(__file__).resolve().parent
INSIDE = HERE / "inside"
REPOSITORY = HERE.parent.parent
REQUIREMENTS = REPOSITORY / "requirements" / "tryton.txt"
DATABASE = "tryton"
LOG_TAIL_LINES = 30


def cache_root() -> Path:
    """Return the folder for everything that can be made again: LINESHAFT_CACHE, or the user's cache folder."""
    if chosen := os.environ.get("LINESHAFT_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lineshaft"


def setup() -> tuple[Path, Path]:
    """Return (interpreter of the environment, seeded database file), making what is missing.

    Errors: ConfigError with the end of the log when a step fails.
    """
    folder = cache_root() / "tryton"
    environment_key = _key(sys.version.encode(), REQUIREMENTS.read_bytes())
    environment = once(folder / f"environment-{environment_key}", _make_environment)
    python = environment / "bin" / "python"
    sources = sorted(path for path in INSIDE.iterdir() if path.is_file() and path.name != "serve.py")
    database_key = _key(environment_key.encode(), *(path.name.encode() + path.read_bytes() for path in sources))
    seeded = once(folder / f"database-{database_key}", lambda target: _seed(python, target))
    return python, seeded / f"{DATABASE}.sqlite"


def _key(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


def once(target: Path, make: Callable[[Path], None]) -> Path:
    """Return the folder `target`, filled by `make` if it is not there: whole or not at all, by one process only."""
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_suffix(".lock")):
        if not target.exists():
            unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
            try:
                make(unfinished)
                unfinished.rename(target)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return target


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_environment(target: Path) -> None:
    """Install the locked, hashed requirements; by uv where the project has it, else by pip.

    The folder is renamed afterwards: its interpreter does not mind, its console scripts would and are not used.
    """
    say("installing Tryton")
    python = target / "bin" / "python"
    uv = REPOSITORY / ".venv" / "bin" / "uv"
    hashed = ["--require-hashes", "--quiet", "-r", str(REQUIREMENTS)]
    if uv.exists():
        _run([sys.executable, "-m", "venv", "--without-pip", str(target)])
        _run([str(uv), "pip", "install", "--compile-bytecode", "--python", str(python), *hashed])
    else:
        _run([sys.executable, "-m", "venv", str(target)])
        _run([str(python), "-m", "pip", "install", "--disable-pip-version-check", *hashed])


def _seed(python: Path, target: Path) -> None:
    say("seeding the plant")
    database = target / f"{DATABASE}.sqlite"
    database.touch()
    config = write_config(target)
    # -B: nothing is written into the checkout, not even compiled files.
    _run([str(python), "-B", str(INSIDE / "seed.py"), str(config), DATABASE])
    config.unlink()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def write_config(folder: Path) -> Path:
    """Write the configuration of a server whose databases lie in `folder`."""
    path = folder / "trytond.conf"
    path.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n")
    return path


def _run(command: list[str]) -> None:
    """Run one step, passing its output on to standard error; its last lines go into the error when it fails."""
    # Tryton walks over sets of names: without a fixed seed numbers would be given in another order on each build.
    variables = os.environ | {"PYTHONHASHSEED": "0"}
    lines: deque[str] = deque(maxlen=LOG_TAIL_LINES)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=variables,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            say(lines[-1])
    if process.returncode:
        step = Path(command[0]).name
        raise ConfigError(f"The Tryton sandbox could not be made: {step} failed.", log_detail="\n".join(lines))


def say(text: str) -> None:
    print(f"tryton sandbox: {text}", file=sys.stderr, flush=True)
