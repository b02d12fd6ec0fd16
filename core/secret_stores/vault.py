"""HashiCorp Vault, key-value engine version 2, through hvac.

Configured as Vault's own tools are: VAULT_ADDR, VAULT_NAMESPACE, VAULT_CACERT (or VAULT_CAPATH), VAULT_CLIENT_CERT with
VAULT_CLIENT_KEY, and VAULT_TOKEN or, to sign in as an AppRole, VAULT_ROLE_ID and VAULT_SECRET_ID (VAULT_APPROLE_PATH
when it is not mounted at `approle`).
Source: Vault HTTP API, "KV secrets engine - version 2", "AppRole auth method", "/sys/capabilities-self".
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from core.errors import ConflictError
from core.secret_stores.clients import CONNECT_SECONDS, READ_SECONDS, load
from core.secret_stores.errors import StoreDeniedError, StoreDownError, StoreMissingError, StoreSetupError, unreachable
from core.secret_stores.references import Reference
from core.secret_stores.texts import field_of

STORE = "Vault"
WRITE_ATTEMPTS = 5
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class _Login:
    token: str = field(repr=False)
    until: float


_logins: dict[tuple[str, str, str], _Login] = {}


def read(reference: Reference) -> str:
    """The text of the field in the newest version."""
    fields, _ = _ask(reference, lambda client: _newest(client, reference))
    if fields is None:
        raise StoreMissingError(f"{reference}: {STORE} has no secret there, or its newest version was deleted.")
    return field_of(reference, fields)


def write(reference: Reference, value: str) -> str:
    """Set one field and keep the others. A version made by somebody else meanwhile is taken along, never lost."""
    return _ask(reference, lambda client: _set(client, reference, value))


def check(reference: Reference) -> None:
    """Ask Vault whether our token may write there."""
    place = f"{reference.first}/data/{reference.rest}"
    answer = _ask(reference, lambda client: client.sys.get_capabilities([place]))
    held = set(answer.get("data", answer).get(place, ()))
    if "root" not in held and not {"read", "create", "update"} <= held:
        raise StoreDeniedError(
            f"{reference}: the token's policies allow {', '.join(sorted(held)) or 'nothing'} on {place}; writing a"
            " field needs read, create and update."
        )


def forget() -> None:
    """Sign in anew next time."""
    _logins.clear()


def _newest(client: Any, reference: Reference) -> tuple[dict[str, Any] | None, int]:
    """The fields and the number of the newest version; None when there is none or it was deleted."""
    try:
        answer = client.secrets.kv.v2.read_secret_version(
            reference.rest, mount_point=reference.first, raise_on_deleted_version=True
        )
    except load("hvac.exceptions", extra="vault").InvalidPath as error:
        found = error.json if isinstance(error.json, dict) else {}
        metadata = (found.get("data") or {}).get("metadata") or {}
        return None, int(metadata.get("version") or 0)
    return dict(answer["data"]["data"] or {}), int(answer["data"]["metadata"]["version"])


def _set(client: Any, reference: Reference, value: str) -> str:
    refused = load("hvac.exceptions", extra="vault").InvalidRequest
    fields, version = _newest(client, reference)
    for _ in range(WRITE_ATTEMPTS):
        changed = {**(fields or {}), reference.field: value}
        try:
            answer = client.secrets.kv.v2.create_or_update_secret(
                reference.rest, changed, cas=version, mount_point=reference.first
            )
        except refused:
            fields, newest = _newest(client, reference)
            if newest == version:  # nobody came between: it is refused for another reason
                raise
            version = newest
            continue
        return f"{reference} (version {answer['data']['version']})"
    raise ConflictError(f"{reference}: others keep changing this secret; try again.", code="SECRET_STORE_CONFLICT")


def _ask(reference: Reference, call: Callable[[Any], Answer]) -> Answer:
    """Make a call with a signed-in client; each failure as an error of ours."""
    failures = load("hvac.exceptions", extra="vault")
    try:
        with _client(reference) as client:
            try:
                return call(client)
            except failures.Forbidden:
                if not _signed_in_by_role() or not _logins.pop(_login_key(), None):
                    raise
                _sign_in(client)  # the token of an earlier sign-in may have ended before its time
                return call(client)
    except (failures.Forbidden, failures.Unauthorized) as error:
        raise StoreDeniedError(
            f"{reference}: {STORE} does not let our token there. Check its policy and whether it is still valid."
        ) from error
    except failures.InvalidPath as error:
        raise StoreMissingError(f"{reference}: {STORE} has nothing there. Check the mount and its version.") from error
    except failures.InvalidRequest as error:
        raise StoreDeniedError(f"{reference}: {STORE} refuses the request (400).", log_detail=str(error)) from error
    except failures.VaultError as error:
        raise StoreDownError(f"{reference}: {STORE} is sealed, busy or out of order. It is asked again.") from error
    except OSError as error:  # all errors of its HTTP client are
        raise unreachable(reference, STORE, error, authority="VAULT_CACERT") from error
    except (AttributeError, KeyError, TypeError) as error:  # not the members that its answers have
        raise StoreDownError(
            f"{reference}: what answers at VAULT_ADDR is not {STORE} as we know it, perhaps a proxy's page. It is asked again.",
            log_detail=repr(error),
        ) from error


@contextmanager
def _client(reference: Reference) -> Iterator[Any]:
    address = os.environ.get("VAULT_ADDR", "")
    if not address:
        raise StoreSetupError(f"{reference}: set VAULT_ADDR, the address of {STORE}, for the platform's processes.")
    client = load("hvac", extra="vault").Client(
        url=address,
        token=os.environ.get("VAULT_TOKEN", ""),
        namespace=os.environ.get("VAULT_NAMESPACE") or None,
        verify=os.environ.get("VAULT_CACERT") or os.environ.get("VAULT_CAPATH") or True,
        timeout=(CONNECT_SECONDS, READ_SECONDS),
    )
    try:
        if _signed_in_by_role():
            login = _logins.get(_login_key())
            if login and login.until > time.monotonic():
                client.token = login.token
            else:
                _sign_in(client)
        elif not client.token:
            raise StoreSetupError(f"{reference}: set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID.")
        yield client
    finally:
        client.adapter.close()


def _sign_in(client: Any) -> None:
    """As an AppRole; the token serves for nine tenths of its life."""
    client.token = None
    answer = client.auth.approle.login(
        role_id=os.environ["VAULT_ROLE_ID"],
        secret_id=os.environ.get("VAULT_SECRET_ID", ""),
        mount_point=os.environ.get("VAULT_APPROLE_PATH") or "approle",
    )
    client.token = answer["auth"]["client_token"]
    lasts = float(answer["auth"].get("lease_duration") or 0)
    _logins[_login_key()] = _Login(client.token, time.monotonic() + 0.9 * lasts)


def _signed_in_by_role() -> bool:
    return bool(os.environ.get("VAULT_ROLE_ID")) and not os.environ.get("VAULT_TOKEN")


def _login_key() -> tuple[str, str, str]:
    names = ("VAULT_ADDR", "VAULT_NAMESPACE", "VAULT_ROLE_ID")
    address, namespace, role = (os.environ.get(name, "") for name in names)
    return address, namespace, role
