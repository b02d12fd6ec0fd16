"""The contract every connector keeps, as tests it inherits: declare a subject, write none.

    class TestTrytonContract(ConnectorContract):
        connector = Tryton

        @pytest.fixture
        def subject(self, tryton_server): return Subject(Tryton, config={...}, secrets={...}, wrong_secrets={...})

The system answers over real HTTP; faults are put in between by a relay.
"""

from __future__ import annotations

import socket
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import pytest

from core.errors import (
    AuthError,
    BadAnswerError,
    Category,
    ConflictError,
    LineshaftError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    TransientError,
    UnreachableError,
)
from core.http import Door, connection_policy
from integrations.sdk.connector import Connector, ConnectorSettings
from integrations.sdk.declarations import Resource
from integrations.sdk.mapping import compile_mapping
from integrations.sdk.pages import Page, Window
from tests.contract.relay import FAULTS, Relay, relay

PAGE_SIZE = 50
MOST_PAGES = 500
FAR = datetime(2100, 1, 1, tzinfo=UTC)
CONNECTION_ID = UUID("0192f000-0000-7000-8000-000000000001")
CLASSIFIED: list[tuple[str, type[LineshaftError]]] = [
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
    ("truncated", TransientError),
    ("slow", TransientError),
]


@dataclass
class Subject:
    """A running system and how to reach it. `missing_id` names no object of any entity; `address` the setting."""

    connector: type[Connector]
    config: dict[str, Any]
    secrets: dict[str, str]
    wrong_secrets: dict[str, str]
    missing_id: str = "2000000000"
    address: str = "base_url"
    opened: list[Door] = field(default_factory=list)

    def make(
        self, *, base_url: str = "", secrets: dict[str, str] | None = None, page_size: int = PAGE_SIZE, **config: Any
    ) -> Connector:
        """A connector of its own; `base_url` puts a relay in between."""
        used = self.secrets if secrets is None else secrets
        door = Door(connection_policy(["127.0.0.0/8"]), secrets=used.values())
        self.opened.append(door)
        config = {**self.config, **config, **({self.address: base_url} if base_url else {})}
        return self.connector(ConnectorSettings(config, used, page_size=page_size), door)

    def close(self) -> None:
        for door in self.opened:
            door.close()


def window(since: datetime | None = None, **wanted: bool) -> Window:
    return Window(since, datetime.now(UTC), **wanted)


def pages(connector: Connector, resource: Resource, wanted: Window) -> Iterator[Page]:
    """Walk to the end; a list without end fails the test."""
    position = None
    for _ in range(MOST_PAGES):
        page = connector.fetch_page(resource, wanted, position)
        yield page
        if page.next is None:
            return
        position = page.next
    pytest.fail(f"{resource.path} does not end after {MOST_PAGES} pages")


def walk(connector: Connector, entity: str, wanted: Window | None = None) -> dict[str, bytes]:
    """Every object by its remote id."""
    found = pages(connector, connector.resource(entity), wanted or window(by_id=True))
    return {remote_id: raw for page in found for remote_id, raw in page.records}


def texts_of(error: BaseException) -> str:
    """Everything an error could show: its texts, those of its causes, and the traceback."""
    shown = "".join(traceback.format_exception(error))
    if isinstance(error, LineshaftError):
        shown += f"{error.detail} {error.log_detail} {error.source} {error.extra} {error.errors} {error!r}"
    return shown


