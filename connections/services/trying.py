"""Trying an account of a system out: can it be reached, does the sign-in work, what may be read, what may be done.

Nothing is stored here, and nothing of the database is needed: a connection is tried out so, and one that is still to be.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from connections.services.error_texts import error_json
from core.errors import AuthError, BadAnswerError, LineshaftError, TransientError
from integrations.sdk.connector import Connector
from integrations.sdk.pages import CheckResult, Window

CALL_SECONDS = 15.0
"""A person waits for the answer: no call of a check takes longer."""

TRIAL_SECONDS = 60.0
"""Nor does a whole one go on for longer, however slowly a system answers each call."""

OPERATIONS = ("read", "create", "update", "delete")


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


@dataclass
class Trial:
    """What came of it. `readable` names the entities that were tried, `probed` what the system told of permissions."""

    outcome: CheckOutcome = field(default_factory=CheckOutcome)
    signed_in: CheckResult | None = None
    readable: dict[str, bool] = field(default_factory=dict)
    probed: dict[str, dict[str, bool]] = field(default_factory=dict)
    error: LineshaftError | None = None

    @property
    def works(self) -> bool:
        """Signed in, and something can be read: good enough to begin with."""
        return self.signed_in is not None and any(self.readable.values())

    def passed(self, name: str, detail: str) -> None:
        self.outcome.checks.append(Check(name, True, detail))

    def failed(self, name: str, error: LineshaftError) -> None:
        shown = error_json(error)
        self.outcome.checks.append(Check(name, False, shown["message"], error.code))
        self.outcome.ok = False
        if self.error is None:
            self.error, self.outcome.error = error, shown


def try_out(connector: Connector, entities: Iterable[str], before_call: Callable[[], object]) -> Trial:
    """Sign in, read one page of each of `entities` and of no other, and ask what the account may do with them.

    `before_call` comes before each step that calls the system; what it raises ends the trial and reaches the caller.
    What the system answers wrongly is told in the trial, and so is what there was no time for.
    """
    trial, wanted = Trial(), [entity for entity in connector.resources() if entity in set(entities)]
    connector.call_seconds = min(connector.call_seconds, CALL_SECONDS)  # type: ignore[misc]  # of this one alone
    until = time.monotonic() + TRIAL_SECONDS
    before_call()
    if not _sign_in(connector, trial):
        return trial
    for entity in wanted:
        if _is_late(trial, until):
            return trial
        before_call()
        if not _read(connector, entity, trial):
            return trial
    if any(trial.readable.values()) and not _is_late(trial, until):
        before_call()
        _probe(connector, wanted, trial)
    return trial


def fit(text: str, length: int) -> str:
    """The text as a column of this length can hold it: no NUL, no half characters."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:length]


def _is_late(trial: Trial, until: float) -> bool:
    if time.monotonic() < until:
        return False
    detail = "The system answers too slowly to try everything out. Try again when it is less busy."
    trial.failed("time", TransientError(detail, code="TRIED_TOO_LONG"))
    return True


@contextmanager
def understood(connector: Connector) -> Iterator[None]:
    """Another product's JSON at the address must not look like a fault of ours; and no error tells a secret."""
    with connector.door.discreet():
        try:
            yield
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            raise BadAnswerError(
                f"The answer is not what {connector.title} sends: check that the address is its API's.",
                log_detail=repr(error),
            ) from error


def _sign_in(connector: Connector, trial: Trial) -> bool:
    try:
        with understood(connector):
            trial.signed_in = _storable(connector.check())
    except LineshaftError as error:
        reached = error.source is not None or isinstance(error, AuthError | BadAnswerError)
        if reached:
            trial.passed("reachable", "The system answers.")
        trial.failed("signed_in" if reached else "reachable", error)
        return False
    account = trial.signed_in.account
    trial.passed("reachable", "The system answers.")
    trial.passed("signed_in", f"Signed in as {account.removesuffix('.')}." if account else "Signed in.")
    return True


def _storable(told: CheckResult) -> CheckResult:
    """What a system says of itself may be of any type and length."""
    return replace(told, account=fit(str(told.account or ""), 200), version=fit(str(told.version or ""), 80))


def _read(connector: Connector, entity: str, trial: Trial) -> bool:
    """Read one page of an entity. False when the system is gone and more tries would only take time."""
    name = f"{entity}_readable"
    try:
        with understood(connector):
            page = connector.fetch_page(connector.resource(entity), Window(None, connector.now()), None)
    except LineshaftError as error:
        trial.readable[entity] = False
        trial.failed(name, error)
        return not isinstance(error, TransientError)
    trial.readable[entity] = True
    trial.passed(name, "Readable." if page.records else "Readable, but there is nothing.")
    return True


def _probe(connector: Connector, entities: list[str], trial: Trial) -> None:
    """Find out what the account may do. Where that cannot be told nothing is known, and the trial is as good."""
    try:
        with understood(connector):
            found = connector.probe()
    except LineshaftError as error:
        detail = f"What the account may do could not be found out: {error_json(error)['message']}"
        trial.outcome.checks.append(Check("permissions", True, detail, error.code))
        return
    trial.probed = _known(found, entities)
    if trial.probed:
        trial.passed("permissions", _permissions(trial.probed))


def _known(found: dict[str, dict[str, bool]], entities: list[str]) -> dict[str, dict[str, bool]]:
    """What was told of operations there are, on the entities that were asked for."""
    return {
        entity: {operation: bool(may) for operation, may in told.items() if operation in OPERATIONS}
        for entity, told in found.items()
        if entity in entities
    }


def _permissions(probed: dict[str, dict[str, bool]]) -> str:
    missing = [
        f"{operation} {entity.replace('_', ' ')}"
        for entity, told in probed.items()
        for operation, may in told.items()
        if not may
    ]
    return f"The account may not: {', '.join(missing)}." if missing else "The account may do all it was asked about."
