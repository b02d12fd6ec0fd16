"""What token exchanges and sign-ins gave, in one row a connection that all workers share.

The row is claimed by one conditional UPDATE before an exchange: `lease_until` says until when, `fence` for whom. Nothing
is locked while the exchange goes on. `generation` rises with each new grant, so whoever waits sees it.
`updated_at` tells when a person signed in; renewals leave it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from time import time
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from connections.choices import ConnectionStatus
from connections.models import Connection, Grant
from core.errors import AuthError
from integrations.registry import get_connector
from integrations.sdk.auth import OAuth2Code
from integrations.sdk.connector import Connector
from integrations.sdk.oauth import Issued
from integrations.sdk.templates import names_in
from workspaces.secrets import open_secret, seal

AHEAD_SECONDS, AHEAD_SHARE = 60.0, 0.1
"""A token is renewed so long before it ends, or when that share of its life is left, whichever is less."""


@dataclass(frozen=True)
class Held:
    """A grant as its row has it. `place` says for which address and account it was given."""

    issued: Issued | None
    place: str
    generation: int
    fence: int
    seconds_left: float | None
    is_claimed: bool = False  # somebody renews it
    is_released: bool = True  # whoever had claimed it has said that it is over

    @classmethod
    def of(cls, issued: Issued, place: str, generation: int, fence: int) -> Held:
        """What was just stored."""
        return cls(issued, place, generation, fence, issued.expires_in_seconds)

    def seconds_ahead(self) -> float | None:
        """Until it should be renewed, which is a little before its end. None: until it is refused."""
        if self.issued is None or self.seconds_left is None:
            return None
        return self.seconds_left - min(AHEAD_SECONDS, AHEAD_SHARE * (self.issued.expires_in_seconds or 0.0))

    def is_fresh(self) -> bool:
        """Whether the token lasts for a while."""
        ahead = self.seconds_ahead()
        return self.issued is not None and (ahead is None or ahead > 0)


def save_grant(connection: Connection, issued: Issued) -> None:
    """Store what a person's sign-in gave, in place of everything before. In the caller's transaction and scope.

    A renewal that is under way comes too late then: it may not store what it gets.
    """
    kind = get_connector(connection.system)
    row = Grant.objects.select_for_update(no_key=True).filter(connection_id=connection.pk).first()
    row = row or Grant(workspace_id=connection.workspace_id, connection_id=connection.pk)
    seal(row, _text(issued, place_of(kind, connection, {})))
    row.generation, row.fence, row.lease_until = row.generation + 1, row.fence + 1, None
    row.expires_at = _end(issued)
    row.save()


def forget_grant(connection: Connection) -> None:
    """Delete it: the connection was ended, or leads elsewhere. In the caller's transaction and scope."""
    Grant.objects.filter(connection_id=connection.pk).delete()


def place_of(kind: type[Connector], connection: Connection, secrets: Mapping[str, str]) -> str:
    """Which address and account a grant is for: one of another place is never sent to this one.

    What a person agreed to goes with the address; what we sign in for ourselves with all settings and secrets.
    """
    parts: dict[str, Any] = {"proxy": connection.proxy, "authority": connection.ca_certificate}
    if isinstance(kind.auth, OAuth2Code):
        names = names_in(kind.auth.authorize_url, kind.auth.token_url)
        fields = [field for field in kind.config if field.is_host or field.name in names]
        parts["config"] = {field.name: connection.config.get(field.name, field.default) for field in fields}
    else:
        parts |= {"config": connection.config, "secrets": dict(secrets)}
    return sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


# --- the row, within the connection's scope -----------------------------------------------------------------------


def read_grant(connection_id: UUID) -> Held | None:
    """The grant and how it stands by the database's clock. Errors: ConfigError for one that does not decrypt."""
    row = Grant.objects.filter(connection_id=connection_id).annotate(read_at=Now()).first()
    if row is None:
        return None
    stored = orjson.loads(open_secret(row)) if row.ciphertext else {}
    return Held(
        issued=Issued.from_json(stored) if stored else None,
        place=stored.get("place") or "",
        generation=row.generation,
        fence=row.fence,
        seconds_left=(row.expires_at - row.read_at).total_seconds() if row.expires_at else None,
        is_claimed=row.lease_until is not None and row.lease_until > row.read_at,
        is_released=row.lease_until is None,
    )


def ensure_grant(connection_id: UUID, workspace_id: UUID) -> None:
    """Make an empty row for a connection that signs in by itself. Errors: AuthError once it is disconnected."""
    with transaction.atomic():
        held = Connection.objects.select_for_update(no_key=True).filter(pk=connection_id).first()
        if held is None or held.health == ConnectionStatus.DISCONNECTED:
            raise AuthError("The connection was ended; reconnect it first.", code="CONNECTION_DISCONNECTED")
        row = Grant(workspace_id=workspace_id, connection_id=connection_id)
        Grant.objects.bulk_create([row], ignore_conflicts=True)


def claim_grant(connection_id: UUID, held: Held, *, seconds: float) -> int | None:
    """Take the right to renew it, if it stands as it was read and nobody has it. Answers the fence."""
    fence = held.fence + 1
    taken = Grant.objects.filter(
        Q(lease_until__isnull=True) | Q(lease_until__lte=Now()),
        connection_id=connection_id,
        generation=held.generation,
        fence=held.fence,
    ).update(fence=fence, lease_until=Now() + timedelta(seconds=seconds))
    return fence if taken else None


@transaction.atomic  # until its end the data key that sealed it cannot be deleted as unused
def keep_grant(connection: Connection, issued: Issued, *, place: str, fence: int) -> bool:
    """Store what an exchange gave and end the claim. False, and nothing stored, when somebody else has claimed it since
    or signed in, or the connection was ended. That the lease ran out alone does not matter: what the exchange used up
    is better kept."""
    row = Grant.objects.filter(connection_id=connection.pk, fence=fence).first()
    if row is None:
        return False
    seal(row, _text(issued, place))
    return bool(
        Grant.objects.filter(pk=row.pk, fence=fence).update(
            ciphertext=row.ciphertext,
            reference="",
            expires_at=_end(issued),
            generation=row.generation + 1,
            lease_until=None,
        )
    )


def release_grant(connection_id: UUID, fence: int) -> None:
    """End the claim without a new grant: others need not wait."""
    Grant.objects.filter(connection_id=connection_id, fence=fence).update(lease_until=None)


def _text(issued: Issued, place: str) -> str:
    return orjson.dumps({**issued.as_json(), "place": place}).decode()


def _end(issued: Issued) -> Any:
    """When the token ends, by the database's clock."""
    if issued.expires_in_seconds is None:
        return None
    left = issued.expires_in_seconds - max(0.0, time() - issued.issued_at)
    return Now() + timedelta(seconds=max(0.0, left))
