"""Signing in at the system itself: OAuth 2.0 with PKCE, its state bound to the browser that began."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django_scopes import scope, scopes_disabled

from connections.models import LinkSession
from connections.services.linking.digests import digest, fits, new_value
from connections.services.linking.drafts import VERIFIER, chosen, kept_secrets
from connections.services.linking.errors import LinkError
from connections.services.linking.outcomes import Outcome
from connections.services.linking.sessions import GOING_ON, keep, lock, tell
from connections.services.linking.testing import begin_attempt, end_attempt, judged_config, place, run_test
from connections.services.oauth_clients import oauth_client_of
from connections.services.opening import door_like
from connections.services.setting_values import check_values
from connections.services.trying import Trial
from core.errors import FieldError, LineshaftError
from integrations.sdk.auth import OAuth2Code
from integrations.sdk.connector import Connector
from integrations.sdk.oauth import Issued, OAuthClient, authorization_url, exchange_code
from workspaces.choices import AuditOutcome

MAX_PARAMETER = 4000
_ERROR_CODE = re.compile(r"[a-z_]{1,60}")


def start_oauth(session: LinkSession, config: Mapping[str, Any], browser: str) -> str:
    """Keep the settings and answer the address at which the customer signs in and agrees.

    Errors: ValidationFailedError with a pointer per value, LinkError, ConfigError OAUTH_CLIENT_MISSING or OAUTH_HOST_NOT_ALLOWED.
    """
    if not fits("browser", browser, session.browser_digest):
        raise _foreign(None)
    kind = chosen(session)
    auth = _auth_of(session, kind)
    errors: list[FieldError] = []
    cleaned = judged_config(session, kind, config, errors)
    check_values(errors)
    client = _client(session, kind, cleaned)
    state, verifier = new_value(), new_value()
    address = authorization_url(auth, _with_defaults(kind, cleaned), client, state=state, verifier=verifier)
    begin_attempt(session, cleaned, state_digest=digest("state", state), **{VERIFIER: verifier})
    return address


def take_oauth_answer(browser: str | None, params: Mapping[str, str]) -> tuple[LinkSession, Outcome]:
    """Take what the system's page sent back with the browser, get the tokens and try them out.

    A state counts once, in the browser that began. Errors: LinkError LINK_STATE_FOREIGN for any other; LINK_DENIED and
    LINK_OAUTH_FAILED when the system sent the customer back without a code; those of `find_session`.
    """
    session = _session_of(browser, params.get("state", ""))
    with scope(workspace=session.workspace_id):
        verifier = kept_secrets(session).get(VERIFIER)
    if params.get("error"):
        raise _refused(session, str(params["error"]))
    code = params.get("code", "")
    if not verifier or not code or len(code) > MAX_PARAMETER:
        raise _foreign(session)
    return session, _exchanged(session, code, verifier)


def _session_of(browser: str | None, state: str) -> LinkSession:
    """The session that waits for this state, which is used up thereby."""
    with scopes_disabled():
        rows = LinkSession.objects.select_related("workspace", "connection").defer("workspace__logo")
        waiting = rows.filter(oauth_state_digest=digest("state", state), status__in=GOING_ON) if state else rows.none()
        session: LinkSession | None = waiting.first()
    if session is None:
        raise _foreign(None)
    with scope(workspace=session.workspace_id):
        if not fits("browser", browser, session.browser_digest):
            tell(session, "link.refused", outcome=AuditOutcome.REFUSED, reason="LINK_STATE_FOREIGN")
            raise _foreign(None)
        with transaction.atomic():
            locked = lock(session)
            if not fits("state", state, locked.oauth_state_digest):
                raise _foreign(None)
            locked.oauth_state_digest = None
            keep(session, locked, "oauth_state_digest")
    return session


def _exchanged(session: LinkSession, code: str, verifier: str) -> Outcome:
    kind = chosen(session)
    config = dict(session.config)
    try:
        client = _client(session, kind, config)
        with place(session):
            issued = _exchange(session, kind, client, code, verifier)
    except LinkError:
        raise
    except LineshaftError as error:
        trial = Trial()
        trial.failed("signed_in", error)
        return end_attempt(session, kind, begin_attempt(session, config), trial, [], {})
    return run_test(session, kind, config, {}, issued=issued)


def _exchange(session: LinkSession, kind: type[Connector], client: OAuthClient, code: str, verifier: str) -> Issued:
    hidden = [secret for secret in (client.secret, code, verifier) if secret]
    renewed = session.connection if session.is_renewal else None
    auth, config = _auth_of(session, kind), _with_defaults(kind, session.config)
    with door_like(renewed, secrets=hidden) as door:
        return exchange_code(auth, config, client, door, code=code, verifier=verifier)


def _refused(session: LinkSession, told: str) -> LinkError:
    """The customer said no, or the system did. What was prepared is erased."""
    denied = told == "access_denied"
    reason = told if _ERROR_CODE.fullmatch(told) else "unknown"
    with scope(workspace=session.workspace_id), transaction.atomic():
        locked = lock(session)
        locked.secrets.all().delete()
        tell(locked, "link.refused", outcome=AuditOutcome.REFUSED, system=locked.chosen_system, reason=reason)
    if denied:
        detail = "Access was not given. Nothing is stored. Try again when you want to give it."
        return LinkError(detail, code="LINK_DENIED", session=session)
    detail = f"The system did not let you sign in ({reason}). Nothing is stored. Try again, or ask for help."
    return LinkError(detail, code="LINK_OAUTH_FAILED", session=session)


def _foreign(session: LinkSession | None) -> LinkError:
    """The same for every reason. `session` only where it is this browser's own."""
    detail = "This answer belongs to no sign-in that was begun here. Go back to your link and sign in again."
    return LinkError(detail, code="LINK_STATE_FOREIGN", session=session)


def _auth_of(session: LinkSession, kind: type[Connector]) -> OAuth2Code:
    auth = getattr(kind, "auth", None)
    if not isinstance(auth, OAuth2Code):
        detail = f"{kind.title} is not signed in to this way."
        raise LinkError(detail, code="LINK_SYSTEM_UNAVAILABLE", session=session)
    return auth


def _client(session: LinkSession, kind: type[Connector], config: Mapping[str, Any]) -> OAuthClient:
    with scope(workspace=session.workspace_id):
        whole = _with_defaults(kind, config)
        return oauth_client_of(session.workspace_id, kind.slug, session.environment, config=whole)


def _with_defaults(kind: type[Connector], config: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {field.name: field.default for field in kind.config if not field.secret and field.default is not None}
    return {**defaults, **config}
