"""AWS Secrets Manager through boto3.

Configured as AWS's own tools are: AWS_REGION or AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, a
profile, a web identity or the role of the machine. A reference by ARN is asked in the ARN's region.
Source: AWS Secrets Manager API reference, GetSecretValue, PutSecretValue, UpdateSecretVersionStage, CreateSecret.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar
from uuid import uuid4

from core.errors import ConflictError, SourceAnswer
from core.json import dumps
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
from core.secret_stores.texts import field_of, object_of, whole_text

STORE = "AWS Secrets Manager"
WRITE_ATTEMPTS = 5
PENDING = "LINESHAFT_PENDING"
"""Label of a version that is not yet the current one."""

_GONE = frozenset({"ResourceNotFoundException", "InvalidRequestException"})
_BUSY = frozenset({"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"})
_clients: dict[tuple[str, ...], Any] = {}
_making = Lock()
Answer = TypeVar("Answer")


def read(reference: Reference) -> str:
    """The current version's text, or the text of one key of it."""
    text, _ = _ask(reference, lambda client: _current(client, reference))
    return field_of(reference, object_of(reference, text)) if reference.field else whole_text(reference, text)


def write(reference: Reference, value: str) -> str:
    """Make a new version, or the secret. Of a JSON object one key is set and the others stay, whoever else writes."""
    change = _set_key if reference.field else _set_whole
    version = _ask(reference, lambda client: change(client, reference, value))
    return f"{reference} (version {version})"


def check(reference: Reference) -> None:
    """See that we are let in and the secret is not about to be deleted. Whether we may write, AWS does not tell."""
    try:
        found = _ask(reference, lambda client: client.describe_secret(SecretId=reference.path))
    except StoreMissingError:
        return  # it will be made
    except StoreDeniedError as error:
        if error.source and error.source.code == "AccessDeniedException":
            return  # looking and writing are two rights
        raise
    if found.get("DeletedDate"):
        raise StoreMissingError(f"{reference}: the secret is scheduled for deletion. Restore it or take another name.")


def forget() -> None:
    """Close the clients; the next call makes them anew from the environment."""
    with _making:
        for client in _clients.values():
            client.close()
        _clients.clear()


def _current(client: Any, reference: Reference) -> tuple[str, str]:
    answer = client.get_secret_value(SecretId=reference.path, VersionStage="AWSCURRENT")
    return whole_text(reference, answer.get("SecretString")), answer["VersionId"]


def _set_whole(client: Any, reference: Reference, value: str) -> str:
    try:
        return str(client.put_secret_value(SecretId=reference.path, SecretString=value)["VersionId"])
    except client.exceptions.ResourceNotFoundException:
        return str(client.create_secret(Name=reference.path, SecretString=value)["VersionId"])


def _set_key(client: Any, reference: Reference, value: str) -> str:
    """Put the changed object aside, then make it current only if the version it came from still is."""
    for _ in range(WRITE_ATTEMPTS):
        try:
            text, version = _current(client, reference)
        except client.exceptions.ResourceNotFoundException:
            return _set_whole(client, reference, dumps({reference.field: value}))
        changed = dumps({**object_of(reference, text), reference.field: value})
        made = client.put_secret_value(
            SecretId=reference.path,
            SecretString=changed,
            ClientRequestToken=str(uuid4()),
            VersionStages=[PENDING],
        )["VersionId"]
        try:
            client.update_secret_version_stage(
                SecretId=reference.path,
                VersionStage="AWSCURRENT",
                MoveToVersionId=made,
                RemoveFromVersionId=version,
            )
        except client.exceptions.InvalidParameterException:
            if _current(client, reference)[1] == version:  # nobody came between: it is refused for another reason
                raise
            continue
        return str(made)
    raise ConflictError(f"{reference}: others keep changing this secret; try again.", code="SECRET_STORE_CONFLICT")


def _ask(reference: Reference, call: Callable[[Any], Answer]) -> Answer:
    """Make a call; each failure as an error of ours."""
    failures = load("botocore.exceptions", extra="aws")
    unset = (failures.NoRegionError, failures.NoCredentialsError, failures.PartialCredentialsError)
    silent = (failures.ConnectionError, failures.HTTPClientError)
    try:
        return call(_client(reference))
    except failures.ClientError as error:
        raise _refusal(reference, error) from error
    except (*unset, failures.ProfileNotFound, failures.CredentialRetrievalError) as error:
        if any(isinstance(cause, silent) for cause in causes(error)):
            raise unreachable(reference, STORE, error, authority="AWS_CA_BUNDLE") from error
        raise StoreSetupError(
            f"{reference}: {STORE} is not set up: {type(error).__name__}. Set AWS_REGION, and credentials as for the"
            " AWS command line, for the platform's processes."
        ) from error
    except silent as error:
        raise unreachable(reference, STORE, error, authority="AWS_CA_BUNDLE") from error
    except failures.BotoCoreError as error:
        raise StoreSetupError(f"{reference}: the AWS client cannot work: {type(error).__name__}.") from error


def _refusal(reference: Reference, error: Any) -> StoreDownError | StoreMissingError | StoreDeniedError:
    """What an answer other than success means."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if status >= 500 or status == 429 or code in _BUSY:
        return StoreDownError(f"{reference}: {STORE} is busy or out of order ({code}). It is asked again.")
    if code in _GONE:
        return StoreMissingError(f"{reference}: {STORE} has no such secret, or it is being deleted ({code}).")
    return StoreDeniedError(
        f"{reference}: {STORE} refuses ({code}). Check the credentials and the policy of the secret.",
        source=SourceAnswer(status=status, code=code),
    )


def _client(reference: Reference) -> Any:
    """The client of a region; clients can be shared by threads, sessions cannot."""
    region = reference.path.split(":")[3] if reference.path.startswith("arn:") else ""
    # boto3 itself knows AWS_DEFAULT_REGION only; containers of AWS carry AWS_REGION.
    region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    key = (region, *(os.environ.get(name, "") for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL")))
    with _making:
        if key not in _clients:
            _clients[key] = _make(region)
        return _clients[key]


def _make(region: str) -> Any:
    config = load("botocore.config", extra="aws").Config(
        connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": 1}
    )
    session = load("botocore.session", extra="aws").get_session()
    session.set_default_client_config(config)  # also for the calls that fetch credentials
    boto3 = load("boto3", extra="aws")
    return boto3.session.Session(botocore_session=session).client("secretsmanager", region_name=region or None)
