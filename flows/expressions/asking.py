"""Requests to the helpers, and what their answers mean."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence

import orjson

from flows.expressions import frames
from flows.expressions.errors import FAILED, TOO_LARGE, TOO_SLOW
from flows.expressions.evaluating import RefusedError
from flows.expressions.helper import SECONDS, Answer, EndedError, TooSlowError
from flows.expressions.pool import POOL

STARVED_SECONDS = SECONDS / 2
"""A helper that had less of the processor than this was not slow: the machine was, or somebody froze it."""
Outcome = bytes | RefusedError


def values(expressions: Sequence[str], context: bytes) -> bytes:
    """The JSON array of the values of all expressions. Raises RefusedError.

    `context` is JSON. A helper that was killed or starved is replaced once; expressions have no effects.
    """
    (outcome,) = _outcomes(frames.RENDER, b"[" + orjson.dumps(list(expressions)) + b"," + context + b"]", 1)
    if isinstance(outcome, RefusedError):
        raise outcome
    return outcome


def truths(expression: str, contexts: Sequence[bytes]) -> Iterator[Outcome]:
    """`true`, `false` or a RefusedError for each context, as far as one helper came, but at least for the first."""
    request = b"[" + orjson.dumps(expression) + b",[" + b",".join(contexts) + b"]]"
    return _outcomes(frames.MATCH, request, len(contexts))


def _outcomes(kind: int, request: bytes, count: int) -> Iterator[Outcome]:
    given = 0
    for is_last in (False, True):
        try:
            with POOL.helper() as helper:
                for answer in helper.ask(kind, request, count):
                    given += 1
                    yield _outcome(answer)
                    if not helper.is_open:
                        return
            return
        except TooSlowError as error:
            refusal = RefusedError(0, TOO_SLOW, f"it took longer than {SECONDS:g} s")
            is_proved = error.used_seconds >= STARVED_SECONDS
        except EndedError as error:
            refusal = _ended(error.by)
            is_proved = refusal.code != FAILED
        if is_proved or (is_last and not given):
            yield refusal
            return
        if given:
            return


def _outcome(answer: Answer) -> Outcome:
    if answer.kind == frames.OUT_OF_MEMORY:
        return RefusedError(0, TOO_LARGE, "it needs too much memory")
    return RefusedError(*orjson.loads(answer.body)) if answer.kind == frames.REFUSED else answer.body


def _ended(by: int) -> RefusedError:
    if by == signal.SIGXCPU:
        return RefusedError(0, TOO_SLOW, "it took too much processor time")
    if by in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS):
        return RefusedError(0, TOO_LARGE, "it needs too much memory")
    return RefusedError(0, FAILED, "the process that evaluated it was ended")
