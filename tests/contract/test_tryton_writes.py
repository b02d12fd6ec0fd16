"""Writing to Tryton on the sandbox ERP: the shared contract, and what is Tryton's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.errors import (
    AuthError,
    ConfigError,
    ConflictError,
    PermissionDeniedError,
    UnreachableError,
    ValidationFailedError,
)
from integrations.connectors.tryton import Tryton
from integrations.protocols.jsonrpc import RpcRefusedError, RpcWarningError
from integrations.sdk.declarations import Action, Write
from integrations.sdk.writes import Change, WriteCall
from sandbox.tryton import TrytonServer
from sandbox.tryton.client import TrytonClient
from tests.contract.kit import Subject
from tests.contract.relay import Relay, relay
from tests.contract.test_tryton_connector import subject_of
from tests.contract.tryton_stage import TrytonStage
from tests.contract.write_comparing import action_mismatches, delete_mismatches, update_mismatches
from tests.contract.write_kit import WriteContract
from tests.contract.writer import Outcome, Writer, new_mark

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]


@pytest.fixture(scope="session")
def erp(tryton_server: TrytonServer) -> TrytonClient:
    """Somebody who works in the ERP."""
    client = TrytonClient(tryton_server.base_url, tryton_server.database)
    return client.login(tryton_server.admin_user, tryton_server.admin_password)


@pytest.fixture(scope="session")
def stage(erp: TrytonClient) -> TrytonStage:
    return TrytonStage(erp)


@pytest.fixture
def subject(tryton_server: TrytonServer) -> Iterator[Subject]:
    found = subject_of(tryton_server)
    yield found
    found.close()


@pytest.fixture
def between(tryton_server: TrytonServer) -> Iterator[Relay]:
    with relay(tryton_server.base_url) as found:
        yield found


class TestTrytonWrites(WriteContract):
    connector = Tryton
    # Lines are declared as a whole: once a purchase is quoted, Tryton still takes these of them.
    stricter = frozenset(
        f"purchase_order {trial}" for trial in ("lines.line_number", "lines.expected_date", "lines:remove")
    )


def row(erp: TrytonClient, model: str, remote_id: str, *fields: str) -> dict[str, Any]:
    (found,) = erp.call(f"model.{model}.read", [int(remote_id)], list(fields))
    return dict(found)


def first(erp: TrytonClient, model: str, *domain: Any) -> str:
    (found,) = erp.call(f"model.{model}.search", list(domain), 0, 1, [["id", "ASC"]])
    return str(found)


def made(writer: Writer, values: dict[str, Any]) -> Outcome:
    done = writer.create(values)
    assert done.error is None and done.after is not None
    return done


# --- a declaration that is wrong --------------------------------------------------------------------------------------


class Only(TrytonStage):
    """The objects of another stage, in one status alone."""

    def __init__(self, stage: TrytonStage, status: str) -> None:
        self.__dict__.update(stage.__dict__)
        self.status = status

    def statuses(self, entity: str) -> Sequence[str]:
        return (self.status,)


class Careless(Tryton):
    """Declares what Tryton does not do."""

    purchase_orders = replace(
        Tryton.purchase_orders,
        rules=(),
        actions=(Action("confirm", "Confirm", ("confirmed",), ("draft", "quotation")),),
        writes=(Write("update"), Write("delete", kind="hard")),
    )


def test_contract_when_a_declaration_is_wrong_then_it_says_where(subject: Subject, stage: TrytonStage) -> None:
    subject.connector = Careless
    writer = Writer(subject.make(), "purchase_order")
    quotation, draft = Only(stage, "quotation"), Only(stage, "draft")

    updates = "\n".join(update_mismatches(writer, quotation))
    actions = action_mismatches(writer, quotation)

    assert "quotation update lines.quantity" in updates and "quotation update vendor" in updates
    assert "quotation update reference" not in updates
    assert [found.partition(", ")[0] for found in actions] == ["purchase_order quotation confirm: stands at processing"]
    assert "draft confirm" in "\n".join(action_mismatches(writer, draft))
    assert "quotation delete" in "\n".join(delete_mismatches(writer, quotation))


# --- purchases --------------------------------------------------------------------------------------------------------


def test_purchase_when_created_then_tryton_fills_in_what_its_client_would(
    subject: Subject, stage: TrytonStage, erp: TrytonClient
) -> None:
    writer = Writer(subject.make(), "purchase_order")
    vendor = first(erp, "party.party", ["code", "=", "V1008"])
    item = first(erp, "product.product", ["code", "=", "CPL-03"])

    site = first(erp, "stock.location", ["code", "=", "NM"])
    order = made(writer, {"vendor": vendor, "delivery_location": site, "lines": [{"item": item, "quantity": "5"}]})

    (line,) = order.after["lines"]
    assert (line["unit"], line["unit_price"], line["amount"]) == ("EA", "31.6400", "158.20")
    assert order.after["payment_terms"] == "30 days net" and order.after["reference"].startswith("lsh-")
    stored = row(erp, "purchase.purchase", order.remote_id, "invoice_address", "lines.taxes")
    assert stored["invoice_address"] and stored["lines."][0]["taxes"]

    assert writer.act(order.remote_id, "quote", {}).after["remote_status"] == "quotation"
    confirmed = writer.act(order.remote_id, "confirm", {})
    assert confirmed.error is None and confirmed.after["remote_status"] == "processing"


def test_purchase_when_a_line_gets_another_item_then_price_unit_and_taxes_follow(
    subject: Subject, stage: TrytonStage, erp: TrytonClient
) -> None:
    writer = Writer(subject.make(), "purchase_order")
    vendor = first(erp, "party.party", ["code", "=", "V1008"])
    items = [first(erp, "product.product", ["code", "=", code]) for code in ("BRG-01", "CPL-03")]
    order = made(writer, {"vendor": vendor, "lines": [{"item": items[0], "quantity": "5", "unit_price": "1"}]})
    line = order.after["lines"][0]["id"]

    done = writer.update(order.remote_id, {"lines": [{"id": line, "item": items[1]}]})

    assert done.taken and done.after["lines"][0]["unit_price"] == "31.6400"
    assert len(row(erp, "purchase.line", line, "taxes")["taxes"]) == 1


def test_purchase_when_confirmed_then_we_and_tryton_give_the_same_reason(subject: Subject, stage: TrytonStage) -> None:
    writer = Writer(subject.make(), "purchase_order")
    order = stage.make("purchase_order", "processing")
    line = writer.read(order)[1]["lines"][0]["id"]
    denial = writer.card.field("update", "lines", "processing")

    done = writer.update(order, {"lines": [{"id": line, "quantity": "99"}]})

    assert denial is not None and "does not allow to modify" in denial.detail
    assert isinstance(done.error, RpcRefusedError) and done.error.category == "business_rule"
    assert "not allowed to modify the field" in str(done.error.source and done.error.source.message)


@pytest.mark.parametrize(
    ("values", "pointer", "named"),
    [
        ({"currency": "XTS"}, "/currency", "EUR"),
        ({"payment_terms": "Never"}, "/payment_terms", "60 days net"),
        ({"lines": [{"quantity": "1"}, {"quantity": "1", "unit_raw": "no such"}]}, "/lines/1/unit_raw", "kg"),
        ({"lines": [{"quantity": "1", "unit": "KG", "unit_raw": "u"}]}, "/lines/0/unit_raw", "different"),
        ({"lines": [{"quantity": "1", "line_number": "ten"}]}, "/lines/0/line_number", "whole"),
        ({"vendor": "V1000"}, "/vendor", "no id"),
        ({"lines": [{"id": "x", "quantity": "1"}]}, "/lines/0/id", "no line"),
        ({"lines": [{"quantity": "1.00000000000000000001"}]}, "/lines/0/quantity", "digits"),
    ],
    ids=["currency", "payment-terms", "unit", "units", "line-number", "reference", "line", "quantity"],
)
def test_purchase_when_a_value_is_unknown_there_then_it_is_named_before_anything_is_sent(
    subject: Subject, stage: TrytonStage, between: Relay, values: dict[str, Any], pointer: str, named: str
) -> None:
    writer = Writer(subject.make(base_url=between.base_url), "purchase_order")
    order = stage.make("purchase_order", "draft")

    done = writer.update(order, values)

    assert isinstance(done.error, ValidationFailedError)
    assert done.error.errors[0].pointer == pointer and named in done.error.errors[0].detail
    assert ".write" not in between.sent()


# --- versions ---------------------------------------------------------------------------------------------------------


def test_purchase_when_somebody_was_faster_then_it_is_a_conflict(
    subject: Subject, stage: TrytonStage, erp: TrytonClient
) -> None:
    writer = Writer(subject.make(), "purchase_order")
    order = stage.make("purchase_order", "draft")
    decoded, unified = writer.read(order)
    line = unified["lines"][0]["id"]
    header = Change("update", {"notes": "Ours"}, order, decoded)
    lines = Change("update", {"lines": [{"id": line, "quantity": "3"}]}, order, decoded)
    (planned,) = writer.plan(lines)

    erp.call("model.purchase.line.write", [int(line)], {"quantity": 77.0})  # which leaves the purchase untouched

    with pytest.raises(ConflictError):
        writer.send(planned)
    with pytest.raises(ConflictError) as caught:
        writer.plan(header)
    assert caught.value.code == "CHANGED_MEANWHILE"
    assert writer.read(order)[1]["lines"][0]["quantity"] == "77"


# --- sessions, rights, refusals -----------------------------------------------------------------------------------------


def _noted(writer: Writer, stage: TrytonStage) -> tuple[str, WriteCall]:
    order = stage.make("purchase_order", "draft")
    (call,) = writer.plan(Change("update", {"notes": "Ours"}, order, writer.read(order)[0]))
    return order, call


def test_write_when_the_session_had_ended_then_one_sign_in_and_it_is_done_once(
    subject: Subject, stage: TrytonStage, between: Relay
) -> None:
    writer = Writer(subject.make(base_url=between.base_url), "purchase_order")
    order, call = _noted(writer, stage)
    between.received.clear()
    between.fail("http_401", times=1)

    writer.send(call)

    assert between.sent().count("common.db.login") == 1 and between.sent().count("purchase.write") == 2
    assert writer.read(order)[1]["notes"] == "Ours"


def test_write_when_signing_in_fails_then_it_is_surely_not_done(
    subject: Subject, stage: TrytonStage, between: Relay
) -> None:
    writer = Writer(subject.make(base_url=between.base_url), "purchase_order")
    _, call = _noted(writer, stage)
    between.fail("http_401", times=1)
    between.received.clear()
    with pytest.raises(UnreachableError):
        _with_login_failing(writer, call, between)

    assert between.sent().count("purchase.write") == 1


def _with_login_failing(writer: Writer, call: WriteCall, between: Relay) -> None:
    """The write's session has ended, and the new sign-in is answered with 503."""
    take = between._take

    def then_503() -> str:
        fault = take()
        if fault == "http_401":
            between.fail("http_503")
        return fault

    between._take = then_503  # type: ignore[method-assign]
    writer.send(call)


