"""`python -m config.services run|status|stop`: the local servers from a shell."""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from config.services.channel import Request
from config.services.errors import LocalServicesError
from config.services.home import Home, default_home
from config.services.lease import request, start

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WATCHED = (*PASSED_ON, signal.SIGCHLD)
NOT_RUNNING = 3  # as the status action of init scripts
COMMAND_NOT_FOUND = 127


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.action == "run":
            return _run(options.command, ephemeral=options.ephemeral)
        return _status() if options.action == "status" else _stop()
    except LocalServicesError as error:
        print(f"error: {error.detail}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m config.services",
        description="PostgreSQL and Valkey of this machine. LINESHAFT_HOME moves them.",
    )
    actions = parser.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="run COMMAND with DATABASE_URL and REDIS_URL; return its exit code")
    run.add_argument("--ephemeral", action="store_true", help="a pair of its own, removed at the end")
    run.add_argument("command", nargs="+", metavar="COMMAND", help="after --")
    actions.add_parser("status", help="print what runs")
    actions.add_parser("stop", help="stop the servers, whoever uses them")
    return parser


def _run(command: Sequence[str], *, ephemeral: bool) -> int:
    with start(ephemeral=ephemeral) as lease:
        urls = {"DATABASE_URL": lease.services.database_url, "REDIS_URL": lease.services.redis_url}
        return _run_command(command, os.environ | urls)


def _run_command(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command and pass on the signals we get.

    Ctrl-C comes from the kernel to the whole foreground group, the command included: that one is not sent again.
    """
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    try:
        child = subprocess.Popen(
            command,
            env=environment,
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, previous),
        )
    except (FileNotFoundError, PermissionError) as error:
        print(f"error: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return COMMAND_NOT_FOUND
    while child.poll() is None:
        received = signal.sigwaitinfo(WATCHED)
        is_from_terminal = received.si_code > 0
        if received.si_signo in PASSED_ON and not is_from_terminal:
            child.send_signal(received.si_signo)
    code = child.returncode
    return code if code >= 0 else 128 - code


def _status() -> int:
    home = Home(default_home())
    message = request(home, Request.STATUS)
    if message is None:
        print(f"No servers run for {home.path}.")
        return NOT_RUNNING
    print(f"Home        {message['home']}")
    print(f"PostgreSQL  {_masked(message['database_url'])}  (process {message['postgres_pid']})")
    print(f"Valkey      {_masked(message['redis_url'])}  (process {message['redis_pid']})")
    print(f"Supervisor  process {message['supervisor_pid']}, {message['clients']} attached")
    return 0


def _stop() -> int:
    home = Home(default_home())
    request(home, Request.STOP)
    print(f"No servers run for {home.path}.")
    return 0


def _masked(url: str) -> str:
    return re.sub(r":[^:@/]+@", ":***@", url)


if __name__ == "__main__":
    sys.exit(main())
