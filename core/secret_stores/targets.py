"""Writing a secret straight to where it will be used, so that no person and no terminal sees it.

vault:<mount>/<path>#<field>      one field; the others stay
aws-sm:<name or ARN>[#<key>]      a new version, or the secret; with a key, one key of its JSON object
azure-kv:<vault name>/<secret>    a new version, or the secret
file:/absolute/path               mode 0600, nothing but the secret in it
"""

from __future__ import annotations

from collections.abc import Callable

from core.errors import ValidationFailedError
from core.secret_stores import aws, azure, files, reading, vault
from core.secret_stores.references import Reference, parse

MAX_TARGET = 300
"""What is kept of where a token went has to fit its column."""

_WRITERS: dict[str, Callable[[Reference, str], str]] = {
    "vault": vault.write,
    "aws-sm": aws.write,
    "azure-kv": azure.write,
}
_CHECKS: dict[str, Callable[[Reference], None]] = {
    "vault": vault.check,
    "aws-sm": aws.check,
    "azure-kv": azure.check,
}


def write_secret(target: str, value: str) -> str:
    """Write the value and say in one line, of at most 300 characters, where it stands now: `vault:kv/x#token (version 3)`.

    Calls the network: never inside of a transaction. When it raises, the value may yet have arrived (time-out).
    Errors: ValidationFailedError TARGET_INVALID; ConfigError (StoreDeniedError, StoreMissingError, StoreSetupError,
    TARGET_UNUSABLE for a file); StoreDownError, a TransientError; ConflictError when others keep changing it.
    """
    if target.startswith("file:"):
        return files.write(files.parse_path(target), value)
    reference = _parse(target)
    written = _WRITERS[reference.scheme](reference, value)
    reading.drop(reference)
    return written[:MAX_TARGET]


def check_target(target: str) -> None:
    """Find out beforehand, as far as it can be told without writing, whether `write_secret` will succeed.

    Errors: the same.
    """
    if target.startswith("file:"):
        return files.check(files.parse_path(target))
    reference = _parse(target)
    return _CHECKS[reference.scheme](reference)


def _parse(target: str) -> Reference:
    if target.partition(":")[0] not in _WRITERS or len(target) > MAX_TARGET:
        raise ValidationFailedError(
            f"A target is vault:mount/path#field, aws-sm:name, azure-kv:vault/name or file:/path, of at most {MAX_TARGET}"
            " characters.",
            code="TARGET_INVALID",
        )
    try:
        return parse(target)
    except ValidationFailedError as error:
        raise ValidationFailedError(error.detail, code="TARGET_INVALID") from error
