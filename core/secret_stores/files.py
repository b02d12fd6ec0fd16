"""Files as a place to write a secret to: readable by their owner alone, replaced in one step."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp

from core.errors import ConfigError, ValidationFailedError

MAX_PATH = 280
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def parse_path(text: str) -> Path:
    """The path in `file:/absolute/path`. Errors: ValidationFailedError TARGET_INVALID."""
    path = text.removeprefix("file:")
    parts = path.split("/")
    plain = path.startswith("/") and len(path) <= MAX_PATH and not _CONTROL.search(path)
    if not plain or any(part in ("", ".", "..") for part in parts[1:]):
        raise ValidationFailedError(
            "A file is named by its absolute path, such as file:/etc/plant/lineshaft.token, without `//`, `.` or `..`"
            f" and with at most {MAX_PATH} characters.",
            code="TARGET_INVALID",
        )
    return Path(path)


def check(path: Path) -> None:
    """See that the file can be written, and that nobody else's would be. Errors: ConfigError TARGET_UNUSABLE."""
    if not path.parent.is_dir():
        raise _unusable(path, "the folder does not exist. Make it first.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise _unusable(path, "this process may not write into the folder.")
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise _unusable(path, "a link, folder or device of that name is there; only a plain file is replaced.")
    if found.st_uid != os.geteuid():
        raise _unusable(path, "the file there belongs to another user.")


def write(path: Path, value: str) -> str:
    """Put the value, and nothing else, into the file: mode 0600, the old content until the new one is whole."""
    check(path)
    try:
        _replace(path, value.encode())
    except OSError as error:
        raise _unusable(path, f"it cannot be written: {error.strerror}.") from error
    return f"file:{path}"


def _replace(path: Path, content: bytes) -> None:
    handle, draft = mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(draft)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(f"file:{path}: {why}", code="TARGET_UNUSABLE")
