"""Who goes first where rows alone do not tell: locks of the database on no row, freed when their holder dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import connection

from core.errors import ConflictError


def after_others_of(connection_id: UUID | None) -> None:
    """Wait, until the transaction ends, for whoever makes or ends tokens of the same connection.

    Without it a token made while its connection is ended could be missed by the statement that revokes them all.
    """
    if connection_id is not None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"tokens of {connection_id}"])


def take_turn(token_id: UUID) -> None:
    """Be the only one who rotates the token until the transaction ends. ConflictError when somebody does just now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [_name(token_id)])
        _refuse_second(cursor.fetchone()[0])


@contextmanager
def long_turn(token_id: UUID) -> Iterator[None]:
    """The same over several transactions, with a call outside between them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [_name(token_id)])
        _refuse_second(cursor.fetchone()[0])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [_name(token_id)])


def only_one(what: str) -> bool:
    """Whether nobody else does this just now; held until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [what])
        return bool(cursor.fetchone()[0])


def _name(token_id: UUID) -> str:
    return f"rotating {token_id}"


def _refuse_second(is_mine: bool) -> None:
    if not is_mine:
        raise ConflictError(
            "The token is being rotated just now. Use the new one, or look at it again in a moment.",
            code="TOKEN_ALREADY_ROTATED",
        )
