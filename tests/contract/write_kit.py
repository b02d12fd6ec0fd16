"""The contract of every connector that writes, as tests it inherits: what it declares is tried out on the system itself.

    class TestTrytonWrites(WriteContract):
        connector = Tryton

        @pytest.fixture
        def subject(self, tryton_server): return Subject(...)      # as of ConnectorContract

        @pytest.fixture
        def stage(self, tryton_server): return TrytonStage(...)    # gives objects in every status, and values

Rules are passed by here: each field, action and delete is really sent in each status, and what the system does is
compared with what the card of the declaration says.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import orjson
import pytest

from connections.services.cards import Card
from core.errors import (
    AuthError,
    BadAnswerError,
    BusinessRuleError,
    ConflictError,
    LineshaftError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    TimeoutUnknownError,
    TransientError,
    UnreachableError,
)
from integrations.entities.spec import UNKNOWN, FieldSpec
from integrations.sdk.connector import Connector
from integrations.sdk.writes import Change, WriteCall
from tests.contract.kit import Subject, texts_of
from tests.contract.relay import Relay, relay
from tests.contract.write_comparing import action_mismatches, delete_mismatches, update_mismatches, wished_values
from tests.contract.writer import Stage, Writer, new_mark

# Of the last two nothing is known; a cut that leaves half a header looks like an empty answer.
SPOILT: list[tuple[str, type[LineshaftError] | tuple[type[LineshaftError], ...]]] = [
    ("http_401", AuthError),
    ("http_403", PermissionDeniedError),
    ("http_409", ConflictError),
    ("http_429", RateLimitedError),
    ("http_500", TransientError),
    ("http_503", TransientError),
    ("html", BadAnswerError),
    ("empty", BadAnswerError),
    ("cut_json", BadAnswerError),
    ("other_json", BadAnswerError),
    ("truncated", (TimeoutUnknownError, BadAnswerError)),
    ("slow", TimeoutUnknownError),
]


class WriteContract:
    """Inherit, name the connector, give the fixtures `subject` and `stage`."""

    connector: ClassVar[type[Connector]]
    stricter: ClassVar[frozenset[str]] = frozenset()
    """`purchase_order lines.line_number`: what is declared as refused on purpose, though the system would do it."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "entity" in metafunc.fixturenames:
            written = [name for name, found in self.connector.resources().items() if found.writes or found.actions]
            metafunc.parametrize("entity", written)

    @pytest.fixture(autouse=True)
    def _closed(self, subject: Subject) -> Iterator[None]:
        yield
        subject.close()

    @pytest.fixture
    def between(self, subject: Subject) -> Iterator[Relay]:
        with relay(subject.config[subject.address]) as found:
            yield found

    # --- what is declared and what is done ------------------------------------------------------------------------

    def test_update_when_each_field_is_sent_in_each_status_then_it_is_taken_as_declared(
        self, subject: Subject, stage: Stage, entity: str
    ) -> None:
        _none(update_mismatches(Writer(subject.make(), entity), stage, self.stricter))

    def test_action_when_sent_in_each_status_then_it_is_taken_as_declared(
        self, subject: Subject, stage: Stage, entity: str
    ) -> None:
        _none(action_mismatches(Writer(subject.make(), entity), stage))

    def test_delete_when_sent_in_each_status_then_it_does_what_is_declared(
        self, subject: Subject, stage: Stage, entity: str
    ) -> None:
        _none(delete_mismatches(Writer(subject.make(), entity), stage))

    def test_create_when_every_declared_field_is_given_then_each_stands_there(
        self, subject: Subject, stage: Stage, entity: str
    ) -> None:
        writer = Writer(subject.make(), entity)
        if writer.card.operation("create"):
            return
        values = stage.creation(entity)
        assert set(values) >= {name for name in writer.card.required() if "." not in name}
        assert [str(writer.card.field("create", name)) for name in values if writer.card.field("create", name)] == []

        made = writer.create(values)

        assert made.taken, f"{made.error} {made.error and (made.error.source or made.error.errors)} {made.missed}"
        assert made.remote_id

    def test_update_when_its_own_values_are_sent_then_nothing_changes(
        self, subject: Subject, stage: Stage, entity: str
    ) -> None:
        """The mapping there and back: what is read can be written, and reads the same again."""
        writer = Writer(subject.make(), entity)
        for status in stage.statuses(entity):
            remote_id = stage.make(entity, status)
            before = writer.read(remote_id)[1]
            values = own_values(writer.card, status, before)
            if not values:
                continue

            done = writer.update(remote_id, values)

            assert done.error is None, f"{status} {values}: {done.error} {done.error.source or done.error.errors}"
            assert done.after is not None
            _none(
                f"{name}: {done.after[name]} was {before[name]}" for name in before if done.after[name] != before[name]
            )

    # --- what is sent ---------------------------------------------------------------------------------------------

    def test_call_when_sent_then_it_goes_where_it_was_shown_to_go(
        self, subject: Subject, stage: Stage, between: Relay, entity: str
    ) -> None:
        writer = Writer(subject.make(base_url=between.base_url), entity)
        for change in self._changes(writer, stage):
            for call in writer.plan(change):
                assert not any(secret in str(call.as_json()) for secret in subject.secrets.values())
                between.received.clear()
                writer.send(call)
                assert any(is_sent(call, received, between.base_url) for received in between.received)

    def test_call_when_its_time_has_passed_then_nothing_is_sent(
        self, subject: Subject, stage: Stage, between: Relay, entity: str
    ) -> None:
        writer = Writer(subject.make(base_url=between.base_url), entity)
        call = writer.plan(self._change(writer, stage))[0]
        between.received.clear()

        with pytest.raises(TransientError) as caught:
            writer.connector.send_call(writer.resource, call, not_after=time.monotonic() - 1)

        assert caught.value.code == "NOT_AFTER_PASSED"
        assert not any(is_sent(call, received, between.base_url) for received in between.received)

    # --- trouble --------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(("fault", "expected"), SPOILT, ids=[fault for fault, _ in SPOILT])
    def test_call_when_its_answer_is_spoilt_then_the_error_says_whether_it_is_known(
        self, subject: Subject, stage: Stage, between: Relay, fault: str, expected: Any
    ) -> None:
        error = self._spoilt(subject, stage, between, fault)

        assert isinstance(error, expected)
        credentials = {
            call.headers["authorization"].split()[-1] for call in between.received if "authorization" in call.headers
        }
        assert not any(secret in texts_of(error) for secret in {*subject.secrets.values(), *credentials})
        if fault == "http_429":
            assert error.retry_after == 7
        if fault in ("http_500", "http_503"):
            assert error.source is not None and error.source.status == int(fault[-3:])

    def test_call_when_nobody_listens_then_it_is_surely_not_done(
        self, subject: Subject, stage: Stage, between: Relay
    ) -> None:
        writer = Writer(subject.make(base_url=between.base_url), first_written(self.connector))
        call = writer.plan(self._change(writer, stage))[0]
        between.stop()
        writer.connector.door.close()

        with pytest.raises(UnreachableError):
            writer.send(call)

    def test_create_when_its_answer_is_lost_then_its_mark_finds_it(
        self, subject: Subject, stage: Stage, between: Relay, entity: str
    ) -> None:
        writer = Writer(subject.make(base_url=between.base_url), entity)
        declared = writer.card.write("create")
        if declared is None or declared.resolve != "mark":
            return
        change = Change("create", without_mark_field(stage.creation(entity), declared.mark_field), mark=new_mark())
        since = writer.connector.now() - timedelta(minutes=5)
        assert writer.connector.find_marked(writer.resource, change, since) == []
        call = writer.plan(change)[0]
        assert call.creates

        between.fail("truncated", times=1)
        with pytest.raises((TimeoutUnknownError, BadAnswerError)):
            writer.send(call)

        (remote_id,) = writer.connector.find_marked(writer.resource, change, since)
        assert writer.read(remote_id)
        assert writer.connector.find_marked(writer.resource, replace(change, mark=new_mark()), since) == []

    def test_update_when_a_repeatable_call_is_sent_twice_then_it_is_as_if_sent_once(
        self, subject: Subject, stage: Stage, entity: str
    ) -> None:
        writer = Writer(subject.make(), entity)
        if not writer.card.write("update"):
            return
        change = self._change(writer, stage, "update")
        calls = writer.plan(change)
        for call in calls:
            writer.send(call)
        once = writer.read(change.remote_id or "")[1]
        for call in calls:
            if not call.repeatable:
                return
            with suppress(BusinessRuleError, ConflictError, NotFoundError):  # refusing the second is as good
                writer.send(call)
        again = writer.read(change.remote_id or "")[1]

        assert _timeless(writer, again) == _timeless(writer, once)

    def test_probe_when_asked_then_it_names_entities_and_operations(self, subject: Subject) -> None:
        found = subject.make().probe()

        assert set(found) <= set(self.connector.resources())
        assert all(set(rights) <= {"read", "create", "update", "delete"} for rights in found.values())

    # --- made here ------------------------------------------------------------------------------------------------

    def _spoilt(self, subject: Subject, stage: Stage, between: Relay, fault: str) -> LineshaftError:
        """The error of a write whose answers are spoilt after a good sign-in."""
        writer = Writer(subject.make(base_url=between.base_url), first_written(self.connector))
        call = writer.plan(self._change(writer, stage))[0]
        if fault == "slow":
            writer.connector.call_seconds = 0.3  # type: ignore[misc]
        between.received.clear()
        between.fail(fault)
        with pytest.raises(LineshaftError) as caught:
            writer.send(call)
        return caught.value

    def _change(self, writer: Writer, stage: Stage, operation: str = "") -> Change:
        """One good change: an update where it may be one, else a create."""
        return next(change for change in self._changes(writer, stage) if operation in ("", change.operation))

    def _changes(self, writer: Writer, stage: Stage) -> Iterator[Change]:
        """One good change of each declared kind, on objects of their own."""
        card, entity = writer.card, writer.spec.name
        for status in stage.statuses(entity):
            names = [name for name in writer.unmapping.fields if not card.field("update", name, status)]
            plain = [name for name in names if writer.unmapping.fields[name].items is None]
            if plain:
                remote_id = stage.make(entity, status)
                decoded, unified = writer.read(remote_id)
                wished = wished_values(stage, entity, plain[0], unified)
                yield Change("update", wished, remote_id, decoded)
                break
        if not card.operation("create"):
            yield Change("create", stage.creation(entity), mark=new_mark())
        for action in card.resource.actions:
            for status in stage.statuses(entity):
                if not card.action(action.name, status) and status not in action.to_status:
                    remote_id = stage.make(entity, status)
                    stage.prepare(entity, action.name, remote_id)
                    values, before = stage.parameters(entity, action.name), writer.read(remote_id)[0]
                    yield Change("action", values, remote_id, before, mark=new_mark(), action=action.name)
                    break
        for status in stage.statuses(entity):
            if not card.operation("delete", status):
                remote_id = stage.make(entity, status)
                yield Change("delete", {}, remote_id, writer.read(remote_id)[0])
                break


