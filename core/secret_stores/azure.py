"""Azure Key Vault through azure-keyvault-secrets and azure-identity.

Signs in with what the environment holds: AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (or
AZURE_CLIENT_CERTIFICATE_PATH), a workload identity (AZURE_FEDERATED_TOKEN_FILE), else the machine's managed identity.
AZURE_KEY_VAULT_URL says how a vault's name becomes its address.
Source: Azure Key Vault REST API, "Get Secret", "Set Secret"; "Authentication, requests and responses".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from core.errors import SourceAnswer
from core.secret_stores.clients import CONNECT_SECONDS, READ_SECONDS, load
from core.secret_stores.errors import (
    StoreDeniedError,
    StoreDownError,
    StoreMissingError,
    StoreSetupError,
    causes,
    unreachable,
)
from core.secret_stores.references import Reference
from core.secret_stores.texts import whole_text

STORE = "Azure Key Vault"
PUBLIC_CLOUD = "https://{vault}.vault.azure.net"
_clients: dict[tuple[str, ...], Any] = {}
_making = Lock()
_IDENTITY = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_AUTHORITY_HOST", "AZURE_FEDERATED_TOKEN_FILE")
Answer = TypeVar("Answer")


def read(reference: Reference) -> str:
    """The text of the newest version."""
    found = _ask(reference, lambda client: client.get_secret(reference.rest))
    return whole_text(reference, found.value)


def write(reference: Reference, value: str) -> str:
    """Make a new version, or the secret."""
    made = _ask(reference, lambda client: client.set_secret(reference.rest, value))
    return f"{reference} (version {made.properties.version})"


def check(reference: Reference) -> None:
    """See that we are let in. Whether we may write, Azure does not tell: reading is another right."""
    try:
        _ask(reference, lambda client: client.get_secret(reference.rest))
    except StoreMissingError:
        return  # it will be made
    except StoreDeniedError as error:
        if error.source is None or error.source.status != 403:
            raise


def forget() -> None:
    """Close the clients; the next call makes them anew from the environment."""
    with _making:
        for client, credential in _clients.values():
            client.close()
            credential.close()
        _clients.clear()


def _ask(reference: Reference, call: Callable[[Any], Answer]) -> Answer:
    """Make a call; each failure as an error of ours."""
    failures = load("azure.core.exceptions", extra="azure")
    unavailable = load("azure.identity", extra="azure").CredentialUnavailableError
    silent = (failures.ServiceRequestError, failures.ServiceResponseError)
    try:
        return call(_client(reference))
    except failures.AzureError as error:
        if any(isinstance(cause, silent) for cause in causes(error)):
            raise unreachable(reference, STORE, error, authority="REQUESTS_CA_BUNDLE") from error
        if isinstance(error, unavailable):
            raise _not_set_up(reference) from error
        raise _refusal(reference, error) from error


def _refusal(reference: Reference, error: Any) -> StoreDownError | StoreMissingError | StoreDeniedError:
    """What an answer other than success means."""
    status = getattr(error, "status_code", None)
    source = SourceAnswer(status=status)
    if status is not None and (status >= 500 or status in (408, 429)):
        return StoreDownError(f"{reference}: {STORE} is busy or out of order ({status}). It is asked again.")
    if status == 404:
        return StoreMissingError(f"{reference}: {STORE} has no such secret.", source=source)
    if status == 409:
        return StoreMissingError(
            f"{reference}: a deleted secret of this name can still be recovered. Recover or purge it, or take another"
            " name.",
            source=source,
        )
    return StoreDeniedError(
        f"{reference}: {STORE} refuses ({status or 'no token'}). Check the identity's role for this vault, and the"
        " vault's firewall.",
        source=source,
    )


def _not_set_up(reference: Reference) -> StoreSetupError:
    return StoreSetupError(
        f"{reference}: {STORE} is not set up. Set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET for the"
        " platform's processes, or give the machine a managed identity."
    )


def _client(reference: Reference) -> Any:
    """The client of a vault, with its credential: both keep tokens and connections."""
    template = os.environ.get("AZURE_KEY_VAULT_URL") or PUBLIC_CLOUD
    address = template.replace("{vault}", reference.first)
    key = (address, *(os.environ.get(name, "") for name in _IDENTITY))
    with _making:
        if key not in _clients:
            credential = _credential()
            made = load("azure.keyvault.secrets", extra="azure").SecretClient(address, credential, **_limits())
            _clients[key] = (made, credential)
        return _clients[key][0]


def _credential() -> Any:
    """One kind, chosen by what is set: a chain of several hides why the right one failed."""
    identity = load("azure.identity", extra="azure")
    # An authority of the operator's own is trusted as it is, else Microsoft's public one would be asked about it.
    known = {"disable_instance_discovery": bool(os.environ.get("AZURE_AUTHORITY_HOST")), **_limits()}
    if os.environ.get("AZURE_CLIENT_SECRET") or os.environ.get("AZURE_CLIENT_CERTIFICATE_PATH"):
        return identity.EnvironmentCredential(**known)
    if os.environ.get("AZURE_FEDERATED_TOKEN_FILE"):
        return identity.WorkloadIdentityCredential(**known)
    return identity.ManagedIdentityCredential(client_id=os.environ.get("AZURE_CLIENT_ID") or None, **_limits())


def _limits() -> dict[str, Any]:
    return {"connection_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS, "retry_total": 0}
