"""Trying what the customer entered: live, before anything is kept. Secrets of a failed test are never stored."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
import structlog
from django.db import transaction
from django_scopes import scope

from connections.models import LinkSession
from connections.services.linking.digests import new_value
from connections.services.linking.drafts import GRANT, asked_of, chosen, keep_secrets, kept_secrets
from connections.services.linking.errors import LinkError
from connections.services.linking.outcomes import FieldChoices, Outcome, found_of, outcome_of
from connections.services.linking.places import chosen_value, lenient, offered
from connections.services.linking.sessions import keep, lock, shown_id, tell
from connections.services.opening import open_draft
from connections.services.setting_values import check_values, clean_config, clean_secrets
from connections.services.trying import Trial, try_out
from core.errors import FieldError, LineshaftError
from core.json import pointer
from integrations.sdk.connector import Connector
from integrations.sdk.oauth import Issued
from workspaces.choices import AuditOutcome

MAX_TRIES = 50
"""Of one link: enough for every mistyped password, too few to guess one."""

AT_ONCE, WAIT_SECONDS = 4, 5.0
"""Tests in one web process: half of its threads, so that no link to a slow system keeps everybody else waiting."""
_places = threading.BoundedSemaphore(AT_ONCE)

log = structlog.get_logger(__name__)


def submit(session: LinkSession, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> Outcome:
    """Judge what was entered, then sign in with it and see what the account may do.

    Secrets are kept, encrypted and for an hour at the most, only when that works; otherwise nothing stays but the other
    settings. Errors: ValidationFailedError with a pointer per value, LinkError.
    """
    kind = chosen(session)
    errors: list[FieldError] = []
    cleaned = judged_config(session, kind, config, errors)
    kept = _judged_secrets(kind, secrets, errors)
    check_values(errors)
    return run_test(session, kind, cleaned, kept)


def judged_config(
    session: LinkSession, kind: type[Connector], config: Mapping[str, Any], errors: list[FieldError]
) -> dict[str, Any]:
    """The settings entered so far, with those that are chosen later as they stand. Faults are added to `errors`."""
    later = {field.name for field in kind.config if field.choices_from}
    entered = {name: value for name, value in config.items() if name not in later}
    before = {name: value for name, value in session.config.items() if name in later}
    found: list[FieldError] = []
    cleaned = clean_config(kind, {**before, **entered}, found)
    pointers = {pointer("config", name) for name in later}
    errors += [error for error in found if error.pointer not in pointers]
    return cleaned


def choose_places(session: LinkSession, values: Mapping[str, Any]) -> Outcome:
    """Set what the system offers a choice of, and try it out when it is another than was tried.

    Errors: ValidationFailedError for what was not offered, LinkError LINK_NOT_TESTED.
    """
    kind, outcome = chosen(session), tested(session)
    errors: list[FieldError] = []
    config = dict(session.config)
    for choice in outcome.choices:
        config |= chosen_value(kind, choice, values.get(choice.name), errors)
    check_values(errors)
    config = {name: value for name, value in config.items() if value is not None}
    if config == session.config:
        return outcome
    with scope(workspace=session.workspace_id), transaction.atomic():
        if attempt_of(lock(session)) != attempt_of(
            session
        ):  # else another sign-in's secrets would go with these settings
            raise _overtaken(session)
        secrets, issued = kept_drafts(session)
    return run_test(session, kind, config, secrets, issued=issued)


def kept_drafts(session: LinkSession) -> tuple[dict[str, str], Issued | None]:
    """What the last good test kept: secrets by name, and what was granted. Errors: LinkError LINK_NOT_TESTED."""
    kept = kept_secrets(session)
    if set(session.found.get("kept", [])) - set(kept):
        raise not_tested(session)
    granted = kept.pop(GRANT, None)
    return kept, Issued.from_json(orjson.loads(granted)) if granted else None


def tested(session: LinkSession) -> Outcome:
    """How the last test went well. Errors: LinkError LINK_NOT_TESTED when none did."""
    outcome = outcome_of(session)
    if outcome is None or not outcome.ok:
        raise not_tested(session)
    return outcome


def not_tested(session: LinkSession) -> LinkError:
    """Nothing to go on with."""
    detail = "Sign in first: nothing that works is entered, or it was too long ago."
    return LinkError(detail, code="LINK_NOT_TESTED", session=session)


def run_test(
    session: LinkSession,
    kind: type[Connector],
    config: dict[str, Any],
    secrets: Mapping[str, str],
    *,
    issued: Issued | None = None,
) -> Outcome:
    """Try the settings and secrets out and keep them, or erase what there is. No transaction is open meanwhile."""
    with place(session):
        attempt = begin_attempt(session, config)
        trial, choices = _try(session, kind, config, secrets, issued)
    kept = {**secrets, **({GRANT: orjson.dumps(issued.as_json()).decode()} if issued else {})}
    return end_attempt(session, kind, attempt, trial, choices, kept)


@contextmanager
def place(session: LinkSession) -> Iterator[None]:
    """One of the places for calls to systems that customers wait for. Errors: LinkError LINK_BUSY."""
    if not _places.acquire(timeout=WAIT_SECONDS):
        detail = "Many sign-ins are tried out at this moment. Try again in half a minute."
        raise LinkError(detail, code="LINK_BUSY", session=session)
    try:
        yield
    finally:
        _places.release()


def begin_attempt(
    session: LinkSession, config: dict[str, Any], *, state_digest: bytes | None = None, **secrets: str
) -> str:
    """Count a test, keep its settings, forget the one before. Answers by what its end is known."""
    attempt = new_value()
    with scope(workspace=session.workspace_id), transaction.atomic():
        locked = lock(session)
        if locked.chosen_system != session.chosen_system:
            raise _overtaken(session)
        tries = int(locked.found.get("tries", 0)) + 1
        if tries > MAX_TRIES:
            detail = "This link was tried too often. Ask for a new one."
            raise LinkError(detail, code="LINK_TOO_MANY_TRIES", session=session)
        keep_secrets(locked, secrets)
        locked.config, locked.found = config, {"tries": tries, "attempt": attempt}
        locked.oauth_state_digest = state_digest
        keep(session, locked, "config", "found", "oauth_state_digest")
    return attempt


def end_attempt(
    session: LinkSession,
    kind: type[Connector],
    attempt: str,
    trial: Trial,
    choices: list[FieldChoices],
    secrets: Mapping[str, str],
) -> Outcome:
    """Keep what a test told, and the secrets when it went well. Errors: LinkError LINK_OVERTAKEN by a later test."""
    with scope(workspace=session.workspace_id), transaction.atomic():
        locked = lock(session)
        if attempt_of(locked) != attempt:
            raise _overtaken(session)
        told = found_of(locked, kind, trial, choices)
        kept = secrets if told["outcome"]["ok"] else {}
        keep_secrets(locked, kept)
        locked.found = {"tries": locked.found["tries"], "attempt": attempt, "kept": sorted(kept), **told}
        keep(session, locked, "found")
        if not told["outcome"]["ok"]:
            code = trial.error.code if trial.error else "NOTHING_READABLE"
            tell(locked, "link.refused", outcome=AuditOutcome.REFUSED, system=kind.slug, reason=code)
    log.info("link_tested", link_id=shown_id(session), system=kind.slug, ok=trial.works)
    outcome = outcome_of(session)
    if outcome is None:
        raise not_tested(session)
    return outcome


def attempt_of(session: LinkSession) -> str:
    """Which test the session is about; pages name it, so that one of before is not taken for it."""
    return str(session.found.get("attempt", ""))


def _overtaken(session: LinkSession) -> LinkError:
    detail = "Something else was entered meanwhile. Go on with that."
    return LinkError(detail, code="LINK_OVERTAKEN", session=session)


def _try(
    session: LinkSession, kind: type[Connector], config: dict[str, Any], secrets: Mapping[str, str],
    issued: Issued | None,
) -> tuple[Trial, list[FieldChoices]]:  # fmt: skip
    try:
        renewed = session.connection if session.is_renewal else None
        with open_draft(lenient(kind), config=config, secrets=secrets, issued=issued, like=renewed) as connector:
            trial = try_out(connector, asked_of(session, kind), lambda: None)
            return trial, offered(connector, trial) if trial.signed_in else []
    except LineshaftError as error:
        trial = Trial()
        trial.failed("reachable", error)
        return trial, []


def _judged_secrets(kind: type[Connector], secrets: Mapping[str, Any], errors: list[FieldError]) -> dict[str, str]:
    """Plain texts only: where a secret stands is for the operator to say, never for a customer."""
    texts = {}
    for name, value in secrets.items():
        if value is None or isinstance(value, str):
            texts[name] = value
        else:
            errors.append(FieldError(pointer("secrets", str(name)[:60]), "WRONG_TYPE", "It must be a text."))
    wrong = {error.pointer for error in errors}
    found: list[FieldError] = []
    cleaned = clean_secrets(kind, texts, found)
    errors += [error for error in found if error.pointer not in wrong]
    return {name: value for name, value in cleaned.items() if value}
