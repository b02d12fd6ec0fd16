"""Serve one Tryton database over HTTP. Run by the interpreter of Tryton's own environment:

    python serve.py CONFIG DATABASE PORT

Standard input is a lifeline: when it closes, because whoever started us ended in whatever way, we end too. (Linux's
"parent died" signal is not used: it also fires when only the thread that started us ends.)
"""

from __future__ import annotations

import os
import sys
import threading

from trytond import config


def end_with_the_lifeline() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


def main(config_path: str, database: str, port: str) -> None:
    config.update_etc([config_path])
    from trytond.pool import Pool
    from trytond.wsgi import app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_request(self, *args: object) -> None:
            """Write nothing per request: a sync of thousands would fill the log."""

    Pool.start()
    Pool(database).init()
    server = make_server("127.0.0.1", int(port), app, threaded=True, request_handler=Quiet)
    threading.Thread(target=end_with_the_lifeline, daemon=True).start()
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:4])
