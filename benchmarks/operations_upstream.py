"""The simulator of MaintainX in a process of its own, noting how long it was busy with each request.

    python -m benchmarks.operations_upstream --records 100000 --latency-ms 30

The one line on standard output says where it is, once it is ready. `GET /_timings` answers what it noted:
[[method, path, title in the body, began, ended], ...], seconds since 1970, from the request's first line read to its answer
written.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
import time
from typing import Any

import orjson

from integrations.simulators import SIMULATORS
from integrations.simulators.kit.messages import json_answer
from integrations.simulators.kit.server import Server, _Handler
from integrations.simulators.kit.system import System

TIMINGS: list[tuple[str, str, str | None, float, float]] = []


class TimedHandler(_Handler):
    """Answers as ever, and notes when."""

    body: bytes | None = None

    def do_GET(self) -> None:
        if self.path == "/_timings":
            return self._send(json_answer(200, list(TIMINGS)), "")
        began = time.time()
        super().do_GET()
        TIMINGS.append((self.command, self.path, _title(self.body), began, time.time()))

    do_POST = do_PATCH = do_DELETE = do_GET

    def _read_body(self) -> bytes | None:
        self.body = super()._read_body()
        return self.body


def _title(body: bytes | None) -> str | None:
    content: Any = orjson.loads(body) if body else None
    return content.get("title") if isinstance(content, dict) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--latency-ms", type=float, default=30)
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    system = System(SIMULATORS["maintainx"](), records=options.records)
    system.settings.change({"latency_ms": options.latency_ms})
    server = Server(("127.0.0.1", 0), system)
    server.RequestHandlerClass = TimedHandler
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host, port = server.server_address[:2]
    where = {"origin": f"http://{host!s}:{port}", "prefix": system.tenant.prefix, "api_key": system.api_key}
    print(json.dumps(where), flush=True)
    stop.wait()
    server.shutdown()
    server.close_connections()


if __name__ == "__main__":
    main()
