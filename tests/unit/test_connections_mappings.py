"""Which mapping is in force, its versions, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import close_old_connections
from django.db import connection as database
from django_scopes import scope

from connections.models import Connection, Mapping
from connections.services import effective_mapping, ensure_default_mapping, set_mapping
from core.errors import ConfigError, NotSupportedError, ValidationFailedError
from integrations.sdk.declarations import Field
from tests.connectors import SLUG, TestErp, TestErpServer, connect, erp_connector, erp_server  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("erp_connector")]
CUSTOM = {"target": "custom.gate", "source": "notes"}


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    return connect(erp_server)


def versions(system: str = SLUG) -> list[tuple[int, bool]]:
    every = Mapping.objects.with_scopes_disabled().filter(connection=None, system=system, entity="purchase_order")
    return sorted((mapping.version, mapping.is_current) for mapping in every)


def test_ensure_default_mapping_when_done_twice_writes_one_version() -> None:
    first = ensure_default_mapping(SLUG, "purchase_order")

    assert ensure_default_mapping(SLUG, "purchase_order").pk == first.pk
    assert versions() == [(1, True)]
    assert first.rows.count() == len(TestErp.purchase_orders.fields)
    assert first.connector_version == "1"


@pytest.mark.parametrize("what", ["fields", "version"])
def test_ensure_default_mapping_when_the_declaration_changed_writes_a_new_version(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = ensure_default_mapping(SLUG, "purchase_order")
    if what == "version":
        monkeypatch.setattr(TestErp, "version", "2")
    else:
        import dataclasses

        fields = (*TestErp.purchase_orders.fields, Field("reference", "your_ref"))
        monkeypatch.setattr(TestErp, "purchase_orders", dataclasses.replace(TestErp.purchase_orders, fields=fields))

    new = ensure_default_mapping(SLUG, "purchase_order")

    assert (old.version, new.version) == (1, 2)
    assert versions() == [(1, False), (2, True)]


def test_ensure_default_mapping_when_the_system_lacks_the_entity_says_so() -> None:
    with pytest.raises(NotSupportedError, match="asset"):
        ensure_default_mapping(SLUG, "asset")


def at_once(work: Callable[[], Any], count: int = 2) -> list[Any]:
    """Run in threads that start together; answers their results, errors included."""
    gate, results = threading.Barrier(count), []

    def run() -> None:
        close_old_connections()
        try:
            gate.wait(10)
            results.append(work())
        except Exception as error:
            results.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("start", ["nothing", "an older version"])
def test_ensure_default_mapping_when_workers_race_writes_one_version(
    start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if start != "nothing":
        ensure_default_mapping(SLUG, "purchase_order")
        monkeypatch.setattr(TestErp, "version", "2")

    results = at_once(lambda: ensure_default_mapping(SLUG, "purchase_order").pk, 4)

    assert len(set(results)) == 1, results
    assert versions() == ([(1, True)] if start == "nothing" else [(1, False), (2, True)])


@pytest.mark.django_db(transaction=True)
def test_set_mapping_when_two_save_at_once_keeps_one_current(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    rows = iter([[CUSTOM], [{"target": "notes"}]])

    at_once(lambda: set_mapping(connection, "purchase_order", next(rows), by="ann"))

    with scope(workspace=connection.workspace_id):
        every = list(Mapping.objects.filter(connection=connection).order_by("version"))
    assert [(mapping.version, mapping.is_current) for mapping in every] == [(1, False), (2, True)]


def test_effective_mapping_without_an_override_is_the_default(connection: Connection) -> None:
    effective = effective_mapping(connection, "purchase_order")

    assert effective.override is None
    assert [row.as_json() for row in effective.rows] == [row.as_json() for row in TestErp.purchase_orders.fields]
    assert len(effective.digest) == 32
    assert effective_mapping(connection, "purchase_order").digest == effective.digest


def test_effective_mapping_with_an_override_replaces_adds_and_removes(connection: Connection) -> None:
    before = effective_mapping(connection, "purchase_order")
    rows = [{"target": "number", "source": "text"}, {"target": "notes"}, CUSTOM]

    override = set_mapping(connection, "purchase_order", rows, by="ann")

    effective = effective_mapping(connection, "purchase_order")
    sources = {row.target: row.source for row in effective.rows}
    assert override is not None and effective.override == override and override.created_by == "ann"
    assert sources["number"] == "text" and sources["custom.gate"] == "notes" and "notes" not in sources
    assert next(iter(sources)) == "number", "a replaced row keeps its place"
    assert effective.digest != before.digest


def test_effective_mapping_with_pinned_versions_stays_with_them(connection: Connection) -> None:
    pinned_plain = effective_mapping(connection, "purchase_order")
    first = set_mapping(connection, "purchase_order", [CUSTOM], by="ann")
    pinned = effective_mapping(connection, "purchase_order")
    set_mapping(connection, "purchase_order", [{"target": "notes"}], by="ann")

    assert first is not None
    again = effective_mapping(connection, "purchase_order", default_id=pinned.default.pk, override_id=first.pk)
    plain = effective_mapping(connection, "purchase_order", default_id=pinned.default.pk)

    assert (again.rows, again.digest) == (pinned.rows, pinned.digest)
    assert (plain.rows, plain.digest) == (pinned_plain.rows, pinned_plain.digest), "pinned to no override"


def test_effective_mapping_when_the_pin_is_another_connections_refuses(
    connection: Connection, erp_server: TestErpServer
) -> None:
    theirs = set_mapping(connect(erp_server), "purchase_order", [CUSTOM], by="eve")
    default = ensure_default_mapping(SLUG, "purchase_order")

    assert theirs is not None
    with pytest.raises(ConfigError, match="does not belong"):
        effective_mapping(connection, "purchase_order", default_id=default.pk, override_id=theirs.pk)
    with pytest.raises(ConfigError, match="does not belong"):
        effective_mapping(connection, "purchase_order", default_id=theirs.pk)


def test_effective_mapping_digest_depends_on_the_connector_version(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = effective_mapping(connection, "purchase_order").digest
    monkeypatch.setattr(TestErp, "version", "2")

    assert effective_mapping(connection, "purchase_order").digest != before


def test_set_mapping_when_nothing_changed_makes_no_version(connection: Connection) -> None:
    first = set_mapping(connection, "purchase_order", [CUSTOM], by="ann")
    same = set_mapping(connection, "purchase_order", [dict(reversed(CUSTOM.items()))], by="bob")

    assert first is not None and same is not None and same.pk == first.pk


def test_set_mapping_when_emptied_returns_to_the_default_by_a_new_version(connection: Connection) -> None:
    before = effective_mapping(connection, "purchase_order")
    assert set_mapping(connection, "purchase_order", None, by="ann") is None, "there was nothing to undo"
    set_mapping(connection, "purchase_order", [CUSTOM], by="ann")

    emptied = set_mapping(connection, "purchase_order", None, by="ann")

    assert emptied is not None and emptied.version == 2 and not emptied.rows.exists()
    effective = effective_mapping(connection, "purchase_order")
    assert (effective.rows, effective.digest) == (before.rows, before.digest)


@pytest.mark.parametrize(
    ("row", "pointer", "says"),
    [
        ({"target": "colour", "source": "x"}, "/rows/1", "no field colour"),
        ({"target": "number", "source": "items[?"}, "/rows/1", "cannot be used"),
        ({"target": "number", "source": "x", "transforms": [{"name": "eval"}]}, "/rows/1", "does not exist"),
        ({"target": "number", "source": "x", "transforms": [{"name": "date", "zone": "x"}]}, "/rows/1", "cannot take"),
        ({"target": "lines", "source": "l", "items": [{"target": "x", "source": "y"}]}, "/rows/1", "no field x"),
        ({"target": "custom.a-b", "source": "x"}, "/rows/1", "custom field"),
        ({"target": "custom.", "source": "x"}, "/rows/1", "custom field"),
        ({"target": "number", "source": 5}, "/rows/1/source", "text"),
        ({"target": "number", "source": "x", "transforms": ["trim"]}, "/rows/1/transforms/0", "object"),
        ({"target": "number", "source": "x", "transforms": "trim"}, "/rows/1/transforms", "list"),
        ({"target": "lines", "source": "l", "items": [7]}, "/rows/1/items/0", "object"),
        ({"target": "number", "source": "x", "sauce": "y"}, "/rows/1/sauce", "A row has"),
        ({"source": "x"}, "/rows/1/target", "Name the field"),
        ({"target": ["number"], "source": "x"}, "/rows/1/target", "text"),
        ({"target": "custom." + "x" * 200, "source": "x"}, "/rows/1/target", "120"),
        ("number", "/rows/1", "object"),
        ({"target": "custom.gate", "source": "x"}, "/rows/1/target", "twice"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_set_mapping_when_a_row_cannot_be_used_points_at_it(
    connection: Connection, row: Any, pointer: str, says: str
) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        set_mapping(connection, "purchase_order", [CUSTOM, row], by="ann")

    assert [error.pointer for error in caught.value.errors] == [pointer]
    assert says in caught.value.errors[0].detail
    with scope(workspace=connection.workspace_id):
        assert not Mapping.objects.filter(connection=connection).exists()


def test_set_mapping_when_the_entity_is_not_there_says_so(connection: Connection) -> None:
    with pytest.raises(NotSupportedError):
        set_mapping(connection, "asset", [CUSTOM], by="ann")
