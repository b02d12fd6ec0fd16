"""The end of the flow: the connection is made, or the existing one signed in again, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import structlog
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django_scopes import scope

from connections.choices import Access, LinkStatus
from connections.models import Connection, LinkSession
from connections.services.checking import mark_active
from connections.services.credentials import store_secrets, stored_names
from connections.services.ending import revive
from connections.services.grants import forget_grant, save_grant
from connections.services.lifecycle import create_connection, tell_audit
from connections.services.linking.digests import digest, fits, new_value
from connections.services.linking.drafts import asked_of, chosen
from connections.services.linking.errors import LinkError
from connections.services.linking.outcomes import existing_connection, lost_its_key
from connections.services.linking.sessions import (
    keep,
    lock,
    opener_origin,
    return_address,
    shown_id,
    tell,
)
from connections.services.linking.testing import kept_drafts, not_tested, tested
from connections.services.opening import TLS_CLIENT_KEY
from connections.services.setting_values import check_values, clean_config
from connections.services.systems import demand_enabled
from core import ids
from core.errors import FieldError
from core.json import pointer
from integrations.sdk.connector import Connector
from integrations.sdk.oauth import Issued

CODE_LASTS = timedelta(minutes=5)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Finished:
    """How the customer goes back: to `redirect_url`, or with `code` and `state` told to the page at `origin`."""

    code: str = field(repr=False)
    redirect_url: str | None = field(repr=False)
    origin: str | None
    state: str


@dataclass(frozen=True)
class _Agreed:
    """What the customer agreed to, and what was tested for it."""

    kind: type[Connector]
    shared: dict[str, str]
    passthrough: bool
    secrets: dict[str, str] = field(repr=False)
    issued: Issued | None = field(repr=False)


def finish(session: LinkSession, *, shared: Mapping[str, str], passthrough: bool, renew: bool) -> Finished:
    """Make the connection with what was tested, or renew: the session's own, else with `renew` the existing one.

    `shared`: {entity: "read" | "read_write"}, within what is asked for; what is left out is not shared. A renewed one
    keeps id, records and schedules. Answers a code that works once within five minutes.
    Errors: LinkError LINK_NOTHING_SHARED, LINK_NOT_TESTED, LINK_NOTHING_TO_RENEW and those of `find_session`;
    ValidationFailedError; ConflictError and BusinessRuleError when the connection or the system is gone meanwhile.
    """
    code = new_value()
    with scope(workspace=session.workspace_id), transaction.atomic():
        renewed = _lock_renewed(session, renew)  # connections are locked before their link sessions, everywhere
        locked = lock(session)
        agreed = _agreed(locked, shared, passthrough)
        if _to_renew(locked, renew) != renewed:
            raise _nothing_to_renew(locked)
        connection = _renew(locked, renewed, agreed) if renewed else _make(locked, agreed)
        _learn(locked, connection, agreed.issued)
        locked.secrets.all().delete()
        locked.connection, locked.status, locked.finished_at = connection, LinkStatus.FINISHED, Now()
        locked.code_digest, locked.code_expires_at = digest("code", code), Now() + CODE_LASTS
        keep(session, locked, "connection", "status", "finished_at", "code_digest", "code_expires_at")
        tell(
            locked, "link.finished", connection=ids.show(Connection.PREFIX, connection.pk), renewed=bool(renewed),
            system=connection.system, shared=agreed.shared, passthrough=agreed.passthrough,
        )  # fmt: skip
    session.refresh_from_db(fields=["finished_at", "code_expires_at"])
    log.info("link_finished", link_id=shown_id(session), connection_id=str(connection.pk), renewed=bool(renewed))
    return _handed_over(session, code)


def may_hand_over_again(session: LinkSession, browser: str | None) -> bool:
    """Whether this browser finished it and its code was not taken yet: the answer may have been lost on its way."""
    if session.status != LinkStatus.FINISHED or session.code_expires_at is None:
        return False
    return session.code_expires_at > timezone.now() and fits("browser", browser, session.browser_digest)


def hand_over_again(session: LinkSession, browser: str | None) -> Finished:
    """The end once more, with another code in place of the one before; it lasts no longer than that one.

    Errors: LinkError LINK_FINISHED where `may_hand_over_again` is not so (any more).
    """
    code = new_value()
    with scope(workspace=session.workspace_id), transaction.atomic():
        rows = LinkSession.objects.select_for_update(no_key=True, of=("self",))
        locked: LinkSession | None = rows.filter(pk=session.pk).first()
        if locked is None or not may_hand_over_again(locked, browser):
            raise LinkError("This link was used: the connection is made.", code="LINK_FINISHED", session=session)
        locked.code_digest = digest("code", code)
        keep(session, locked, "code_digest")
        tell(locked, "link.code_replaced")
    return _handed_over(session, code)


def _handed_over(session: LinkSession, code: str) -> Finished:
    return Finished(code, _redirect(session, code), opener_origin(session) or None, session.state)


def _agreed(locked: LinkSession, shared: Mapping[str, str], passthrough: bool) -> _Agreed:
    kind = chosen(locked)
    tested(locked)
    if not locked.found["learned"]["works"]:
        raise not_tested(locked)
    secrets, issued = kept_drafts(locked)
    kept = _shared(locked, kind, shared)
    return _Agreed(kind, kept, passthrough and locked.passthrough, secrets, issued)


def _shared(locked: LinkSession, kind: type[Connector], shared: Mapping[str, str]) -> dict[str, str]:
    """What is shared, judged against what is asked for."""
    asked, errors = asked_of(locked, kind), []
    for entity, access in shared.items():
        allowed = Access.values if asked.get(entity) == Access.READ_WRITE else [asked.get(entity)]
        if access not in allowed:
            errors.append(FieldError(pointer("shared", str(entity)[:60]), "NOT_ASKED_FOR", "This is not asked for."))
    check_values(errors)
    if not shared:
        detail = "Choose what to share: with nothing there is nothing to connect."
        raise LinkError(detail, code="LINK_NOTHING_SHARED", session=locked)
    return dict(shared)


def _to_renew(session: LinkSession, renew: bool) -> Connection | None:
    """The connection that is signed in again, None when a new one is made."""
    if session.is_renewal:
        return session.connection
    return existing_connection(session) if renew else None


def _lock_renewed(session: LinkSession, renew: bool) -> Connection | None:
    wanted = _to_renew(session, renew)
    if wanted is None and renew:
        raise _nothing_to_renew(session)
    if wanted is None:
        return None
    found: Connection | None = Connection.objects.select_for_update(no_key=True).filter(pk=wanted.pk).first()
    if found is None or lost_its_key(found):
        raise _nothing_to_renew(session)
    return found


def _nothing_to_renew(session: LinkSession) -> LinkError:
    """It went meanwhile, or there was none."""
    detail = "There is no such connection any more. Connect it as a new one."
    return LinkError(detail, code="LINK_NOTHING_TO_RENEW", session=session)


def _make(locked: LinkSession, agreed: _Agreed) -> Connection:
    made = create_connection(
        workspace=locked.workspace,
        system=agreed.kind.slug,
        name=locked.name or agreed.kind.title,
        config=locked.config,
        secrets=agreed.secrets,
        environment=locked.environment,
        customer_reference=locked.customer_reference,
        metadata=locked.metadata,
        by=f"link {shown_id(locked)}",
        check=False,
    )
    made.shared, made.passthrough_shared = agreed.shared, agreed.passthrough
    made.save(update_fields=["shared", "passthrough_shared", "updated_at"])
    return made


def _renew(locked: LinkSession, connection: Connection, agreed: _Agreed) -> Connection:
    """New settings, secrets and shares in place of all old ones: raw calls go on only if they were asked for and given."""
    demand_enabled(connection.workspace_id, connection.system, connection.environment)
    revive(connection)
    errors: list[FieldError] = []
    connection.config = clean_config(agreed.kind, locked.config, errors)
    check_values(errors)
    connection.shared, connection.passthrough_shared = agreed.shared, agreed.passthrough
    connection.save(update_fields=["config", "shared", "passthrough_shared", "updated_at"])
    gone = stored_names(connection) - {TLS_CLIENT_KEY}
    store_secrets(connection, {**dict.fromkeys(gone), **agreed.secrets})
    tell_audit("renewed", connection, link_id=shown_id(locked))
    return connection


def _learn(locked: LinkSession, connection: Connection, issued: Issued | None) -> None:
    """What the test told becomes the connection's; so does what was granted."""
    learned: dict[str, Any] = locked.found["learned"]
    mark_active(
        connection,
        account=learned["account"],
        version=learned["version"],
        probed=learned["probed"],
        error=learned["error"],
    )
    if issued is not None:
        save_grant(connection, issued)
    else:
        forget_grant(connection)


def _redirect(session: LinkSession, code: str) -> str | None:
    """The registered address with the code; what it holds already stays."""
    registered = return_address(session)
    if not registered:
        return None
    told = urlencode({"code": code, **({"state": session.state} if session.state else {})})
    address, hash_, fragment = registered.partition("#")
    return f"{address}{'&' if '?' in address else '?'}{told}{hash_}{fragment}"
