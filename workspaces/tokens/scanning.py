"""Tokens that leaked into files: found by their form and checksum, for which no database is needed; then looked up."""

from __future__ import annotations

import hmac
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django_scopes import scopes_disabled

from workspaces.models import ApiToken
from workspaces.tokens.form import TOKEN_CHARACTERS, digest_of, key_of

MAX_BINARY_BYTES = 5 * 1024 * 1024
_BLOCK = 1024 * 1024
_KEYS_AT_ONCE = 1000
_SKIPPED_FOLDERS = frozenset({".git"})
# Looking ahead finds a token that begins within what only looks like one.
_CANDIDATE = re.compile(rb"lsh(?=(_(?:live|test)_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}))")

Unreadable = Callable[[Path, OSError], None]


@dataclass(frozen=True)
class Found:
    """A token in a file; lines are counted from 1."""

    path: Path
    line: int
    clear: str = field(repr=False)

    @property
    def key(self) -> str:
        """The public part."""
        return self.clear.split("_")[2]


def find_tokens(paths: Iterable[Path], *, unreadable: Unreadable) -> Iterator[Found]:
    """Every token in the files, and in those of the folders below, in order.

    Left out: `.git`, symbolic links, what is no plain file, and binary files over 5 MiB. What cannot be read is told to
    `unreadable`, and the search goes on.
    """
    for path in paths:
        for file in _files(path, unreadable):
            try:
                yield from _tokens_in(file)
            except OSError as error:
                unreadable(file, error)


def known_tokens(clears: Iterable[str]) -> dict[str, ApiToken]:
    """The rows of those tokens that we made, by the token, with their workspaces. Others are not in the answer."""
    by_key: dict[str, set[str]] = {}
    for clear in clears:
        by_key.setdefault(key_of(clear) or "", set()).add(clear)
    keys, known = sorted(by_key), {}
    with scopes_disabled():
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            rows = ApiToken.objects.select_related("workspace").filter(key__in=keys[start : start + _KEYS_AT_ONCE])
            for token in rows:
                for clear in by_key[token.key]:
                    if hmac.compare_digest(bytes(token.digest), digest_of(clear)):
                        known[clear] = token
    return known


def _files(path: Path, unreadable: Unreadable) -> Iterator[Path]:
    if not path.is_dir() or path.is_symlink():
        yield path
        return

    def tell(error: OSError) -> None:
        unreadable(Path(str(error.filename)), error)

    for folder, folders, names in os.walk(path, onerror=tell):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
        for name in sorted(names):
            yield Path(folder, name)


def _tokens_in(path: Path) -> Iterator[Found]:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        return
    with path.open("rb") as file:
        block, line, tail = file.read(_BLOCK), 1, b""
        if found.st_size > MAX_BINARY_BYTES and b"\0" in block[:8192]:
            return
        while block:
            text = tail + block
            at, here = 0, line
            for match in _CANDIDATE.finditer(text):
                clear = "lsh" + match[1].decode()
                if key_of(clear) is not None:
                    here += text.count(b"\n", at, match.start())
                    at = match.start()
                    yield Found(path, here, clear)
            # A token may lie across two blocks; a whole one does not fit into the rest, so none is found twice.
            tail = text[-(TOKEN_CHARACTERS - 1) :]
            line += text.count(b"\n", 0, len(text) - len(tail))
            block = file.read(_BLOCK)