def test_write_when_the_connection_leads_elsewhere_by_now_then_nothing_is_sent(
    subject: Subject, stage: TrytonStage
) -> None:
    writer = Writer(subject.make(), "purchase_order")
    _, call = _noted(writer, stage)

    with pytest.raises(ConfigError) as caught:
        writer.send(replace(call, url=call.url.replace("/tryton/", "/other/")))

    assert caught.value.code == "ADDRESS_CHANGED"


def test_write_when_the_right_is_missing_then_it_is_a_permission(
    subject: Subject, stage: TrytonStage, tryton_server: TrytonServer
) -> None:
    guest = subject.make(user=tryton_server.guest_user, secrets={"password": tryton_server.guest_password})
    done = Writer(guest, "location").create(stage.creation("location"))

    assert isinstance(done.error, PermissionDeniedError) and "stock.location" in done.error.detail
    assert guest.probe()["purchase_order"] == dict.fromkeys(("read", "create", "update", "delete"), False)
    assert subject.make().probe()["purchase_order"] == dict.fromkeys(("read", "create", "update", "delete"), True)


def test_write_when_tryton_wants_a_confirmation_then_its_question_is_told(subject: Subject, erp: TrytonClient) -> None:
    writer = Writer(subject.make(), "inventory_item")
    product = first(erp, "product.product", ["code", "=", "BRG-03"])

    done = writer.delete(product)

    assert isinstance(done.error, RpcWarningError) and done.error.source is not None
    assert "stock" in str(done.error.source.message).lower()
    assert row(erp, "product.product", product, "active")["active"]


