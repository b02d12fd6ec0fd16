"""What goes wrong with a secrets manager, named by who must act. Each says which place it was, never what it holds."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import ConfigError, TransientError, WhoMustAct


@dataclass(eq=False)
class StoreDownError(TransientError):
    """The secrets manager cannot be reached, is overloaded or sealed: tried again by itself."""

    default_code = "SECRET_STORE_DOWN"
    who_must_act = WhoMustAct.OPERATOR


@dataclass(eq=False)
class StoreDeniedError(ConfigError):
    """The secrets manager refuses our own credentials, or does not let them near this secret."""

    default_code = "SECRET_STORE_DENIED"


@dataclass(eq=False)
class StoreMissingError(ConfigError):
    """There is no such secret or field, or it is no text."""

    default_code = "SECRET_MISSING"


@dataclass(eq=False)
class StoreSetupError(ConfigError):
    """The client is not installed or not configured, so that nobody was asked."""

    default_code = "SECRET_STORE_NOT_SET_UP"


def unreachable(place: object, store: str, error: BaseException, *, authority: str) -> StoreDownError | StoreSetupError:
    """The error for a call that got no answer. `authority`: which variable names the trusted certificates."""
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes(error)):
        return StoreSetupError(
            f"{place}: the certificate of {store} is not trusted. Name its authority's certificates in {authority}."
        )
    return StoreDownError(f"{place}: {store} cannot be reached or does not answer in time. It is asked again.")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it: clients wrap what happened in several layers, Azure's in an attribute of its own."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__ or getattr(error, "inner_exception", None)
