"""A process that is told: it notes every message with the time it came, and answers as its kind does.

    python -m tests.chaos.webhooks.sink KIND LOG [PORT]

Kinds: `good` answers 204, `flapping` 500 half of the time, `slow` after two seconds. Once a file `LOG.healed` is there each
of them is good. Prints its port. Lines of LOG: webhook-id, id in the body, seconds since 1970, status.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import IO

SLOW_SECONDS = 2.0


class Sink:
    """Serves one kind until its process is ended."""

    def __init__(self, kind: str, log: Path) -> None:
        self.kind, self.healed = kind, log.with_suffix(".healed")
        self.file: IO[str] = log.open("a", buffering=1)
        self.chance = random.Random(1)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                body = await reader.readexactly(int(headers["content-length"]))
                came = time.time()
                status = await self.status()
                self.file.write(f"{headers['webhook-id']} {json.loads(body)['id']} {came:.6f} {status}\n")
                writer.write(f"HTTP/1.1 {status} Told\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def status(self) -> int:
        if self.kind == "good" or self.healed.exists():
            return 204
        if self.kind == "slow":
            await asyncio.sleep(SLOW_SECONDS)
            return 204
        return self.chance.choice((204, 500))


async def main(kind: str, log: str, port: str = "0") -> None:
    server = await asyncio.start_server(Sink(kind, Path(log)).serve, "127.0.0.1", int(port), backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
