"""Run a command that is told to stop (SIGTERM) when the process that started it ends, in whatever way.

    python -m console.tethered PARENT_PID COMMAND...

This process becomes the command, so its id stays. Source: prctl(2), PR_SET_PDEATHSIG; it survives execve, and it also
fires when only the starting *thread* ends: start from the main thread.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before we were tied to it
        sys.exit(128 + signal.SIGTERM)
    os.execvp(command[0], command)  # noqa: S606  the command is our own


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
