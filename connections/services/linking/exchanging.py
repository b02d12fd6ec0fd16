"""The code that the customer's browser brought back becomes a connection token, once."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now
from django_scopes import scope

from connections.choices import Access, ConnectionStatus, LinkStatus
from connections.models import Connection, LinkSession
from connections.services.linking.digests import digest
from connections.services.linking.errors import LinkError
from connections.services.linking.sessions import shown_id, tell
from core import ids
from core.errors import ConflictError, FieldError, ValidationFailedError
from workspaces.choices import AuditOutcome, Scope
from workspaces.models import ApiToken, Workspace
from workspaces.tokens import create_token, grants

READING = (
    Scope.CONNECTIONS_READ, Scope.SYNCS_READ, Scope.SYNCS_WRITE, Scope.RECORDS_READ, Scope.EVENTS_READ,
    Scope.OPERATIONS_READ,
)  # fmt: skip
WRITING = (Scope.RECORDS_WRITE, Scope.OPERATIONS_WRITE)
RAW = (Scope.PASSTHROUGH_READ, Scope.PASSTHROUGH_WRITE)

log = structlog.get_logger(__name__)


def exchange(
    code: str,
    *,
    workspace: Workspace,
    environment: str,
    scopes: Iterable[str] | None = None,
    allowed_networks: Iterable[str] = (),
    within: Iterable[str] | None = None,
    person_id: int | None = None,
    created_by: str,
) -> tuple[Connection, ApiToken, str]:
    """The connection that the code stands for, and a token for it alone, which nobody can show again.

    Without `scopes` it gets those that fit what is shared, raw calls never among them; of these only what `within`
    covers, where that is given. `person_id` is whose token asked: the new one is that person's too. Errors: LinkError CODE_UNKNOWN (also for a code of another workspace or environment),
    CODE_USED, CODE_EXPIRED; ConflictError CONNECTION_DISCONNECTED; ValidationFailedError for raw calls nobody shares.
    """
    with scope(workspace=workspace.pk):
        try:
            with transaction.atomic():
                connection = _lock_connection(code, environment)  # before its link session, as everywhere
                session = _take(code, environment)
                made = _token_of(session, connection, scopes, within, allowed_networks, person_id, created_by)
        except LinkError as error:
            if error.session is not None:
                reason = error.code
                tell(error.session, "link.refused", outcome=AuditOutcome.REFUSED, reason=reason, by=created_by)
            raise
    log.info("link_exchanged", link_id=shown_id(session), token_id=str(made[1].pk))
    return made


def default_scopes(connection: Connection, within: Iterable[str] | None = None) -> list[str]:
    """The scopes of a connection token that go with what is shared, as far as `within` covers them."""
    writes = connection.shared is None or Access.READ_WRITE in connection.shared.values()
    fitting = [str(each) for each in (*READING, *(WRITING if writes else ()))]
    held = None if within is None else frozenset(within)
    return [each for each in fitting if held is None or grants(held, each)]


def _lock_connection(code: str, environment: str) -> Connection:
    """The lock is the one that disconnecting takes: no token is made after it revoked them all."""
    rows = Connection.objects.select_for_update(no_key=True, of=("self",))
    kept = digest("code", code)
    found: Connection | None = rows.filter(link_sessions__code_digest=kept, environment=environment).first()
    if found is None:
        raise _unknown()
    return found


def _unknown() -> LinkError:
    return LinkError("There is no such code. Take the one that the connect page gave.", code="CODE_UNKNOWN")


def _take(code: str, environment: str) -> LinkSession:
    """The locked session of a code that still works."""
    is_late = ExpressionWrapper(Q(code_expires_at__lte=Now()), output_field=BooleanField())
    rows = LinkSession.objects.select_for_update(no_key=True, of=("self",)).annotate(is_late=is_late)
    session: LinkSession | None = rows.filter(code_digest=digest("code", code), environment=environment).first()
    if session is None or session.status not in (LinkStatus.FINISHED, LinkStatus.EXCHANGED):
        raise _unknown()
    if session.status == LinkStatus.EXCHANGED:
        detail = "This code was used already. Each works once; find the connection by its customer reference."
        raise LinkError(detail, code="CODE_USED", session=session)
    if session.is_late:  # type: ignore[attr-defined]  # annotated
        detail = "This code was not used within five minutes. The connection is made: create a token for it."
        raise LinkError(detail, code="CODE_EXPIRED", session=session)
    return session


def _token_of(
    session: LinkSession,
    connection: Connection,
    scopes: Iterable[str] | None,
    within: Iterable[str] | None,
    allowed_networks: Iterable[str],
    person_id: int | None,
    created_by: str,
) -> tuple[Connection, ApiToken, str]:
    if connection.health == ConnectionStatus.DISCONNECTED or connection.purge_requested_at is not None:
        detail = "The connection was ended meanwhile: ask the customer to connect again."
        raise ConflictError(detail, code="CONNECTION_DISCONNECTED")
    wanted = default_scopes(connection, within) if scopes is None else list(scopes)
    if not connection.passthrough_shared and set(wanted) & set(RAW):
        detail = "The customer does not let raw calls through: leave out the scopes of passthrough."
        raise ValidationFailedError(detail, errors=(FieldError("/scopes", "PASSTHROUGH_NOT_SHARED", detail),))
    token, clear = create_token(
        workspace=session.workspace,
        name=f"Link: {connection.name}"[:120],
        scopes=wanted,
        environment=session.environment,
        connection_id=connection.pk,
        allowed_networks=allowed_networks,
        person_id=person_id,
        created_by=created_by,
    )
    session.status, session.exchanged_at = LinkStatus.EXCHANGED, Now()
    session.save(update_fields=["status", "exchanged_at"])
    tell(
        session, "link.exchanged", connection=ids.show(Connection.PREFIX, connection.pk),
        token=ids.show(ApiToken.PREFIX, token.pk),
    )  # fmt: skip
    return connection, token, clear
