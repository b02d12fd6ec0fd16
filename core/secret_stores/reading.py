"""Reading the secret at a place: from memory for some seconds, else from its store, which gets one second chance."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.secret_stores import aws, azure, environment, vault
from core.secret_stores.cache import Cache
from core.secret_stores.errors import StoreDeniedError, StoreDownError, StoreMissingError
from core.secret_stores.references import Reference

QUICK_SECONDS, PAUSE_SECONDS = 1.0, 0.2
"""A failure that came this fast is tried once more, after the pause; a slow one has cost enough."""

_READERS: dict[str, Callable[[Reference], str]] = {
    "env": environment.read,
    "vault": vault.read,
    "aws-sm": aws.read,
    "azure-kv": azure.read,
}
_cache = Cache()


def read_secret(
    reference: Reference, *, fresh: bool = False, cache_seconds: float = 30, stale_seconds: float = 0
) -> str:
    """The secret in clear.

    An answer serves for `cache_seconds`; `fresh` asks the store in any case. When the store is down the last answer
    serves until it is `stale_seconds` old, but never for `fresh`, which is asked when that answer was refused.
    Calls the network: never inside of a transaction. Takes at most 8 seconds a call. Errors: StoreDownError (transient);
    StoreDeniedError, StoreMissingError, StoreSetupError, for the operator. Whatever the store says about the secret
    itself replaces what was kept.
    """
    place = str(reference)
    kept = _cache.get(place)
    if kept and not fresh and kept.is_younger(cache_seconds):
        return kept.value
    try:
        value = _ask(reference)
    except StoreDownError:
        if kept and not fresh and kept.is_younger(stale_seconds):
            return kept.value
        raise
    except (StoreDeniedError, StoreMissingError):
        _cache.drop(place)
        raise
    _cache.put(place, value)
    return value


def drop(reference: Reference) -> None:
    """Ask the store again next time: the secret was changed by us."""
    _cache.drop(str(reference))


def forget() -> None:
    """Forget all values, sign-ins and connections of this process."""
    _cache.clear()
    for store in (vault, aws, azure):
        store.forget()


def _ask(reference: Reference) -> str:
    read = _READERS[reference.scheme]
    began = time.monotonic()
    try:
        return read(reference)
    except StoreDownError:
        if time.monotonic() - began > QUICK_SECONDS:
            raise
    time.sleep(PAUSE_SECONDS)  # the one retry of a quick failure, such as a connection that the store had closed
    return read(reference)
