"""API tokens: made, checked, rotated and revoked here alone.

The database keeps the HMAC-SHA256 of the whole token under settings.TOKEN_PEPPER. Nothing about a token is cached, so
what is revoked is refused from the next request on.
"""

from workspaces.scopes import grants
from workspaces.tokens.checking import REFUSED, USED_AT_RESOLUTION, authenticate
from workspaces.tokens.ending import revoke_connection_tokens, revoke_person_tokens, revoke_token
from workspaces.tokens.form import BASE62, TOKEN, checksum, prefix_of
from workspaces.tokens.making import create_kept_token, create_token, create_within
from workspaces.tokens.networks import MAX_NETWORKS, covers
from workspaces.tokens.refusals import note_refusal
from workspaces.tokens.renaming import rename_token
from workspaces.tokens.rotating import rotate_kept_token, rotate_token
from workspaces.tokens.states import status_of
from workspaces.tokens.values import refuse_wrong_networks, wrong_values

__all__ = [
    "BASE62",
    "MAX_NETWORKS",
    "REFUSED",
    "TOKEN",
    "USED_AT_RESOLUTION",
    "authenticate",
    "checksum",
    "covers",
    "create_kept_token",
    "create_token",
    "create_within",
    "grants",
    "note_refusal",
    "prefix_of",
    "refuse_wrong_networks",
    "rename_token",
    "revoke_connection_tokens",
    "revoke_person_tokens",
    "revoke_token",
    "rotate_kept_token",
    "rotate_token",
    "status_of",
    "wrong_values",
]
