"""The page "Security": what is weak in a person's workspaces, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast, Coalesce, Now
from django.http import HttpRequest
from django.urls import reverse
from django_scopes import scope

from connections.models import Connection
from core.admin import may, where_allowed
from core.admin_texts import moment
from workspaces.choices import AuditOutcome, Environment, Scope
from workspaces.models import ApiToken, AuditEvent
from workspaces.scopes import entity_scopes

SHOWN = 20
UNUSED_DAYS = 90
REFUSED_DAYS = 7
SEES_IT = "workspaces.view_auditevent"
POWERFUL = (
    Scope.RECORDS_WRITE, Scope.TOKENS_WRITE, Scope.CONNECTIONS_WRITE, Scope.SYSTEMS_WRITE, Scope.PASSTHROUGH_WRITE,
)  # fmt: skip
EVERYWHERE = ["0.0.0.0/0", "::/0"]
STORE_CODES = (
    "SECRET_STORE_DOWN",
    "SECRET_STORE_DENIED",
    "SECRET_MISSING",
    "SECRET_STORE_NOT_SET_UP",
    "REFERENCE_NOT_ALLOWED",
    "REFERENCE_INVALID",
)


@dataclass(frozen=True)
class Item:
    """One row that is weak, with the page to mend it."""

    name: str
    address: str
    detail: str


@dataclass(frozen=True)
class Weakness:
    """A kind of weakness: why it matters, what to do, and the first rows of it."""

    title: str
    why: str
    mend: str
    colour: str
    count: int
    items: list[Item]


def may_see(request: HttpRequest) -> bool:
    """Who may read the audit log may see what is weak."""
    return may(request, SEES_IT, None)


def weaknesses(request: HttpRequest) -> list[Weakness]:
    """Of the workspaces where the person may see it, worst first; what is in order is left out. Queries do not depend
    on the rows."""
    if getattr(request.user, "is_superuser", False):
        found = [*_of_workspaces(), *_of_people()]
    else:
        with scope(workspace=where_allowed(request, SEES_IT)):
            found = [*_of_workspaces()]
    return [weakness for weakness in found if weakness.count]


def _of_workspaces() -> Iterator[Weakness]:
    yield from _of_connections()
    yield from _of_tokens()
    yield from _of_audit()


def _of_connections() -> Iterator[Weakness]:
    present: Any = Connection.objects.present()
    yield _listed(
        "Secrets that do not open",
        "The encryption key they were stored with is missing, so these connections cannot sign in.",
        "Put the key back behind the first of the key ring, or enter the secrets again. `manage.py check_keys` tells more.",
        "danger",
        present.filter(error__code="KEY_MISSING"),
        _connection,
    )
    yield _listed(
        "References that fail",
        "The secrets manager did not give the secret: it is down, denies it, has none, or the reference is not allowed.",
        "Look at the message, mend it in the secrets manager or choose another reference; syncs go on by themselves.",
        "danger",
        present.filter(error__code__in=STORE_CODES),
        _connection,
    )
    plain = present.alias(text=Cast("config", TextField())).filter(text__icontains='"http://')
    yield _listed(
        "Systems reached without encryption",
        "Everything sent there, secrets too, can be read on the way.",
        "Change the address to https; with a certificate authority of the customer's own, enter its certificate.",
        "danger",
        plain.filter(environment=Environment.LIVE),
        _connection,
    )


def _of_tokens() -> Iterator[Weakness]:
    usable: Any = ApiToken.objects.all().usable()
    days = settings.TOKEN_MAX_AGE_DAYS
    yield _listed(
        f"Tokens older than {days} days",
        "The longer a token lives, the more places may have kept it.",
        "Rotate each with an overlap: both work until your service has the new one.",
        "warning",
        usable.filter(created_at__lt=Now() - timedelta(days=days)).order_by("created_at"),
        _token,
    )
    yield _listed(
        f"Tokens unused for {UNUSED_DAYS} days",
        "Nobody would miss them, and nobody would notice that they are misused.",
        "Revoke them.",
        "warning",
        usable.alias(at=Coalesce("last_used_at", "created_at")).filter(at__lt=Now() - timedelta(days=UNUSED_DAYS)),
        _token,
    )
    yield _listed(
        "Powerful tokens that work from anywhere",
        "They may change things, and whoever finds one may use it from any network.",
        "Rotate them into tokens with allowed networks.",
        "warning",
        usable.filter(
            Q(allowed_networks=[]) | Q(allowed_networks__overlap=EVERYWHERE),
            environment=Environment.LIVE,
            scopes__overlap=[*POWERFUL, *(each for each in entity_scopes() if each.endswith(":write"))],
        ),
        _token,
    )
    yield _listed(
        "Tokens that never expire",
        "A forgotten one works for ever.",
        "Give the next one a date when you rotate.",
        "info",
        usable.filter(expires_at=None, environment=Environment.LIVE),
        _token,
    )


def _of_audit() -> Iterator[Weakness]:
    since = Now() - timedelta(days=REFUSED_DAYS)
    refused = AuditEvent.objects.filter(action__startswith="token.", outcome=AuditOutcome.REFUSED, at__gte=since)
    yield _listed(
        f"Refused uses of tokens in the last {REFUSED_DAYS} days",
        "A revoked token, a foreign network or a browser: a service was forgotten, or a token leaked.",
        "Find who sent it by the address. If it is nobody of yours, look where the token could have leaked.",
        "warning",
        refused,
        lambda event: Item(
            event.action,
            _page("workspaces_auditevent", event),
            f"{event.address or 'unknown address'}, {event.at:%Y-%m-%d %H:%M} UTC",
        ),
    )


def _of_people() -> Iterator[Weakness]:
    people: Any = get_user_model()._default_manager.filter(is_active=True, is_superuser=True)
    stale = Q(last_login=None) | Q(last_login__lt=Now() - timedelta(days=UNUSED_DAYS))
    yield _listed(
        f"Operators who did not sign in for {UNUSED_DAYS} days",
        "They may do everything in every workspace.",
        "Take the rights from who does not need them any more.",
        "warning",
        people.filter(stale).order_by("username"),
        lambda person: Item(person.username, _page("auth_user", person), f"last sign-in {moment(person.last_login)}"),
    )


def _listed(title: str, why: str, mend: str, colour: str, rows: QuerySet[Any], item: Callable[[Any], Item]) -> Weakness:
    """Two queries: how many, and the first of them."""
    count = rows.count()
    items = [item(row) for row in rows[:SHOWN]] if count else []
    return Weakness(title, why, mend, colour, count, items)


def _connection(row: Connection) -> Item:
    return Item(row.name, _page("connections_connection", row), (row.error or {}).get("message", "") or row.system)


def _token(row: ApiToken) -> Item:
    used = moment(row.last_used_at) if row.last_used_at else "never"
    return Item(row.name, _page("workspaces_apitoken", row), f"made {row.created_at:%Y-%m-%d}, last used {used}")


def _page(name: str, row: Any) -> str:
    return reverse(f"admin:{name}_change", args=[row.pk])
