"""What a live test told, in words for the customer, kept on the session from page to page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django_scopes import scope

from connections.choices import ConnectionStatus
from connections.models import Connection, LinkSession
from connections.services.checking import fit
from connections.services.linking.drafts import asked_of, chosen
from connections.services.trying import Trial
from integrations.entities import ENTITIES
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import ConfigField

_LABELS = {
    "reachable": "Reaching the system",
    "signed_in": "Signing in",
    "permissions": "Permissions",
    "time": "Time",
}
_READABLE = "_readable"
# Texts that speak of the installation's settings are for its operator.
_FOR_CUSTOMERS = {
    "EGRESS_DENIED": "This address cannot be reached from here. Check it, or ask for help: it may need to be allowed.",
    "CLIENT_CERTIFICATE_INVALID": "This connection's own certificate cannot be used any more. Ask for help.",
    "CA_CERTIFICATE_INVALID": "This connection's own certificate cannot be used any more. Ask for help.",
    "KEY_MISSING": "This connection's own certificate cannot be used at the moment. Ask for help.",
    "OAUTH_CLIENT_MISSING": "Signing in to this system is not set up yet. Ask for help.",
    "OAUTH_CLIENT_REFUSED": "Signing in to this system is not set up rightly. Ask for help.",
}


@dataclass(frozen=True)
class LinkCheck:
    """One thing that was tried."""

    name: str
    label: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Row:
    """What the account may do with one entity; None where that is not known. `asked`: read or read_write."""

    entity: str
    label: str
    asked: str
    read: bool | None
    create: bool | None
    update: bool | None
    delete: bool | None


@dataclass(frozen=True)
class FieldChoices:
    """A setting to choose from what the system offers: (value, label) each. `required`: there is no doing without."""

    name: str
    label: str
    help: str
    options: list[tuple[Any, str]]
    required: bool = True


@dataclass(frozen=True)
class Outcome:
    """`ok` when the sign-in works and something can be read, or could once a place is chosen.

    `existing`: the connection that this would double.
    """

    ok: bool
    checks: list[LinkCheck] = field(default_factory=list)
    matrix: list[Row] = field(default_factory=list)
    account: str = ""
    choices: list[FieldChoices] = field(default_factory=list)
    existing: Connection | None = None


def outcome_of(session: LinkSession) -> Outcome | None:
    """How the last test went, for pages that are loaded again; None when nothing was tested."""
    told = session.found.get("outcome")
    if told is None:
        return None
    choices = [
        FieldChoices(**{**each, "options": [(value, label) for value, label in each["options"]]})
        for each in told["choices"]
    ]
    return Outcome(
        ok=told["ok"],
        checks=[LinkCheck(**check) for check in told["checks"]],
        matrix=[Row(**row) for row in told["matrix"]],
        account=told["account"],
        choices=choices,
        existing=existing_connection(session) if told["ok"] else None,
    )


def found_of(session: LinkSession, kind: type[Connector], trial: Trial, choices: list[FieldChoices]) -> dict[str, Any]:
    """A trial as the session keeps it: how it is shown, and what the connection learns from it."""
    told = trial.signed_in
    outcome = {
        "ok": trial.works or (told is not None and _must_choose(session, kind, choices)),
        "checks": [asdict(check) for check in checks_of(trial)],
        "matrix": [asdict(row) for row in _matrix(session, kind, trial)],
        "account": told.account if told else "",
        "choices": [asdict(each) for each in choices],
    }
    learned = {
        "works": trial.works,
        "account": told.account if told else "",
        "version": told.version if told else "",
        "probed": trial.probed or None,
        "error": trial.outcome.error,
    }
    return {"outcome": outcome, "learned": learned}


def checks_of(trial: Trial) -> list[LinkCheck]:
    """The checks in the customer's words."""
    return [
        LinkCheck(check.name, _label(check.name), check.ok, _FOR_CUSTOMERS.get(check.code, check.detail))
        for check in trial.outcome.checks
    ]


def plural_of(entity: str) -> str:
    """ "purchase_order" -> "Purchase orders"."""
    known = ENTITIES.get(entity)
    return (known.describes.slug if known else entity).replace("-", " ").replace("_", " ").capitalize()


def existing_connection(session: LinkSession) -> Connection | None:
    """The connection of the same customer to the same account of the same instance, which a new one would double."""
    account = session.found.get("learned", {}).get("account")
    if session.is_renewal or not session.customer_reference or account is None:
        return None
    kind = chosen(session)
    with scope(workspace=session.workspace_id):
        rows = Connection.objects.filter(
            system=kind.slug,
            environment=session.environment,
            customer_reference=session.customer_reference,
            account=fit(account, 200),
            purge_requested_at=None,
        )
        same: Sequence[Connection] = [
            row for row in rows.order_by("-pk") if _is_same(kind, row.config, session.config) and not lost_its_key(row)
        ]
    return same[0] if same else None


def lost_its_key(connection: Connection) -> bool:
    """Whether it shows a certificate whose key went when it was disconnected: only an operator can enter that again."""
    return bool(connection.client_certificate) and connection.health == ConnectionStatus.DISCONNECTED


def _is_same(kind: type[Connector], one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the settings that say which instance it is are the same; the others may differ."""
    return all(
        one.get(setting.name, setting.default) == other.get(setting.name, setting.default)
        for setting in kind.config
        if _tells_instance(setting)
    )


def _tells_instance(setting: ConfigField) -> bool:
    return not setting.secret and (setting.is_host or setting.required or bool(setting.choices_from))


def _must_choose(session: LinkSession, kind: type[Connector], choices: list[FieldChoices]) -> bool:
    """Whether nothing may be readable only because a place has to be chosen first."""
    needed = {setting.name for setting in kind.config if setting.required and setting.choices_from}
    return any(each.name in needed and each.name not in session.config for each in choices)


def _label(name: str) -> str:
    if name.endswith(_READABLE):
        return plural_of(name.removesuffix(_READABLE))
    return _LABELS.get(name) or name.replace("_", " ").capitalize()


def _matrix(session: LinkSession, kind: type[Connector], trial: Trial) -> list[Row]:
    return [
        Row(entity, plural_of(entity), asked, **_may(kind, trial, entity))
        for entity, asked in asked_of(session, kind).items()
    ]


def _may(kind: type[Connector], trial: Trial, entity: str) -> dict[str, bool | None]:
    """Reading was tried; of writing the system told, or nothing is known. What it does not take may not be done."""
    told, resource = trial.probed.get(entity, {}), kind.resource(entity)
    writes = {
        operation: told.get(operation) if resource.write(operation) else False
        for operation in ("create", "update", "delete")
    }
    return {"read": trial.readable.get(entity), **writes}