def _none(found: Iterable[str]) -> None:
    assert not (told := "\n".join(found)), told


def first_written(connector: type[Connector]) -> str:
    return next(name for name, found in connector.resources().items() if found.writes)


def own_values(card: Card, status: str, unified: Mapping[str, Any]) -> dict[str, Any]:
    """What of an object may be sent in an update, as the API takes it."""
    found: dict[str, Any] = {}
    for name, field in card.unmapping.fields.items():
        if unified.get(name) in (None, [], UNKNOWN) or card.field("update", name, status):
            continue
        spec = card.spec.by_name[name]
        if field.is_list and field.items is not None:
            sent = [inner for inner in field.items.fields if not card.field("update", f"{name}.{inner}", status)]
            lines = [_line(spec, sent, line) for line in unified[name] if "id" in line]
            if sent and lines:
                found[name] = lines
        else:
            found[name] = _as_sent(unified[name])
    return found


def _line(spec: FieldSpec, names: Sequence[str], line: Mapping[str, Any]) -> dict[str, Any]:
    known = {inner.name for inner in spec.item} & set(names)
    values = {name: _as_sent(value) for name, value in line.items() if name in known and value not in (None, UNKNOWN)}
    return {"id": line["id"], **values}


def _as_sent(value: Any) -> Any:
    return value["remote_id"] if isinstance(value, Mapping) and "remote_id" in value else value


def without_mark_field(values: Mapping[str, Any], mark_field: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != mark_field}


def _timeless(writer: Writer, unified: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in unified.items() if name in writer.spec.by_name}


def is_sent(call: WriteCall, received: Any, base_url: str) -> bool:
    """Whether this is the planned request: its method and address, and every value of its body but those that are
    completed when it is sent."""
    if received.method != call.method or base_url + received.path != call.url:
        return False
    content = call.content()
    if content is None:
        return not received.body
    wished, sent = orjson.loads(content), orjson.loads(received.body or b"null")
    if isinstance(wished, dict) and isinstance(sent, dict):
        return all(sent.get(name) == value for name, value in wished.items() if name not in call.late)
    return bool(wished == sent)