def test_write_when_the_server_fails_inside_then_it_was_undone(subject: Subject) -> None:
    writer = Writer(subject.make(), "vendor")
    assert isinstance(writer.connector, Tryton)

    with pytest.raises(RpcRefusedError) as caught:
        writer.send(writer.connector.planned("model.party.party.write", [5], {"nmber": 1}, purpose="Break"))

    assert caught.value.code == "SERVER_FAULT"


def test_context_when_a_write_is_planned_then_it_holds_no_secret_and_the_users_language(
    subject: Subject, stage: TrytonStage
) -> None:
    writer = Writer(subject.make(), "purchase_order")
    _, call = _noted(writer, stage)
    *_, context = call.body["params"]

    assert context["company"] == 1 and context["language"] == "en" and "active_test" not in context
    assert any(key.startswith("purchase.line,") for key in context["_timestamp"])


# --- parties, products, places ------------------------------------------------------------------------------------------


def test_vendor_when_its_main_mail_goes_then_the_contact_stays_out_of_use(subject: Subject, erp: TrytonClient) -> None:
    writer = Writer(subject.make(), "vendor")
    vendor = made(writer, {"name": "Seals", "email": "one@b.example"}).remote_id

    changed = writer.update(vendor, {"email": "two@b.example", "phone": "+49 1"})
    emptied = writer.update(vendor, {"email": None})

    assert changed.taken and emptied.taken
    kept = row(erp, "party.party", vendor, "contact_mechanisms.value", "identifiers.code")
    assert [found["value"] for found in kept["contact_mechanisms."]] == ["+49 1"]  # inactive ones are not shown
    assert kept["identifiers."][0]["code"].startswith("lsh-")


