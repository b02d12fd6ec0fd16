"""Serve one Tryton database over HTTP. Run by the interpreter of Tryton's own environment:

    python serve.py CONFIG DATABASE PORT

Standard input is a lifeline: when it closes, because whoever started us ended in whatever way, we end too. (Linux's
"parent died" signal is not used: it also fires when only the thread that started us ends.)
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from trytond import config

LOCK_MILLISECONDS = 30_000


def end_with_the_lifeline() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


def lock_before_reading() -> None:
    """Let a transaction that may write take SQLite's lock before it reads.

    Tryton on SQLite takes it with the first write: of 20 parties created at once 17 got the number that another had
    just taken. PostgreSQL, which plants use, locks the sequence.
    """
    from trytond.backend.sqlite.database import Database
    from trytond.transaction import Transaction

    connect = Database.get_connection

    def get_connection(self: Any, autocommit: bool = False, readonly: bool = False, **options: Any) -> Any:
        connection = connect(self, autocommit=autocommit, readonly=readonly, **options)
        # Within a transaction Tryton may open a second one to look something up: that one must not wait for the first.
        outermost = len(Transaction._local.transactions) == 1
        if outermost and not (autocommit or readonly or connection.in_transaction):
            connection.execute(f"PRAGMA busy_timeout = {LOCK_MILLISECONDS}")
            connection.execute("BEGIN IMMEDIATE")
        return connection

    Database.get_connection = get_connection


def main(config_path: str, database: str, port: str) -> None:
    config.update_etc([config_path])
    from trytond.pool import Pool
    from trytond.wsgi import app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_request(self, *args: object) -> None:
            """Write nothing per request: a sync of thousands would fill the log."""

    lock_before_reading()
    Pool.start()
    Pool(database).init()
    server = make_server("127.0.0.1", int(port), app, threaded=True, request_handler=Quiet)
    threading.Thread(target=end_with_the_lifeline, daemon=True).start()
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:4])
