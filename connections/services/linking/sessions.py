"""Link sessions: found by their token, bound to one browser, ended."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from connections.choices import LinkStatus
from connections.models import LinkSession
from connections.services.linking.digests import digest, fits, new_value
from connections.services.linking.errors import LinkError
from core import ids
from core.errors import ConflictError
from workspaces import audit
from workspaces.choices import AuditOutcome

GOING_ON = (LinkStatus.OPEN, LinkStatus.STARTED)
_OVER = ExpressionWrapper(Q(expires_at__lte=Now()), output_field=BooleanField())


def link_address(token: str) -> str:
    """Where the customer goes."""
    return f"{settings.PUBLIC_URL.rstrip('/')}/link/{token}"


def shown_id(session: LinkSession) -> str:
    """lnk_..."""
    return ids.show(LinkSession.PREFIX, session.pk) or ""


def status_of(session: LinkSession) -> LinkStatus:
    """Where the session stands: one that is open beyond its time has expired."""
    status = LinkStatus(session.status)
    return LinkStatus.EXPIRED if status in GOING_ON and session.expires_at <= timezone.now() else status


def find_session(token: str) -> LinkSession:
    """The session of a token, while the customer can go on with it. Needs no scope.

    Errors: LinkError LINK_UNKNOWN, LINK_EXPIRED, LINK_FINISHED, LINK_CANCELLED; all but the first name the session.
    """
    with scopes_disabled():
        rows = LinkSession.objects.select_related("workspace", "connection").defer("workspace__logo")
        rows = rows.annotate(is_over=_OVER)
        session: LinkSession | None = rows.filter(digest=digest("token", token)).first()
    if session is None:
        raise LinkError("This link is not known. Check that the address is complete, or ask for a new link.")
    refuse_ended(session)
    return session


def begin(session: LinkSession, browser: str | None) -> str:
    """Bind the session to one browser and answer the value by which it is known again; the page keeps it in a cookie.

    Errors: LinkError LINK_OTHER_BROWSER when another one works on it; `take_over` makes it this one's.
    """
    with scope(workspace=session.workspace_id):
        if session.browser_digest is None:
            value = new_value()
            bound, status = digest("browser", value), LinkStatus.STARTED
            rows = LinkSession.objects.filter(pk=session.pk, browser_digest=None, status=LinkStatus.OPEN)
            if rows.update(browser_digest=bound, status=status):
                session.browser_digest, session.status = bound, status
                return value
            session.refresh_from_db(fields=["browser_digest", "status"])
    if browser and fits("browser", browser, session.browser_digest):
        return browser
    raise other_browser(session)


def take_over(session: LinkSession) -> str:
    """Give the session to this browser, which starts anew: what the other one entered is erased."""
    value = new_value()
    with scope(workspace=session.workspace_id), transaction.atomic():
        locked = lock(session, any_browser=True)
        locked.secrets.all().delete()
        locked.browser_digest, locked.status = digest("browser", value), LinkStatus.STARTED
        locked.chosen_system, locked.config, locked.oauth_state_digest = "", {}, None
        locked.found = tries_of(locked)
        keep(session, locked, "browser_digest", "status", "chosen_system", "config", "found", "oauth_state_digest")
    return value


def cancel(session: LinkSession) -> LinkSession:
    """End the session; what was entered is erased. Cancelling twice changes nothing.

    Errors: ConflictError LINK_FINISHED when a connection was made already.
    """
    with scope(workspace=session.workspace_id), transaction.atomic():
        locked = LinkSession.objects.select_for_update(no_key=True, of=("self",)).get(pk=session.pk)
        if locked.status in (LinkStatus.FINISHED, LinkStatus.EXCHANGED):
            raise ConflictError("The customer has finished: end the connection instead.", code="LINK_FINISHED")
        if locked.status != LinkStatus.CANCELLED:
            locked.secrets.all().delete()
            locked.status, locked.config, locked.found = LinkStatus.CANCELLED, {}, {}
            locked.oauth_state_digest = None
            keep(session, locked, "status", "config", "found", "oauth_state_digest")
            tell(locked, "link.cancelled")
    session.status = LinkStatus.CANCELLED
    return session


def lock(session: LinkSession, *, any_browser: bool = False) -> LinkSession:
    """The locked row, in the caller's transaction and scope, while the customer may go on with it.

    Errors: those of `find_session`, and LINK_OTHER_BROWSER when it was taken over since the caller read it.
    """
    rows = LinkSession.objects.select_for_update(no_key=True, of=("self",)).annotate(is_over=_OVER)
    locked: LinkSession | None = rows.filter(pk=session.pk).first()
    if locked is None:  # purged with its connection
        raise LinkError("This link is not known any more. Ask for a new one.")
    refuse_ended(locked)
    if not any_browser and _bytes(locked.browser_digest) != _bytes(session.browser_digest):
        raise other_browser(locked)
    return locked


def keep(session: LinkSession, locked: LinkSession, *names: str) -> None:
    """Save these columns of the locked row; the caller's object says the same."""
    locked.save(update_fields=list(names))
    for name in names:
        setattr(session, name, getattr(locked, name))


def tries_of(session: LinkSession) -> dict[str, int]:
    """What is kept of `found` whoever begins anew: how often the link was tried."""
    return {"tries": session.found["tries"]} if "tries" in session.found else {}


def return_address(session: LinkSession) -> str:
    """Where the page returns to; empty where that is no address of the workspace (any more)."""
    return session.redirect_uri if session.redirect_uri in session.workspace.link_redirect_uris else ""


def opener_origin(session: LinkSession) -> str:
    """Whose page is told how it ended; empty where that is none of the workspace's (any more)."""
    return session.origin if session.origin in session.workspace.link_origins else ""


def refuse_ended(session: LinkSession) -> None:
    """Errors: LinkError LINK_CANCELLED, LINK_FINISHED, LINK_EXPIRED. The row is annotated with `is_over`."""
    if session.status == LinkStatus.CANCELLED:
        raise LinkError("This link was cancelled. Ask for a new one.", code="LINK_CANCELLED", session=session)
    if session.status in (LinkStatus.FINISHED, LinkStatus.EXCHANGED):
        raise LinkError("This link was used: the connection is made.", code="LINK_FINISHED", session=session)
    if session.is_over:  # type: ignore[attr-defined]  # annotated
        raise LinkError("This link has expired. Ask for a new one.", code="LINK_EXPIRED", session=session)


def other_browser(session: LinkSession) -> LinkError:
    """The session belongs to the browser in which it was begun."""
    detail = "This link was opened in another browser. Go on there, or start anew here."
    return LinkError(detail, code="LINK_OTHER_BROWSER", session=session)


def tell(session: LinkSession, action: str, *, outcome: AuditOutcome = AuditOutcome.DONE, **details: object) -> None:
    """Write to the audit log, in the caller's transaction."""
    audit.record(
        action,
        workspace_id=session.workspace_id,
        about=("link_session", shown_id(session)),
        outcome=outcome,
        details=details,
    )


def _bytes(value: bytes | memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)
