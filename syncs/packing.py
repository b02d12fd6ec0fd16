"""Records at rest: zstd with a dictionary learnt from the connection's own objects.

Objects of one entity differ in their values, not in their shape. A dictionary learnt from a first page brings a unified
form of 1.8 kB to 0.3 kB and its raw object from 1.1 kB to 0.2 kB, in 4 microseconds for both: a sixth of the write-ahead
log, of the disk, and of what a list fetches (docs/adr/0008). Until there is a dictionary, objects are packed without.

A frame names its dictionary, so a new one leaves what is stored readable. Dictionaries hold pieces of a customer's data:
they belong to a connection and go with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from random import randrange
from typing import Any, cast
from uuid import UUID

import zstandard
from django.db import IntegrityError, transaction

from core.errors import BugError
from syncs.models import Record, RecordDictionary

LEVEL = 1
DICTIONARY_BYTES = 16_384
ENOUGH_SAMPLES = 200  # texts; fewer teach too little
SAMPLES = 400
FIRST_NUMBER = 32_768  # those below are reserved by the format
# Given, these spare the library its search for better ones: 10 ms in place of 120, for 5 % in size.
TRAINING = {"k": 1024, "d": 8}


class Packer:
    """Packs for one entity of one connection. Not for two threads at once."""

    def __init__(self, dictionary: bytes | None) -> None:
        self.has_dictionary = dictionary is not None
        known = zstandard.ZstdCompressionDict(dictionary) if dictionary is not None else None
        if known is not None:
            known.precompute_compress(level=LEVEL)
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=known, write_checksum=False)

    def pack(self, texts: list[bytes]) -> list[bytes]:
        """Pack many texts in one call, which leaves Python to other threads all the while.

        One call a text gives Python away and waits for it again each time: with a busy second thread that cost eight
        times the packing itself.
        """
        if not texts:
            return []
        frames: Any = self._compressor.multi_compress_to_buffer(cast("list[Any]", texts))
        return [frame.tobytes() for frame in frames]


def packer_for(connection_id: UUID, entity: str) -> Packer:
    """A packer with the connection's latest dictionary, or without one."""
    latest = RecordDictionary.objects.filter(connection_id=connection_id, entity=entity).order_by("-created_at").first()
    return Packer(bytes(latest.data) if latest is not None else None)


def learn(texts: Sequence[bytes], *, workspace_id: UUID, connection_id: UUID, entity: str) -> Packer | None:
    """Learn a dictionary from unified and raw texts and keep it; None when there are too few to learn from."""
    if len(texts) < ENOUGH_SAMPLES:
        return None
    step = max(1, len(texts) // SAMPLES)
    number = randrange(FIRST_NUMBER, 2**31)
    try:
        made = zstandard.train_dictionary(DICTIONARY_BYTES, list(texts[::step]), dict_id=number, **TRAINING).as_bytes()
    except zstandard.ZstdError:
        return None  # texts too short or too alike to learn from: they pack well enough without
    try:
        with transaction.atomic():
            RecordDictionary.objects.create(
                id=number, workspace_id=workspace_id, connection_id=connection_id, entity=entity, data=made
            )
    except IntegrityError:
        return None  # the number is taken; the next page draws another
    return Packer(made)


def unpack(packed: Iterable[bytes], *, connection_id: UUID) -> list[bytes]:
    """The texts again. Reads a dictionary once a process; `connection_id` limits which."""
    texts = []
    number, decompress = -1, _decompressor(0, connection_id)
    for frame in packed:
        wanted = zstandard.get_frame_parameters(frame).dict_id
        if wanted != number:
            number, decompress = wanted, _decompressor(wanted, connection_id)
        texts.append(decompress(frame))
    return texts


_own = threading.local()


def _decompressor(number: int, connection_id: UUID) -> Callable[[bytes], bytes]:
    """This thread's decompressor for a dictionary: none may be used by two at once."""
    kept: dict[tuple[int, UUID], Callable[[bytes], bytes]] = _own.__dict__.setdefault("kept", {})
    if (number, connection_id) not in kept:
        if len(kept) >= 256:
            kept.clear()
        known = zstandard.ZstdCompressionDict(_dictionary(number, connection_id)) if number else None
        kept[number, connection_id] = zstandard.ZstdDecompressor(dict_data=known).decompress
    return kept[number, connection_id]


@lru_cache(maxsize=256)
def _dictionary(number: int, connection_id: UUID) -> bytes:
    found = (
        RecordDictionary.objects.filter(pk=number, connection_id=connection_id).values_list("data", flat=True).first()
    )
    if found is None:
        raise BugError(f"The dictionary {number} of connection {connection_id} is gone; its records cannot be read.")
    return bytes(found)


def body_of(record: Record) -> str:
    """The unified form of one record as JSON text."""
    return unpack([bytes(record.body)], connection_id=record.connection_id)[0].decode()


def raw_of(record: Record) -> str:
    """The upstream object of one record as it came."""
    return unpack([bytes(record.raw)], connection_id=record.connection_id)[0].decode()
