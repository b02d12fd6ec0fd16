"""What became of a request whose answer was lost. Nothing is sent here; a look-alike is never taken for ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from connections.services import Card
from core.errors import LineshaftError, NotFoundError, NotSupportedError
from integrations.sdk.connector import Connector
from integrations.sdk.pages import Window
from integrations.sdk.transforms import MappingError
from integrations.sdk.writes import Change, WriteCall
from syncs.choices import OperationKind
from syncs.engine.outcomes import now
from syncs.models import Operation, Record
from syncs.operations.comparing import not_applied
from syncs.operations.copying import Copier, Seen
from syncs.operations.errors import UndecidedError

CLOCK_SLACK = timedelta(minutes=5)
MOST_PAGES, MOST_CANDIDATES = 5, 10
DEFAULT_SETTLE_SECONDS = 20.0
# Unified statuses that a delete by status ends in.
_ENDS_AS = {"cancel": ("cancelled",), "deactivate": ("inactive", "retired", "blocked")}


@dataclass(frozen=True)
class Verdict:
    """What a look says. None of `applied`, `must_review`, `gone`, `wait_seconds`: it was surely not done."""

    applied: bool = False
    all_calls: bool = False  # what was read holds everything wished, not the latest request's part alone
    remote_id: str | None = None
    must_review: bool = False
    gone: bool = False
    wait_seconds: float = 0.0
    seen: Seen | None = None
    candidates: Sequence[dict[str, Any]] = ()
    error: LineshaftError | None = None


class Lookup:
    """Looks for the traces of one operation."""

    def __init__(
        self, operation: Operation, card: Card, connector: Connector, copier: Copier, *, before_call: Callable[[], None]
    ) -> None:
        self.operation, self.card, self.connector, self.copier = operation, card, connector, copier
        self.before_call = before_call

    def judge(self, *, resending: bool = True) -> Verdict:
        """Errors of the calls it makes are passed on; the operation stays unknown then."""
        if self.operation.kind == OperationKind.CREATE and self.operation.call_no == 0:
            return self._created()
        return self._changed(resending)

    # --- creates ----------------------------------------------------------------------------------------------------

    def _created(self) -> Verdict:
        declared = self.card.write("create")
        if declared is None or declared.resolve != "mark":
            return self._review("This system cannot be searched for what was made; a person must say whether it was.")
        left = self._unsettled(declared.settle_seconds)  # before the search: what it saw is as old as its beginning
        found = self._marked()
        if len(found) == 1 and (not self._is_callers_mark() or self._holds_all(found[0])):
            return Verdict(applied=True, remote_id=found[0])
        if found:
            return self._review("Several objects, or one made by somebody else, carry the mark.", found)
        if left <= 0 and (alike := self._candidates(())):
            # A system may have dropped the mark (a custom field nobody made there): then only a person can tell.
            why = "Nothing carries the mark, but there are objects made since that hold the same."
            return Verdict(must_review=True, error=_unknown(why), candidates=alike)
        return Verdict(wait_seconds=left)

    def _marked(self) -> list[str]:
        """Remote ids that carry the mark and are no other operation's."""
        operation = self.operation
        change = Change("create", operation.values, mark=operation.mark)
        self.before_call()
        found = self.connector.find_marked(self.card.resource, change, self._since())
        taken = self._made_by_others(found)
        return [remote_id for remote_id in dict.fromkeys(found) if remote_id not in taken]

    def _made_by_others(self, remote_ids: Sequence[str]) -> set[str]:
        """Those that other operations of ours made."""
        operation = self.operation
        made = Operation.objects.filter(
            connection_id=operation.connection_id, entity=operation.entity, kind="create", remote_id__in=remote_ids
        )
        return set(made.exclude(pk=operation.pk).values_list("remote_id", flat=True))

    def _since(self) -> datetime:
        """From when objects can be ours, by the remote's clock, with some slack."""
        first = self.operation.first_sent_at or now()
        return self.connector.now() - (now() - first) - CLOCK_SLACK

    def _is_callers_mark(self) -> bool:
        """Whether the mark is what the caller wrote into a field people see; somebody else may write the same."""
        return not self.operation.mark.startswith("lsh-")

    def _holds_all(self, remote_id: str) -> bool:
        """Whether the object can be ours: made since then, with everything that was wished."""
        self.before_call()
        seen = self.copier.read(remote_id)
        made = next((row.remote_created_at for row in seen.prepared.rows), None)
        if self._is_known(remote_id) or (made is not None and datetime.fromisoformat(made) < self._since()):
            return False
        return not self.not_applied(seen)

    def _review(self, why: str, found: Sequence[str] = ()) -> Verdict:
        return Verdict(must_review=True, error=_unknown(why), candidates=self._candidates(found))

    def _candidates(self, found: Sequence[str]) -> list[dict[str, Any]]:
        """Objects made since then that hold what was wished: shown to a person, never taken silently."""
        if found:
            return [{"remote_id": remote_id, "why": "It carries the mark."} for remote_id in found[:MOST_CANDIDATES]]
        since, candidates = self._since(), []
        window = Window(since if self.card.resource.changes else None, self.connector.now())
        position = None
        for _ in range(MOST_PAGES):
            self.before_call()
            page = self.connector.fetch_page(self.card.resource, window, position)
            for remote_id, raw in page.records:
                try:
                    seen = self.copier.seen(remote_id, raw)
                except (MappingError, LineshaftError):
                    continue  # what cannot be mapped cannot be compared
                if not self.not_applied(seen) and not self._is_known(remote_id):
                    candidates.append({"remote_id": remote_id, "why": "It holds every value that was wished."})
            if page.next is None or len(candidates) >= MOST_CANDIDATES:
                break
            position = page.next
        others = self._made_by_others([found["remote_id"] for found in candidates])
        return [found for found in candidates if found["remote_id"] not in others][:MOST_CANDIDATES]

    def _is_known(self, remote_id: str) -> bool:
        """Whether the copy held it before anything was sent."""
        pk = self.copier.record_id(remote_id)
        first = self.operation.first_sent_at
        held: bool = (
            Record.objects.filter(pk=pk, connection_id=self.operation.connection_id, written_at__lt=first).exists()
            if first
            else False
        )
        return held

    # --- everything else --------------------------------------------------------------------------------------------

    def _changed(self, resending: bool) -> Verdict:
        operation = self.operation
        left = self._unsettled(self._settle_seconds())  # before the reading: what it tells is as old as its beginning
        self.before_call()
        try:
            seen = self.copier.read(operation.remote_id)
        except NotFoundError:
            if operation.kind == OperationKind.DELETE:
                return Verdict(applied=True, all_calls=True)
            return Verdict(gone=True)
        except (NotSupportedError, MappingError):
            return Verdict(must_review=True, error=_unknown("The object cannot be read again, or not understood."))
        if self._is_done(seen):
            return Verdict(applied=True, all_calls=True, seen=seen)
        if not resending:
            return Verdict(seen=seen)
        call = operation.calls[operation.call_no]
        if self._is_marked():
            self.before_call()
            if self.connector.was_done(self.card.resource, WriteCall.from_json(call)):
                return Verdict(applied=True, seen=seen)  # of several requests this one; the others follow
            return Verdict(wait_seconds=left, seen=seen)
        if left > 0:
            return Verdict(wait_seconds=left, seen=seen)
        if operation.kind != OperationKind.UPDATE and self._moved_on(seen):
            why = f"It is {seen.status} now: whether it was done before that cannot be seen, and it cannot be done now."
            return Verdict(must_review=True, error=_unknown(why), seen=seen)
        if not call["repeatable"]:
            error = UndecidedError("The request was sent, its answer was lost, and sending it again could do it twice.")
            return Verdict(must_review=True, error=error, seen=seen)
        return Verdict(seen=seen)

    def _is_done(self, seen: Seen) -> bool:
        operation = self.operation
        if operation.kind == OperationKind.ACTION:
            action = self.card.resource.action(operation.action)
            return action is not None and seen.status in action.to_status
        if operation.kind == OperationKind.DELETE:
            ends = _ENDS_AS.get(operation.effect, ())
            if seen.unified.get("status") in (None, "unknown"):  # the mapping does not tell: any other status must do
                return bool(ends) and seen.status != (operation.before or {}).get("remote_status")
            return seen.unified["status"] in ends
        return not self.not_applied(seen)

    def _is_marked(self) -> bool:
        """Whether requests of the action can be found again by the mark they carry."""
        operation = self.operation
        action = self.card.resource.action(operation.action) if operation.kind == OperationKind.ACTION else None
        return action is not None and action.is_marked

    def _moved_on(self, seen: Seen) -> bool:
        """Whether the status it has now forbids what was asked for in another."""
        operation = self.operation
        if operation.kind == OperationKind.ACTION:
            denial = self.card.action(operation.action, seen.status)
        else:
            denial = self.card.operation(operation.kind, seen.status)
        return denial is not None and denial.reason == "status"

    def not_applied(self, seen: Seen) -> list[dict[str, Any]]:
        """What was wished and is not there."""
        operation = self.operation
        if operation.kind in (OperationKind.CREATE, OperationKind.UPDATE):
            return not_applied(self.card.spec.by_name, operation.values, seen.unified, operation.before)
        if self._is_done(seen):
            return []
        if operation.kind == OperationKind.ACTION:
            action = self.card.resource.action(operation.action)
            if action is not None and not action.to_status:
                return []  # nothing in the record says it
            return [
                {"pointer": "/remote_status", "wished": list(action.to_status if action else ()), "found": seen.status}
            ]
        return [{"pointer": "", "wished": operation.effect, "found": seen.status}]

    def _settle_seconds(self) -> float:
        kind = self.operation.kind
        declared = self.card.write("update" if kind == OperationKind.ACTION else kind)
        return declared.settle_seconds if declared is not None else DEFAULT_SETTLE_SECONDS

    def _unsettled(self, settle_seconds: float) -> float:
        """Seconds until "it is not there" counts."""
        sent = self.operation.lost_at or self.operation.sent_at
        return max(0.0, settle_seconds - (now() - sent).total_seconds()) if sent is not None else 0.0


def _unknown(why: str) -> UndecidedError:
    return UndecidedError(f"The request was sent, and its answer was lost. {why}")
