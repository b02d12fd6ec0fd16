"""Command line: `python -m sandbox.tryton setup` and `python -m sandbox.tryton run [--port N] [--work-dir FOLDER]`."""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import suppress
from pathlib import Path

from core.errors import LineshaftError

from . import environment
from .server import running


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.command == "setup":
            _python, seeded = environment.setup()
            environment.say(f"ready: {seeded}")
        else:
            run(options.port, options.work_dir)
    except LineshaftError as error:
        print(f"{error.detail}\n{error.log_detail}", file=sys.stderr)
        return 1
    return 0


def run(port: int, work_dir: Path | None) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt), running(port, work_dir=work_dir) as server:
        print(f"Tryton listens on {server.base_url}, database {server.database!r}.")
        print(f"Connector: {server.user} / {server.password}")
        print(f"Administrator: {server.admin_user} / {server.admin_password}", flush=True)
        signal.pause()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.tryton", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="make the environment and the seeded database")
    serve = commands.add_parser("run", help="run a copy until Ctrl-C")
    serve.add_argument("--port", type=int, default=0, help="0 (default) takes a free port")
    serve.add_argument("--work-dir", type=Path, default=None, help="keep the database here between runs")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
