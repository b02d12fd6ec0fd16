"""What a session asks of the customer, and what the customer has entered so far."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django_scopes import scope, scopes_disabled

from connections.choices import Access, LinkStatus
from connections.models import LinkSecret, LinkSession, SystemLogo
from connections.services.linking.errors import LinkError
from connections.services.linking.sessions import GOING_ON, keep, lock, tries_of
from connections.services.systems import disabled_systems
from core.errors import NotFoundError
from integrations.registry import catalogue, get_connector
from integrations.sdk.auth import OAuth2Code
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import ConfigField
from workspaces.choices import Environment
from workspaces.secrets import open_secret, seal

DRAFTS_LAST = timedelta(hours=1)
LOOKED_BACK = timedelta(days=7)
"""Sessions that expired longer ago were emptied already; more than a week no ticks stand still."""
GRANT, VERIFIER = "grant", "oauth_verifier"


@dataclass(frozen=True)
class SystemChoice:
    """A system that the customer may choose."""

    slug: str
    title: str
    summary: str
    categories: tuple[str, ...]
    initials: str
    has_logo: bool
    simulated: bool


def systems_of(session: LinkSession) -> list[SystemChoice]:
    """What there is to choose from, by title: the fixed one alone, else all that are switched on and have something of
    what is asked for. Connectors that were only tried with a simulation are offered in the test environment."""
    with scope(workspace=session.workspace_id):
        off = disabled_systems(session.workspace_id, session.environment)
        logos = frozenset(SystemLogo.objects.values_list("system", flat=True))
    kinds = [kind for kind in catalogue().values() if _is_offered(session, kind, off)]
    return [
        SystemChoice(
            kind.slug, kind.title, kind.summary, kind.categories, _initials(kind.title), kind.slug in logos,
            kind.simulated,
        )
        for kind in sorted(kinds, key=lambda kind: kind.title.lower())
    ]  # fmt: skip


def choose_system(session: LinkSession, slug: str) -> None:
    """Set the system. Another one than before erases what was entered. Errors: LinkError LINK_SYSTEM_UNAVAILABLE."""
    if slug not in {choice.slug for choice in systems_of(session)}:
        fixed = "This system cannot be connected at the moment: ask for help, or try again later."
        detail = fixed if session.system else "This system cannot be chosen here."
        raise LinkError(detail, code="LINK_SYSTEM_UNAVAILABLE", session=session)
    with scope(workspace=session.workspace_id), transaction.atomic():
        locked = lock(session)
        if locked.chosen_system == slug:
            return
        locked.secrets.all().delete()
        locked.chosen_system, locked.found, locked.oauth_state_digest = slug, tries_of(locked), None
        locked.config = dict(locked.connection.config) if locked.is_renewal and locked.connection else {}
        keep(session, locked, "chosen_system", "config", "found", "oauth_state_digest")


def chosen(session: LinkSession) -> type[Connector]:
    """The connector of the chosen system. Errors: LinkError LINK_SYSTEM_UNAVAILABLE before a choice, or without it."""
    try:
        return get_connector(session.chosen_system)
    except NotFoundError as error:
        detail = "Choose a system first."
        raise LinkError(detail, code="LINK_SYSTEM_UNAVAILABLE", session=session) from error


def form_of(session: LinkSession) -> list[ConfigField]:
    """The fields to fill in before the sign-in, in the connector's order."""
    return [field for field in chosen(session).config if not field.choices_from]


def uses_oauth(session: LinkSession) -> bool:
    """Whether the customer signs in at the system itself."""
    return isinstance(getattr(chosen(session), "auth", None), OAuth2Code)


def asked_of(session: LinkSession, kind: type[Connector]) -> dict[str, str]:
    """Entity -> access, of what is asked for and the system has; read alone where it takes no writes."""
    asked = session.entities
    found = {}
    for entity, resource in kind.resources().items():
        access = Access.READ_WRITE if asked is None else asked.get(entity)
        if access is not None:
            writable = bool(resource.writes or resource.actions)
            found[entity] = str(access) if writable else Access.READ.value
    return found


def keep_secrets(locked: LinkSession, secrets: Mapping[str, str]) -> None:
    """Replace all secrets of the session by these, encrypted. The caller holds the row's lock."""
    locked.secrets.all().delete()
    for name, clear in secrets.items():
        row = LinkSecret(workspace_id=locked.workspace_id, session_id=locked.pk, name=name)
        seal(row, clear)
        row.save(force_insert=True)


def kept_secrets(session: LinkSession) -> dict[str, str]:
    """What is kept of the session, in clear, as long as drafts may be used."""
    rows = LinkSecret.objects.filter(session_id=session.pk, updated_at__gt=Now() - DRAFTS_LAST)
    return {row.name: open_secret(row) for row in rows}


def forget_stale_links() -> int:
    """Erase secrets of sessions that ended or expired, and those older than an hour; and what else was entered in
    sessions that expired. Answers how many rows."""
    stale = Q(updated_at__lte=Now() - DRAFTS_LAST) | Q(session__expires_at__lte=Now())
    with scopes_disabled():
        pks = LinkSecret.objects.filter(stale | ~Q(session__status__in=GOING_ON)).values_list("pk", flat=True)[:1000]
        erased, _ = LinkSecret.objects.filter(pk__in=list(pks)).delete()
        lately = Q(expires_at__lte=Now(), expires_at__gt=Now() - LOOKED_BACK)
        expired = LinkSession.objects.filter(lately, status=LinkStatus.STARTED).exclude(config={}, found={})
        emptied = expired.update(config={}, found={}, oauth_state_digest=None)
    return int(erased) + int(emptied)


def _is_offered(session: LinkSession, kind: type[Connector], off: frozenset[str]) -> bool:
    if kind.slug in off or not asked_of(session, kind):
        return False
    if session.system:
        return kind.slug == session.system
    return not kind.simulated or session.environment == Environment.TEST


def _initials(title: str) -> str:
    """ "IBM Maximo" -> "IM", "MaintainX" -> "MX", "Tryton" -> "Tr"."""
    words: list[str] = re.findall(r"[^\W_]+", title)
    if len(words) > 1:
        return (words[0][0] + words[1][0]).upper()
    capitals: list[str] = re.findall(r"[A-Z]", title)
    return "".join(capitals[:2]) if len(capitals) > 1 else title[:2]
