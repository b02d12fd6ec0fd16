"""Trying a connection out: can it be reached, does the sign-in work, can each entity be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models.functions import Now
from django_scopes import scope

from connections.choices import ConnectionStatus
from connections.models import Connection
from connections.services.budget import take_call
from connections.services.error_texts import error_json
from connections.services.health import CIRCUIT_FIELDS, close_circuit, record_trouble, tell
from connections.services.opening import open_connector
from core.errors import AuthError, BadAnswerError, ConflictError, LineshaftError, TransientError
from integrations.sdk.connector import Connector
from integrations.sdk.pages import CheckResult, Window
from workspaces.choices import EventType

CALL_SECONDS = 15.0
"""A person waits for the answer: no call of a check takes longer."""

OPERATIONS = ("read", "create", "update", "delete")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Check:
    """One thing that was tried. `code` is the error's, empty when it went well."""

    name: str
    ok: bool
    detail: str
    code: str = ""


@dataclass
class CheckOutcome:
    """`ok` when everything went well. `error` is the first failure as `error_json` shows it."""

    ok: bool = True
    checks: list[Check] = field(default_factory=list)
    error: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def check_connection(connection: Connection, *, by: str) -> CheckOutcome:
    """Sign in, read one object of each entity, and store what was learned.

    Signed in and at least one entity readable: the connection is active, with the error of an entity that is not
    (event `connection.online` after offline or needs_reauth). Else the failure is recorded: a pending connection stays
    pending, others become needs_reauth or count towards offline. Errors: ConflictError once it is disconnected.
    """
    if connection.health == ConnectionStatus.DISCONNECTED:
        raise ConflictError("The connection was ended; make a new one.", code="CONNECTION_DISCONNECTED")
    attempt = _Attempt()
    try:
        with open_connector(connection, page_size=1) as connector:
            attempt.run(connection, connector)
    except LineshaftError as error:
        attempt.failed("reachable", error)
    if attempt.signed_in and attempt.readable:
        _mark_active(connection, attempt)
    elif attempt.error is not None:
        record_trouble(connection.pk, connection.workspace_id, attempt.error)
        with scope(workspace=connection.workspace_id):
            Connection.objects.filter(pk=connection.pk).update(checked_at=Now())
    log.info("connection_checked", connection_id=str(connection.pk), by=by, ok=attempt.outcome.ok)
    return attempt.outcome


class _Attempt:
    """One check as it goes."""

    def __init__(self) -> None:
        self.outcome = CheckOutcome()
        self.error: LineshaftError | None = None
        self.signed_in: CheckResult | None = None
        self.readable = 0
        self.probed: dict[str, dict[str, bool]] = {}

    def run(self, connection: Connection, connector: Connector) -> None:
        connector.call_seconds = min(connector.call_seconds, CALL_SECONDS)  # type: ignore[misc]  # of this one alone
        take_call(connection, connector.limits, for_operations=True)
        try:
            with _understood(connector):
                self.signed_in = connector.check()
        except LineshaftError as error:
            reached = error.source is not None or isinstance(error, AuthError | BadAnswerError)
            if reached:
                self.passed("reachable", "The system answers.")
            self.failed("signed_in" if reached else "reachable", error)
            return
        account = self.signed_in.account
        self.passed("reachable", "The system answers.")
        self.passed("signed_in", f"Signed in as {account.removesuffix('.')}." if account else "Signed in.")
        for entity in connector.resources():
            if not self._read(connection, connector, entity):
                return
        if self.readable:
            self._probe(connection, connector)

    def _probe(self, connection: Connection, connector: Connector) -> None:
        """Find out what the account may do. Where that cannot be told nothing is known, and the check is as good."""
        take_call(connection, connector.limits, for_operations=True)
        try:
            with _understood(connector):
                found = connector.probe()
        except LineshaftError as error:
            detail = f"What the account may do could not be found out: {error_json(error)['message']}"
            self.outcome.checks.append(Check("permissions", True, detail, error.code))
            return
        self.probed = _known(found, connector)
        if self.probed:
            self.passed("permissions", _permissions(self.probed))

    def _read(self, connection: Connection, connector: Connector, entity: str) -> bool:
        """Read one page of an entity. False when the system is gone and more tries would only take time."""
        name = f"{entity}_readable"
        take_call(connection, connector.limits, for_operations=True)
        try:
            with _understood(connector):
                page = connector.fetch_page(connector.resource(entity), Window(None, connector.now()), None)
        except LineshaftError as error:
            self.failed(name, error)
            return not isinstance(error, TransientError)
        self.readable += 1
        self.passed(name, "Readable." if page.records else "Readable, but there is nothing.")
        return True

    def passed(self, name: str, detail: str) -> None:
        self.outcome.checks.append(Check(name, True, detail))

    def failed(self, name: str, error: LineshaftError) -> None:
        shown = error_json(error)
        self.outcome.checks.append(Check(name, False, shown["message"], error.code))
        self.outcome.ok = False
        if self.error is None:
            self.error, self.outcome.error = error, shown


def _known(found: dict[str, dict[str, bool]], connector: Connector) -> dict[str, dict[str, bool]]:
    """What was told of entities and operations there are."""
    return {
        entity: {operation: bool(may) for operation, may in told.items() if operation in OPERATIONS}
        for entity, told in found.items()
        if entity in connector.resources()
    }


def _permissions(probed: dict[str, dict[str, bool]]) -> str:
    missing = [
        f"{operation} {entity.replace('_', ' ')}"
        for entity, told in probed.items()
        for operation, may in told.items()
        if not may
    ]
    return f"The account may not: {', '.join(missing)}." if missing else "The account may do all it was asked about."


@contextmanager
def _understood(connector: Connector) -> Iterator[None]:
    """Another product's JSON at the address must not look like a fault of ours."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise BadAnswerError(
            f"The answer is not what {connector.title} sends: check that the address is its API's.",
            log_detail=repr(error),
        ) from error


def _mark_active(connection: Connection, attempt: _Attempt) -> None:
    told = attempt.signed_in
    with scope(workspace=connection.workspace_id), transaction.atomic():
        locked = _lock(connection.pk)
        if told is None or locked is None or locked.health == ConnectionStatus.DISCONNECTED:
            return
        was = locked.health
        close_circuit(locked)
        locked.health, locked.error, locked.checked_at = ConnectionStatus.ACTIVE, attempt.outcome.error, Now()
        locked.account, locked.system_version = _fit(told.account, 200), _fit(told.version, 80)
        if was in (ConnectionStatus.OFFLINE, ConnectionStatus.NEEDS_REAUTH):
            locked.online_since = Now()
        locked.probed, locked.probed_at = attempt.probed or None, Now() if attempt.probed else None
        learned = (
            "online_since",
            "probed",
            "probed_at",
            "health",
            "error",
            "checked_at",
            "account",
            "system_version",
            "updated_at",
        )
        locked.save(update_fields=[*learned, *CIRCUIT_FIELDS])
        if was in (ConnectionStatus.OFFLINE, ConnectionStatus.NEEDS_REAUTH):
            tell(locked, EventType.ONLINE, previous=was)


def _lock(pk: UUID) -> Connection | None:
    found: Connection | None = Connection.objects.select_for_update(no_key=True).filter(pk=pk).first()
    return found


def _fit(text: str, length: int) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:length]
