"""How the place of a secret is named, and whether it lies under a prefix.

    env:LINESHAFT_REF_<NAME>                    an environment variable of the platform's processes
    vault:<mount>/<path>#<field>                HashiCorp Vault, KV version 2
    aws-sm:<name or ARN>[#<key>]                AWS Secrets Manager; with a key of its JSON object
    azure-kv:<vault name>/<secret name>         Azure Key Vault

Strict on purpose: a place becomes part of an address, and has to mean the same to us as to the store. So only plain
characters pass, no empty part, no `.` or `..`, nothing percent-encoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.errors import ValidationFailedError

MAX_REFERENCE, MAX_PREFIX = 500, 300
SCHEMES = ("env", "vault", "aws-sm", "azure-kv")
ENVIRONMENT_BEGINNING = "LINESHAFT_REF_"

_SEGMENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.@+=~,-]+"
_PATH = rf"{_SEGMENT}(?:/{_SEGMENT})*"
_FIELD = re.compile(r"[A-Za-z0-9_.@+=~,-]{1,200}")
_ARN = r"arn:aws[a-z-]{0,20}:secretsmanager:[a-z0-9-]{1,30}:[0-9]{12}:secret:"
_PATHS = {
    "env": re.compile(rf"{ENVIRONMENT_BEGINNING}[A-Z0-9_]+"),
    "vault": re.compile(rf"{_SEGMENT}/{_PATH}"),
    "aws-sm": re.compile(rf"(?:{_ARN})?{_PATH}"),
    "azure-kv": re.compile(r"(?=[^/]{3,24}/)[a-z](?:-?[a-z0-9])+/[A-Za-z0-9-]{1,127}"),
}
_FORMS = {
    "env": f"env:{ENVIRONMENT_BEGINNING}NAME, in capital letters, digits and underscores",
    "vault": "vault:mount/path#field",
    "aws-sm": "aws-sm:name, aws-sm:name#key or the same with the secret's ARN",
    "azure-kv": "azure-kv:vault-name/secret-name, the vault's name in small letters",
}


@dataclass(frozen=True)
class Reference:
    """A place. `path` is what names the secret in its store, `field` the part of it that counts, if it has parts."""

    scheme: str
    path: str
    field: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}:{self.path}{'#' if self.field else ''}{self.field}"

    @property
    def whole(self) -> str:
        """The secret without its field."""
        return f"{self.scheme}:{self.path}"

    @property
    def first(self) -> str:
        """The first segment: Vault's mount, Azure's vault."""
        return self.path.partition("/")[0]

    @property
    def rest(self) -> str:
        """What follows the first segment."""
        return self.path.partition("/")[2]


def parse(text: str) -> Reference:
    """The reference that the text is. Errors: ValidationFailedError REFERENCE_INVALID."""
    scheme, colon, place = text.partition(":")
    if not colon or scheme not in SCHEMES:
        raise _invalid(f"A reference begins with one of {', '.join(name + ':' for name in SCHEMES)}.")
    if len(text) > MAX_REFERENCE:
        raise _invalid(f"A reference has at most {MAX_REFERENCE} characters.")
    path, mark, field = place.partition("#")
    has_field = bool(mark)
    fits = _PATHS[scheme].fullmatch(path) and (not has_field or _FIELD.fullmatch(field))
    if not fits or (scheme == "vault") > has_field or (has_field and scheme not in ("vault", "aws-sm")):
        raise _invalid(
            f"A reference of this kind looks like {_FORMS[scheme]}. Letters, digits and _ . @ + = ~ , - may stand in"
            " its parts; no part is empty, `.` or `..`."
        )
    return Reference(scheme, path, field)


def check_prefix(prefix: str) -> None:
    """Refuse what could never match, or would match more than it seems to. Errors: ValidationFailedError."""
    scheme = prefix.partition(":")[0]
    if len(prefix) > MAX_PREFIX:
        raise _invalid(f"A prefix has at most {MAX_PREFIX} characters.", "REFERENCE_PREFIX_INVALID")
    below = prefix + ("X" if scheme in SCHEMES and prefix.endswith(_open_end(scheme)) else "")
    try:
        parse(below + ("#x" if scheme == "vault" and "#" not in below else ""))
    except ValidationFailedError as error:
        raise _invalid(
            "A prefix is the name of a secret, or the beginning of names that ends with / (env: with _), such as"
            f" vault:kv/acme/ or env:{ENVIRONMENT_BEGINNING}ACME_.",
            "REFERENCE_PREFIX_INVALID",
        ) from error


def is_under(reference: Reference, prefix: str) -> bool:
    """Whether a prefix allows it. One that ends with / (env: with _) allows all below; another one that place alone."""
    if prefix.endswith(_open_end(reference.scheme)):
        beginning = f"{reference.scheme}:"
        return len(prefix) > len(beginning) + 1 and reference.whole.startswith(prefix) and reference.whole != prefix
    return prefix in (reference.whole, str(reference))


def _open_end(scheme: str) -> str:
    return "_" if scheme == "env" else "/"


def _invalid(detail: str, code: str = "REFERENCE_INVALID") -> ValidationFailedError:
    return ValidationFailedError(detail, code=code)
