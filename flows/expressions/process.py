"""The helper process that evaluates what people wrote: `python -m flows.expressions.process`, over its two pipes.

It bounds itself before it reads anything: memory, processor time, files, processes. Its parent ends it by the clock. It ends by
itself when its input does, hence with its parent.
"""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import orjson

from flows.expressions import frames
from flows.expressions.evaluating import RefusedError, truth_of, values_of

MAX_MEMORY = 224 * 1024 * 1024
"""Of addresses, all that Python itself takes included: the resident memory is less."""
CPU_SECONDS = 2
"""For one answer. The parent's clock is first, but the parent may be frozen or dead."""
IN, OUT = 0, 1
_LAST_WORDS = frames.ANSWER.pack(frames.OUT_OF_MEMORY, 0, 0)


def main() -> None:
    """Answer until the input ends."""
    _bound()
    _say(frames.READY, b"")
    while head := _read(frames.REQUEST.size):
        kind, length = frames.REQUEST.unpack(head)
        try:
            for answer in _answers(kind, orjson.loads(_read(length))):
                _say(*answer)
        except MemoryError:
            # What is left of the memory is in pieces: the next request gets a new process.
            os.write(OUT, _LAST_WORDS)
            return


def _answers(kind: int, request: Any) -> Iterator[tuple[int, bytes]]:
    expressions, contexts = request
    asked: Iterable[partial[bytes]]
    if kind == frames.RENDER:
        asked = [partial(values_of, expressions, contexts)]
    else:
        asked = (partial(truth_of, expressions, context) for context in contexts)
    for ask in asked:
        _give_time()
        try:
            yield frames.VALUES, ask()
        except RefusedError as error:
            yield frames.REFUSED, error.as_json()


def _say(kind: int, body: bytes) -> None:
    data = memoryview(frames.ANSWER.pack(kind, _used_seconds(), len(body)) + body)
    while data:
        data = data[os.write(OUT, data) :]


def _read(length: int) -> bytes:
    """So many bytes, or nothing where the input ends."""
    pieces = []
    while length:
        piece = os.read(IN, length)
        if not piece:
            return b""
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _bound() -> None:
    """Soft and hard alike, so that nothing lifts them again; of the processor time the soft limit moves with each answer."""
    for limit, value in (
        (resource.RLIMIT_AS, MAX_MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        # The pipes, and a file of time zones.
        (resource.RLIMIT_NOFILE, 8),
    ):
        _limit(limit, value, value)
    _give_time()


def _give_time() -> None:
    _limit(resource.RLIMIT_CPU, math.ceil(_used_seconds()) + CPU_SECONDS, resource.RLIM_INFINITY)


def _limit(limit: int, soft: int, hard: int) -> None:
    """At most what is allowed already."""
    _, most = resource.getrlimit(limit)
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), most if hard == resource.RLIM_INFINITY else min(hard, most)
    resource.setrlimit(limit, (soft, hard))


def _used_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
