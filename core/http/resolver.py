"""Names to addresses, in bounded time, each address judged.

`getaddrinfo` takes no time limit, so it runs in a thread of its own; a limited number of them may hang at once.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from ipaddress import ip_address
from typing import Any

from core.errors import TransientError, UnreachableError
from core.http.policy import EgressPolicy

MAX_LOOKUPS_AT_ONCE = 64
# What getaddrinfo returns: family, kind, protocol, canonical name, socket address.
AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]
_slots = threading.BoundedSemaphore(MAX_LOOKUPS_AT_ONCE)


def resolve_allowed(policy: EgressPolicy, host: str, port: int, timeout_seconds: float) -> tuple[str, ...]:
    """All addresses of `host`, once every one of them is allowed. Connect to these and never resolve again.

    Errors: EgressDeniedError; UnreachableError NAME_NOT_FOUND or NAME_LOOKUP_FAILED; TransientError NAME_TIMED_OUT.
    """
    addresses = lookup(host, port, timeout_seconds)
    policy.check_addresses(host, addresses)
    return addresses


def lookup(host: str, port: int, timeout_seconds: float) -> tuple[str, ...]:
    """Resolve as the system does, so that 0177.1 or 2130706433 become what a connection would reach."""
    if is_literal(host):
        return (host,)
    try:
        found = _bounded_getaddrinfo(host, port, timeout_seconds)
    except TimeoutError as error:
        detail = f"The name {host} was not resolved in time: look at the DNS servers of this machine."
        raise TransientError(detail, code="NAME_TIMED_OUT") from error
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            detail = f"The name {host} is not known to the DNS: check the connection's address."
            raise UnreachableError(detail, code="NAME_NOT_FOUND") from error
        detail = f"The name {host} could not be looked up ({error.strerror})."
        raise UnreachableError(detail, code="NAME_LOOKUP_FAILED") from error
    except (OSError, UnicodeError) as error:
        raise UnreachableError(f"The name {host} could not be looked up.", code="NAME_LOOKUP_FAILED") from error
    return tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def is_literal(host: str) -> bool:
    """Whether `host` is an address in its usual notation, which nobody needs to look up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _bounded_getaddrinfo(host: str, port: int, timeout_seconds: float) -> list[AddressInfo]:
    if not _slots.acquire(timeout=timeout_seconds):
        raise TimeoutError("too many name lookups hang")
    answer: Future[list[AddressInfo]] = Future()

    def work() -> None:
        try:
            answer.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except BaseException as error:
            # Handed to the caller, whole: this thread has nobody to tell.
            answer.set_exception(error)
        finally:
            _slots.release()

    threading.Thread(target=work, name="lookup", daemon=True).start()
    return answer.result(timeout=timeout_seconds)