@pytest.mark.parametrize("entity", ["vendor", "inventory_item", "location"])
def test_mark_when_what_carries_it_is_inactive_then_it_is_found(
    subject: Subject, stage: TrytonStage, entity: str
) -> None:
    writer = Writer(subject.make(), entity)
    values = {name: value for name, value in stage.creation(entity).items() if name != "number"}
    change = Change("create", values, mark=new_mark())
    (call,) = writer.plan(change)
    remote_id = writer.send(call).remote_id or ""

    assert writer.delete(remote_id).after["status"] == "inactive"

    since = writer.connector.now() - timedelta(minutes=5)
    assert writer.connector.find_marked(writer.resource, change, since) == [remote_id]
    assert writer.connector.find_marked(writer.resource, change, since + timedelta(hours=1)) == []


def test_product_when_the_variant_has_a_price_of_its_own_then_that_one_is_written(
    subject: Subject, stage: TrytonStage, erp: TrytonClient
) -> None:
    writer = Writer(subject.make(), "inventory_item")
    product = stage.make("inventory_item", "1")
    erp.call("model.product.product.write", [int(product)], {"list_price": Decimal("7.5")})

    done = writer.update(product, {"list_price": "8.25", "name": "Renamed"})

    assert done.taken
    stored = row(erp, "product.product", product, "list_price", "template.list_price", "template.name")
    assert stored["list_price"] == Decimal("8.25") and stored["template."]["list_price"] is None
    assert stored["template."]["name"] == "Renamed"