class ConnectorContract:
    """Inherit, name the connector, give a fixture `subject`."""

    connector: ClassVar[type[Connector]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "entity" in metafunc.fixturenames:
            metafunc.parametrize("entity", list(self.connector.resources()))

    @pytest.fixture(autouse=True)
    def _closed(self, subject: Subject) -> Iterator[None]:
        yield
        subject.close()

    @pytest.fixture
    def between(self, subject: Subject) -> Iterator[Relay]:
        with relay(subject.config[subject.address]) as found:
            yield found

    # --- signing in ---------------------------------------------------------------------------------------------

    def test_check_when_the_credential_is_right_then_it_tells_who_we_are(self, subject: Subject) -> None:
        connector = subject.make()
        result = connector.check()

        assert result.account
        assert abs(connector.now() - datetime.now(UTC)) < timedelta(minutes=1)

    def test_check_when_the_credential_is_wrong_then_the_customer_must_act(self, subject: Subject) -> None:
        with pytest.raises(AuthError) as caught:
            subject.make(secrets=subject.wrong_secrets).check()

        assert caught.value.who_must_act == "customer"
        assert not any(secret in texts_of(caught.value) for secret in subject.wrong_secrets.values())

    def test_check_when_nobody_listens_then_it_is_unreachable(self, subject: Subject) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(UnreachableError):
            subject.make(base_url=f"http://127.0.0.1:{port}").check()

    # --- reading ------------------------------------------------------------------------------------------------

    def test_list_when_walked_to_the_end_then_each_object_comes_once(self, subject: Subject, entity: str) -> None:
        connector = subject.make()
        found = list(pages(connector, connector.resource(entity), window(by_id=True)))
        ids = [remote_id for page in found for remote_id, _ in page.records]

        assert ids and len(ids) == len(set(ids))
        assert all(len(page.records) <= PAGE_SIZE and not page.unreadable for page in found)
        assert found[0].total in (None, len(ids))

    def test_list_when_walked_twice_then_the_bytes_are_equal(self, subject: Subject, entity: str) -> None:
        assert walk(subject.make(), entity) == walk(subject.make(page_size=17), entity)

    def test_list_when_nothing_is_so_new_then_since_leaves_it_empty(
        self, subject: Subject, between: Relay, entity: str
    ) -> None:
        connector = subject.make(base_url=between.base_url)
        changes = connector.resource(entity).changes
        if changes is None:
            assert walk(connector, entity, window(FAR)) == walk(connector, entity)
        else:
            assert walk(connector, entity, window(FAR)) == {}
            assert changes.parameter in between.sent()

    def test_list_when_asked_since_a_change_then_it_is_there(self, subject: Subject, entity: str) -> None:
        connector = subject.make()
        resource = connector.resource(entity)
        found = list(pages(connector, resource, window(by_id=True)))
        newest = max((page.newest for page in found if page.newest), default=None)
        if resource.changes is None:
            assert newest is None
            return
        assert newest is not None and newest.tzinfo is not None
        complete = dict(record for page in found for record in page.records)
        some = walk(connector, entity, window(newest - timedelta(days=1)))
        assert some and some.items() <= complete.items()

    def test_list_when_open_documents_are_wanted_too_then_they_come_whatever_their_age(
        self, subject: Subject, entity: str
    ) -> None:
        connector = subject.make()
        resource = connector.resource(entity)
        if not resource.open_values:
            return
        compiled = compile_mapping(resource.spec, resource.fields, connection_id=CONNECTION_ID)

        def still_open(records: dict[str, bytes]) -> set[str]:
            return {i for i, raw in records.items() if status_of(compiled.map(connector.decode(raw))) in open_values}

        def status_of(unified: dict[str, Any]) -> str:
            return str(unified["remote_status"])

        open_values = set(resource.open_values)
        complete, recent = walk(connector, entity), walk(connector, entity, window(FAR, open_too=True, by_id=True))
        assert recent and still_open(complete) <= set(recent) <= set(complete)

    def test_mapping_when_every_object_is_mapped_then_it_fits_the_entity(self, subject: Subject, entity: str) -> None:
        connector = subject.make()
        resource = connector.resource(entity)
        compiled = compile_mapping(resource.spec, resource.fields, connection_id=CONNECTION_ID)
        for raw in walk(connector, entity).values():
            decoded = connector.decode(raw)
            unified = compiled.map(decoded)
            assert unified.pop("custom") == {}
            resource.entity.model_validate(unified)
            assert compiled.updated(decoded) if resource.changes else True

    def test_one_when_it_is_listed_then_it_comes_as_the_list_shows_it(self, subject: Subject, entity: str) -> None:
        connector = subject.make()
        resource = connector.resource(entity)
        records = walk(connector, entity)
        for remote_id in list(records)[:: max(1, len(records) // 5)]:
            assert connector.fetch_one(resource, remote_id) == records[remote_id]

    def test_one_when_its_id_is_unknown_then_it_is_not_found(self, subject: Subject, entity: str) -> None:
        connector = subject.make()
        with pytest.raises(NotFoundError):
            connector.fetch_one(connector.resource(entity), subject.missing_id)

    # --- trouble ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(("fault", "expected"), CLASSIFIED, ids=[fault for fault, _ in CLASSIFIED])
    def test_list_when_the_answer_is_spoilt_then_the_error_says_what_to_do(
        self, subject: Subject, between: Relay, fault: str, expected: type[LineshaftError]
    ) -> None:
        error = self._spoilt(subject, between, fault)

        assert isinstance(error, expected)
        if fault == "http_429":
            assert error.retry_after == 7

    @pytest.mark.parametrize("fault", [*FAULTS, "truncated", "slow"])
    def test_errors_when_shown_then_they_hold_no_secret(self, subject: Subject, between: Relay, fault: str) -> None:
        shown = texts_of(self._spoilt(subject, between, fault))
        credentials = {
            call.headers["authorization"].split()[-1] for call in between.received if "authorization" in call.headers
        }

        assert not any(secret in shown for secret in {*subject.secrets.values(), *credentials})

    def test_one_when_the_route_is_gone_then_a_list_is_never_taken_for_empty(
        self, subject: Subject, between: Relay
    ) -> None:
        assert self._spoilt(subject, between, "http_404").category in (Category.CONFIG, Category.NOT_FOUND)

    def _spoilt(self, subject: Subject, between: Relay, fault: str) -> LineshaftError:
        """The error of a page whose answers are spoilt after a good sign-in."""
        connector = subject.make(base_url=between.base_url)
        connector.check()
        if fault == "slow":
            connector.call_seconds = 0.3  # type: ignore[misc]
        between.fail(fault)
        resource = next(iter(connector.resources().values()))
        with pytest.raises(LineshaftError) as caught:
            connector.fetch_page(resource, window(), None)
        return caught.value
