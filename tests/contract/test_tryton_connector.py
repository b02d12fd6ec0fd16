"""The Tryton connector against the sandbox ERP: the shared contract, and what is Tryton's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import (
    AuthError,
    ConfigError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    RateLimitedError,
    TransientError,
    ValidationFailedError,
)
from integrations.connectors.tryton import Tryton, stock
from integrations.sdk.connector import Connector
from integrations.sdk.mapping import compile_mapping
from sandbox.tryton import TrytonServer
from sandbox.tryton.client import TrytonClient
from tests.contract.kit import CONNECTION_ID, ConnectorContract, Subject, walk, window
from tests.contract.relay import Relay, relay

# The first use on a machine builds the environment and the database.
pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]


def subject_of(server: TrytonServer) -> Subject:
    return Subject(
        Tryton,
        config={"base_url": server.base_url, "database": server.database, "user": server.user},
        secrets={"password": server.password},
        wrong_secrets={"password": "not-the-password-Q7w"},
    )


class TestTrytonContract(ConnectorContract):
    connector = Tryton

    @pytest.fixture
    def subject(self, tryton_server: TrytonServer) -> Subject:
        return subject_of(tryton_server)


@pytest.fixture
def subject(tryton_server: TrytonServer) -> Iterator[Subject]:
    found = subject_of(tryton_server)
    yield found
    found.close()


@pytest.fixture
def erp(tryton_server: TrytonServer) -> TrytonClient:
    """Somebody who works in the ERP."""
    client = TrytonClient(tryton_server.base_url, tryton_server.database)
    return client.login(tryton_server.admin_user, tryton_server.admin_password)


@pytest.fixture
def between(tryton_server: TrytonServer) -> Iterator[Relay]:
    with relay(tryton_server.base_url) as found:
        yield found


def mapped(connector: Connector, entity: str, raw: bytes) -> dict[str, Any]:
    resource = connector.resource(entity)
    return compile_mapping(resource.spec, resource.fields, connection_id=CONNECTION_ID).map(connector.decode(raw))


def changed_by(change: Callable[[], Any], connector: Connector, entity: str) -> dict[str, bytes]:
    """What an incremental walk shows of a change made now. Seeded change times all lie in the past."""
    before = datetime.now(UTC)
    change()
    return walk(connector, entity, window(before))


def first(erp: TrytonClient, model: str, domain: list[Any]) -> int:
    (found,) = erp.call(f"model.{model}.search", domain, 0, 1, [["id", "ASC"]])
    return int(found)


# --- changes ------------------------------------------------------------------------------------------------------


def test_purchase_when_only_a_line_changes_then_it_is_in_the_window(subject: Subject, erp: TrytonClient) -> None:
    purchase = first(erp, "purchase.purchase", [["state", "=", "draft"], ["lines.type", "=", "line"]])
    line = first(erp, "purchase.line", [["purchase", "=", purchase], ["type", "=", "line"]])
    connector = subject.make()

    found = changed_by(
        lambda: erp.call("model.purchase.line.write", [line], {"quantity": 77.0}), connector, "purchase_order"
    )

    assert set(found) == {str(purchase)}
    unified = mapped(connector, "purchase_order", found[str(purchase)])
    assert [row["quantity"] for row in unified["lines"] if row["id"] == str(line)] == ["77"]


def test_product_when_only_a_move_is_done_then_its_stock_is_in_the_window(
    subject: Subject, erp: TrytonClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "MOVES_A_CALL", 2)  # so that moves take more calls than one
    domain = [["template.type", "=", "goods"], ["template.consumable", "=", False]]
    products = erp.call("model.product.product.search", domain, 0, 5, [["id", "ASC"]])
    place = first(erp, "stock.location", [["code", "like", "SPARES-%"]])
    connector = subject.make(page_size=2)

    found = changed_by(lambda: count_stock(erp, place, products, 7654), connector, "inventory_item")

    assert set(found) == {str(product) for product in products}
    for raw in found.values():
        item = mapped(connector, "inventory_item", raw)
        (level,) = [level for level in item["stock"] if level["location"]["remote_id"] == str(place)]
        assert level["quantity_on_hand"] == "7654"
        assert float(item["quantity_on_hand"]) == sum(float(level["quantity_on_hand"]) for level in item["stock"])


def count_stock(erp: TrytonClient, place: int, products: list[int], quantity: float) -> None:
    """Somebody counts: stock moves, and nothing else, bring the difference."""
    lines = [{"product": product, "quantity": quantity} for product in products]
    values = {"location": place, "date": datetime.now(UTC).date(), "lines": [["create", lines]]}
    (made,) = erp.call("model.stock.inventory.create", [values])
    erp.call("model.stock.inventory.confirm", [made])


def test_product_when_its_template_is_renamed_then_it_is_in_the_window(subject: Subject, erp: TrytonClient) -> None:
    template = first(erp, "product.template", [["type", "=", "goods"]])
    expected = erp.call("model.product.product.search", [["template", "=", template]])
    connector = subject.make()

    found = changed_by(
        lambda: erp.call("model.product.template.write", [template], {"name": "Renamed"}), connector, "inventory_item"
    )

    assert set(found) == {str(product) for product in expected}
    assert {mapped(connector, "inventory_item", raw)["name"] for raw in found.values()} == {"Renamed"}


@pytest.mark.parametrize(
    ("model", "values"),
    [("party.address", {"city": "Gdynia"}), ("party.contact_mechanism", {"name": "Order desk"})],
    ids=["address", "contact"],
)
def test_vendor_when_only_a_child_changes_then_it_is_in_the_window(
    subject: Subject, erp: TrytonClient, model: str, values: dict[str, str]
) -> None:
    (child,) = erp.call(f"model.{model}.search_read", [["party.code", "=", "V1001"]], 0, 1, None, ["party"])

    found = changed_by(lambda: erp.call(f"model.{model}.write", [child["id"]], values), subject.make(), "vendor")

    assert set(found) == {str(child["party"])}
    assert next(iter(values.values())).encode() in found[str(child["party"])]


def test_location_and_work_order_when_changed_then_they_are_in_the_window(subject: Subject, erp: TrytonClient) -> None:
    place = first(erp, "stock.location", [["code", "like", "RAW-%"]])
    production = first(erp, "production", [["state", "=", "draft"]])
    connector = subject.make()

    places = changed_by(
        lambda: erp.call("model.stock.location.write", [place], {"name": "Moved"}), connector, "location"
    )
    works = changed_by(
        lambda: erp.call("model.production.write", [production], {"reference": "L-1"}), connector, "work_order"
    )

    assert set(places) == {str(place)} and set(works) == {str(production)}


def test_object_when_deleted_then_reading_it_again_finds_nothing(subject: Subject, erp: TrytonClient) -> None:
    (made,) = erp.call("model.party.party.create", [{"name": "Short-lived"}])
    connector = subject.make()
    resource = connector.resource("vendor")
    assert connector.fetch_one(resource, str(made))

    erp.call("model.party.party.delete", [made])

    with pytest.raises(NotFoundError):
        connector.fetch_one(resource, str(made))
    with pytest.raises(NotFoundError):
        connector.fetch_one(resource, "no number")


# --- what spoils a page -------------------------------------------------------------------------------------------


def test_page_when_one_row_cannot_be_read_then_it_alone_is_set_aside(subject: Subject, erp: TrytonClient) -> None:
    values = {"party": 99999, "currency": 1, "warehouse": 5}
    (bad,) = erp.call("model.purchase.purchase.create", [values])  # SQLite accepts a party that does not exist
    connector = subject.make()
    resource = connector.resource("purchase_order")
    try:
        expected = erp.call("model.purchase.purchase.search", [], 0, None, [["id", "ASC"]])
        found = walk(connector, "purchase_order")

        assert [int(remote_id) for remote_id in found] == expected
        assert connector.fetch_one(resource, str(bad)) == found[str(bad)]
        with pytest.raises(ValidationFailedError, match="cannot read"):
            connector.decode(found[str(bad)])
        for remote_id, raw in found.items():
            if remote_id != str(bad):
                connector.decode(raw)
    finally:
        erp.call("model.purchase.purchase.write", [bad], {"party": 5})
        erp.call("model.purchase.purchase.delete", [bad])


def test_page_when_the_user_may_not_read_the_model_then_it_is_a_permission(
    subject: Subject, tryton_server: TrytonServer
) -> None:
    connector = subject.make(user=tryton_server.guest_user, secrets={"password": tryton_server.guest_password})

    with pytest.raises(PermissionDeniedError, match=r"purchase\.purchase"):
        walk(connector, "purchase_order")
    assert walk(connector, "vendor")


def test_page_when_the_server_lacks_a_field_then_it_is_read_without(subject: Subject) -> None:
    connector = subject.make()
    resource = connector.resource("vendor")
    fields = (*resource.parameters["fields"], "no_such_field", "addresses.nor_this", "addresses.country.nor_that")

    page = connector.fetch_page(replace(resource, parameters={"fields": fields}), window(), None)

    assert [remote_id for remote_id, _ in page.records] == list(walk(connector, "vendor"))[:50]


def test_page_when_the_module_is_not_installed_then_the_entity_is_not_supported(subject: Subject) -> None:
    connector = subject.make()
    missing = replace(connector.resource("work_order"), path="maintenance.order")

    with pytest.raises(NotSupportedError, match=r"maintenance\.order"):
        connector.fetch_page(missing, window(), None)


# --- signing in ---------------------------------------------------------------------------------------------------


def test_session_when_it_ended_then_one_new_sign_in_goes_on(subject: Subject, between: Relay) -> None:
    connector = subject.make(base_url=between.base_url)
    complete = walk(connector, "location")
    between.received.clear()
    between.fail("http_401", times=1)

    assert walk(connector, "location") == complete
    assert between.sent().count("common.db.login") == 1


def test_session_when_it_is_refused_again_then_it_is_not_tried_for_ever(subject: Subject, between: Relay) -> None:
    connector = subject.make(base_url=between.base_url)
    connector.check()
    between.received.clear()
    between.fail("http_401")
    with pytest.raises(AuthError):
        connector.fetch_page(connector.resource("location"), window(), None)

    assert between.sent().count("common.db.login") == 1


def test_check_when_the_database_is_unknown_then_the_setting_is_named(subject: Subject) -> None:
    with pytest.raises(ConfigError, match="`database`"):
        subject.make(database="nothere").check()


@pytest.mark.parametrize("name", ["a/b", "../rpc", "x?y", ""])
def test_check_when_the_database_is_no_name_then_nothing_is_sent(subject: Subject, between: Relay, name: str) -> None:
    with pytest.raises(ConfigError, match="`database`"):
        subject.make(base_url=between.base_url, database=name).check()

    assert not between.received


def test_check_when_the_company_is_not_the_users_then_the_setting_is_named(subject: Subject) -> None:
    assert subject.make(company=1).check().details["currency"] == "USD"
    with pytest.raises(ConfigError, match="`company`"):
        subject.make(company=77).check()


def test_check_when_the_server_tells_no_time_then_our_clock_serves(subject: Subject, between: Relay) -> None:
    between.hidden = frozenset({"date"})
    connector = subject.make(base_url=between.base_url)
    now = connector.check().now

    assert now is not None and abs(now - datetime.now(UTC)) < timedelta(seconds=10)
    assert walk(connector, "inventory_item", window(datetime.now(UTC) + timedelta(days=1))) == {}
    assert between.sent().count("common.db.login") == 1


def test_check_when_the_password_failed_too_often_then_it_is_a_limit(subject: Subject) -> None:
    def attempt() -> type[Exception]:
        try:
            subject.make(user="nobody-there", secrets={"password": "wrong"}).check()
        except (AuthError, RateLimitedError) as error:
            return type(error)
        raise AssertionError("signed in without a user")

    seen = [attempt() for _ in range(8)]

    assert seen[0] is AuthError and seen[-1] is RateLimitedError


def test_page_when_its_calls_take_too_long_together_then_it_ends_in_time(subject: Subject) -> None:
    connector = subject.make()
    connector.check()
    with connector.within(-1.0), pytest.raises(TransientError, match="too long"):  # type: ignore[attr-defined]
        connector.call("model.party.party.search", [], 0, 1, None, {})  # type: ignore[attr-defined]


def test_list_companies_when_asked_names_those_of_the_user(subject: Subject) -> None:
    """The connect page lets the customer choose among them."""
    connector: Any = subject.make()
    companies = connector.list_companies()
    assert [company for company, _ in companies] == [connector.company().id]
    assert companies[0][1] == connector.company().name