def test_product_when_only_the_template_changed_behind_our_back_then_it_is_a_conflict(
    subject: Subject, stage: TrytonStage, erp: TrytonClient
) -> None:
    writer = Writer(subject.make(), "inventory_item")
    product = stage.make("inventory_item", "1")
    template = row(erp, "product.product", product, "template")["template"]
    decoded = writer.read(product)[0]
    (planned,) = writer.plan(Change("update", {"name": "Ours"}, product, decoded))

    erp.call("model.product.template.write", [template], {"name": "Theirs"})

    with pytest.raises(ConflictError):
        writer.send(planned)
    with pytest.raises(ConflictError):
        writer.plan(Change("update", {"name": "Ours"}, product, decoded))


# --- productions --------------------------------------------------------------------------------------------------------


def test_production_when_its_quantity_changes_then_its_materials_follow(subject: Subject, erp: TrytonClient) -> None:
    writer = Writer(subject.make(), "work_order")
    values = {"item": first(erp, "product.product", ["code", "=", "ASM-PUMP-40"]), "quantity": "3"}
    place = first(erp, "stock.location", ["code", "=", "PROD"])

    work = made(writer, {**values, "location": place})
    more = writer.update(work.remote_id, {"quantity": "6", "planned_start": "2031-02-03T00:00:00Z"})

    def used(seen: Any) -> dict[str, float]:
        return {line["item"]["remote_id"]: float(line["quantity"]) for line in seen["lines"]}

    assert used(work.after) and more.taken
    assert used(more.after) == {item: quantity * 2 for item, quantity in used(work.after).items()}
    outputs = row(erp, "production", work.remote_id, "outputs.quantity", "reference")
    assert outputs["outputs."][0]["quantity"] == 6.0 and outputs["reference"].startswith("lsh-")


def test_production_when_materials_lack_then_assigning_is_refused(subject: Subject, erp: TrytonClient) -> None:
    writer = Writer(subject.make(), "work_order")
    item = first(erp, "product.product", ["code", "=", "ASM-PUMP-40"])
    place = first(erp, "stock.location", ["code", "=", "PROD"])
    work = made(writer, {"item": item, "quantity": "90000", "location": place}).remote_id

    assert writer.act(work, "wait", {}).after["remote_status"] == "waiting"
    done = writer.act(work, "assign", {})

    assert isinstance(done.error, RpcRefusedError) and done.error.code == "MATERIAL_MISSING"
    assert writer.read(work)[1]["remote_status"] == "waiting"


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"planned_start": "2031-02-03T06:00:00Z"}, "/planned_start"),
        ({"planned_end": "2031-02-03T00:00:00Z", "due_date": "2031-02-04"}, "/due_date"),
    ],
)
def test_production_when_a_time_cannot_be_said_then_it_is_named(
    subject: Subject, stage: TrytonStage, values: dict[str, str], pointer: str
) -> None:
    done = Writer(subject.make(), "work_order").update(stage.make("work_order", "draft"), values)

    assert isinstance(done.error, ValidationFailedError) and done.error.errors[0].pointer == pointer


def test_write_when_the_password_was_changed_then_the_customer_must_act(
    subject: Subject, stage: TrytonStage, between: Relay
) -> None:
    writer = Writer(subject.make(base_url=between.base_url), "purchase_order")
    _, call = _noted(writer, stage)
    between.fail("http_401")

    with pytest.raises(AuthError):
        writer.send(call)
