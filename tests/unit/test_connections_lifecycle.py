"""Making, changing, trying out and ending connections, against a real server."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.db import connection as database
from django_scopes import scope

from connections.choices import ConnectionStatus
from connections.models import Connection, Credential
from connections.services import (
    capabilities,
    check_connection,
    create_connection,
    disconnect_connection,
    open_connector,
    pause_connection,
    record_trouble,
    resume_connection,
    update_connection,
)
from core.errors import AuthError, ConflictError, NotFoundError, UnreachableError, ValidationFailedError
from tests.connectors import API_KEY, SLUG, TestErp, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from workspaces.models import Event, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("erp_connector")]


@pytest.fixture
def workspace() -> Workspace:
    made = Workspace(name="Acme", slug="acme")
    made.save(force_insert=True)
    return made


def make(workspace: Workspace, server: TestErpServer, **values: Any) -> Any:
    given = {
        "workspace": workspace,
        "system": SLUG,
        "name": "Plant 1",
        "config": {"base_url": server.base_url},
        "secrets": {"api_key": API_KEY},
        "environment": "live",
        "by": "ann",
    }
    return create_connection(**{**given, **values})


def update(connection: Any, secrets: Any = None, **changes: Any) -> Any:
    return update_connection(connection, changes=changes, secrets=secrets, by="ann")


def told(connection: Connection) -> list[str]:
    with scope(workspace=connection.workspace_id):
        return list(Event.objects.order_by("id").values_list("type", flat=True))


def pointers(caught: pytest.ExceptionInfo[ValidationFailedError]) -> list[str]:
    return [error.pointer for error in caught.value.errors]


def certificate(name: str = "client", *, passphrase: bytes | None = None) -> tuple[str, str]:
    """A self-signed certificate and its key, as PEM."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    lock = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    return made.public_bytes(Encoding.PEM).decode(), pem.decode()


# --- creating ---------------------------------------------------------------------------------------------------------


def test_create_connection_when_all_is_right_is_active(workspace: Workspace, erp_server: TestErpServer) -> None:
    erp_server.add_orders(2)

    made = make(workspace, erp_server, metadata={"region": "north"}, time_zone="Europe/Berlin")

    assert (made.status, made.account, made.system_version) == ("active", "integration@erp.example", "9.4")
    assert made.error is None and made.checked_at is not None
    assert [call.path for call in erp_server.calls] == ["/me", "/orders", "/vendors"]
    assert {call.parameters.get("limit") for call in erp_server.calls[1:]} == {"1"}, "one small page each"
    assert told(made) == []


def test_create_connection_when_the_secret_is_wrong_keeps_it_pending(
    workspace: Workspace, erp_server: TestErpServer
) -> None:
    made = make(workspace, erp_server, secrets={"api_key": "wrong-password"})

    assert (made.status, made.error["code"]) == ("pending", "AUTHENTICATION_FAILED")
    assert "enter them on the connection" in made.error["action"]
    assert told(made) == []

    fixed = update(made, secrets={"api_key": API_KEY})

    assert (fixed.status, fixed.error) == ("active", None)


def test_create_connection_without_a_check_asks_nobody(workspace: Workspace, erp_server: TestErpServer) -> None:
    assert make(workspace, erp_server, check=False).status == "pending"
    assert erp_server.calls == []


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"config": {}}, "/config/base_url"),
        ({"config": {"base_url": 5}}, "/config/base_url"),
        ({"config": {"base_url": "ftp://erp.example"}}, "/config/base_url"),
        ({"config": {"base_url": "https://user:secret@erp.example"}}, "/config/base_url"),
        ({"config": {"base_url": "https://erp.example/?x=1"}}, "/config/base_url"),
        ({"config": {"base_url": "https://erp.example\nHost: x"}}, "/config/base_url"),
        ({"config": {"base_url": "https://erp.example", "colour": 1}}, "/config/colour"),
        ({"config": {"base_url": "https://erp.example", "api_key": "x"}}, "/config/api_key"),
        ({"config": {"base_url": "https://erp.example", "site": "west"}}, "/config/site"),
        ({"config": {"base_url": "https://erp.example", "fiscal_year": True}}, "/config/fiscal_year"),
        ({"config": {"base_url": "https://erp.example", "fiscal_year": "2026"}}, "/config/fiscal_year"),
        ({"config": {"base_url": "https://erp.example", "archived": 1}}, "/config/archived"),
        ({"secrets": {}}, "/secrets/api_key"),
        ({"secrets": {"api_key": ""}}, "/secrets/api_key"),
        ({"secrets": {"api_key": 7}}, "/secrets/api_key"),
        ({"secrets": {"api_key": "x", "tls_client_key": "y"}}, "/secrets/tls_client_key"),
        ({"name": " "}, "/name"),
        ({"environment": "production"}, "/environment"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"page_size": 0}, "/page_size"),
        ({"page_size": True}, "/page_size"),
        ({"proxy": "socks5://proxy.example:1080"}, "/proxy"),
        ({"proxy": "http://user:pass@proxy.example:3128"}, "/proxy"),
        ({"metadata": {"x": "y" * 20_000}}, "/metadata"),
        ({"ca_certificate": "not a certificate"}, "/ca_certificate"),
        ({"ca_certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}, "/ca_certificate"),
    ],
    ids=str,
)
def test_create_connection_when_a_value_cannot_be_right_points_at_it(
    workspace: Workspace, erp_server: TestErpServer, values: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        make(workspace, erp_server, **values)

    assert pointers(caught) == [pointer]
    assert "secret@" not in str(caught.value)
    with scope(workspace=workspace.pk):
        assert not Connection.objects.exists()


def test_create_connection_when_several_values_are_wrong_names_all(
    workspace: Workspace, erp_server: TestErpServer
) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        make(workspace, erp_server, config={"site": "west"}, secrets={}, name="")

    assert sorted(pointers(caught)) == ["/config/base_url", "/config/site", "/name", "/secrets/api_key"]


def test_create_connection_of_an_unknown_system_says_so(workspace: Workspace, erp_server: TestErpServer) -> None:
    with pytest.raises(NotFoundError, match="gone-erp"):
        make(workspace, erp_server, system="gone-erp")


def test_client_certificate_when_right_is_kept_with_its_key_encrypted(
    workspace: Workspace, erp_server: TestErpServer
) -> None:
    public, private = certificate()

    made = make(workspace, erp_server, client_certificate=public, client_key=private)

    assert made.status == "active"
    with scope(workspace=workspace.pk):
        assert set(Credential.objects.values_list("name", flat=True)) == {"api_key", "tls_client_key"}
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM connections_connection c WHERE row_to_json(c)::text LIKE '%PRIVATE%'")
        assert cursor.fetchone() == (0,)


def test_client_certificate_when_removed_takes_its_key_along(workspace: Workspace, erp_server: TestErpServer) -> None:
    public, private = certificate()
    made = make(workspace, erp_server, client_certificate=public, client_key=private)

    update(made, client_certificate="")

    assert made.status == "active"
    with scope(workspace=workspace.pk):
        assert list(Credential.objects.values_list("name", flat=True)) == ["api_key"]


@pytest.mark.parametrize("what", ["another's key", "passphrase", "no key", "no certificate", "garbage", "in the text"])
def test_client_certificate_when_the_key_is_wrong_points_at_it(
    workspace: Workspace, erp_server: TestErpServer, what: str
) -> None:
    public, private = certificate()
    values = {
        "another's key": {"client_certificate": public, "client_key": certificate("other")[1]},
        "passphrase": {"client_certificate": public, "client_key": certificate(passphrase=b"x")[1]},
        "no key": {"client_certificate": public},
        "no certificate": {"client_key": private},
        "garbage": {"client_certificate": public, "client_key": "-----BEGIN PRIVATE KEY-----"},
        "in the text": {"client_certificate": public + private, "client_key": private},
    }[what]

    with pytest.raises(ValidationFailedError) as caught:
        make(workspace, erp_server, **values)

    assert pointers(caught)[0] == ("/client_certificate" if what == "in the text" else "/client_key")


# --- checking ---------------------------------------------------------------------------------------------------------


def names(outcome: Any) -> dict[str, bool]:
    return {check.name: check.ok for check in outcome.checks}


def test_check_connection_when_all_is_right_says_what_was_tried(erp_server: TestErpServer) -> None:
    outcome = check_connection(connect(erp_server), by="ann")

    assert outcome.ok and outcome.error is None
    assert names(outcome) == {
        "reachable": True,
        "signed_in": True,
        "purchase_order_readable": True,
        "vendor_readable": True,
    }


@pytest.mark.parametrize(
    ("fault", "tried", "code"),
    [
        ("http_401", {"reachable": True, "signed_in": False}, "AUTHENTICATION_FAILED"),
        ("http_403", {"reachable": True, "signed_in": False}, "PERMISSION_DENIED"),
        ("http_404", {"reachable": True, "signed_in": False}, "NOT_FOUND"),
        ("http_500", {"reachable": True, "signed_in": False}, "UPSTREAM_UNAVAILABLE"),
        ("html", {"reachable": True, "signed_in": False}, "NOT_JSON"),
        ("truncated", {"reachable": True, "signed_in": False}, "ANSWER_CUT_OFF"),
    ],
)
def test_check_connection_when_the_sign_in_fails_says_how_far_it_came(
    erp_server: TestErpServer, fault: str, tried: dict[str, bool], code: str
) -> None:
    erp_server.fail(fault)

    outcome = check_connection(connect(erp_server), by="ann")

    assert not outcome.ok and names(outcome) == tried
    assert outcome.checks[-1].code == code == outcome.error["code"]  # type: ignore[index]


def test_check_connection_when_another_product_answers_is_no_bug_of_ours(
    erp_server: TestErpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TestErp, "check_path", "/vendors")

    outcome = check_connection(connect(erp_server), by="ann")

    assert names(outcome) == {"reachable": True, "signed_in": False}
    assert "not what Test ERP sends" in outcome.checks[-1].detail


def test_check_connection_when_nothing_listens_says_unreachable(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    erp_server.stop()

    outcome = check_connection(connection, by="ann")

    assert names(outcome) == {"reachable": False}
    assert outcome.checks[0].code == "CONNECTION_REFUSED"


def test_check_connection_when_the_address_is_private_names_the_setting(
    erp_server: TestErpServer, settings: Any
) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = []

    outcome = check_connection(connect(erp_server), by="ann")

    assert names(outcome) == {"reachable": False}
    assert "EGRESS_ALLOWED_NETWORKS" in outcome.checks[0].detail
    assert "EGRESS_ALLOWED_NETWORKS" in outcome.error["action"]  # type: ignore[index]


def test_check_connection_when_one_entity_is_forbidden_stays_active_and_says_so(erp_server: TestErpServer) -> None:
    erp_server.fail("http_403", on="/orders")
    connection = connect(erp_server, health=ConnectionStatus.PENDING)

    outcome = check_connection(connection, by="ann")

    assert not outcome.ok
    assert names(outcome)["purchase_order_readable"] is False and names(outcome)["vendor_readable"] is True
    connection.refresh_from_db()
    assert (connection.status, connection.error["code"]) == ("active", "PERMISSION_DENIED")  # type: ignore[index]


def test_check_connection_when_no_entity_is_readable_is_not_active(erp_server: TestErpServer) -> None:
    erp_server.fail("http_403", skip=1)
    connection = connect(erp_server, health=ConnectionStatus.PENDING)

    check_connection(connection, by="ann")

    connection.refresh_from_db()
    assert connection.status == "pending"


def test_check_connection_when_the_credential_was_refused_tells_once(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    erp_server.api_key = "rotated"

    check_connection(connection, by="ann")
    check_connection(connection, by="ann")

    connection.refresh_from_db()
    assert (connection.status, told(connection)) == ("needs_reauth", ["connection.needs_reauth"])


# --- changing ---------------------------------------------------------------------------------------------------------


def test_update_connection_when_new_secrets_work_ends_needs_reauth_and_the_circuit(erp_server: TestErpServer) -> None:
    connection = connect(erp_server, failures_in_row=5)
    record_trouble(connection.pk, connection.workspace_id, AuthError("no"))
    erp_server.api_key = "new-key-of-the-customer"

    update(connection, secrets={"api_key": "new-key-of-the-customer"})

    assert (connection.status, connection.error, connection.failures_in_row) == ("active", None, 0)
    assert told(connection) == ["connection.needs_reauth", "connection.online"]


def test_update_connection_when_new_secrets_do_not_work_stays_in_needs_reauth(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    record_trouble(connection.pk, connection.workspace_id, AuthError("no"))

    update(connection, secrets={"api_key": "still-wrong"})

    assert connection.status == "needs_reauth"
    assert told(connection) == ["connection.needs_reauth"]


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"base_url": "https://evil.example"}},
        {"proxy": "http://evil.example:3128"},
        {"ca_certificate": certificate("evil authority")[0]},
    ],
    ids=["host", "proxy", "authority"],
)
def test_update_connection_when_it_leads_elsewhere_demands_the_secrets(
    erp_server: TestErpServer, changes: dict[str, Any]
) -> None:
    connection = connect(erp_server)

    with pytest.raises(ValidationFailedError) as caught:
        update(connection, **changes)

    assert caught.value.code == "SECRETS_REQUIRED" and pointers(caught) == ["/secrets/api_key"]
    connection.refresh_from_db()
    assert connection.config == {"base_url": erp_server.base_url} and connection.proxy == ""
    with open_connector(connection) as erp:
        assert erp.settings.secrets["api_key"] == API_KEY
    assert erp_server.calls == [], "nothing was sent anywhere"


def test_update_connection_when_the_host_changes_with_its_secrets_goes_there(erp_server: TestErpServer) -> None:
    connection = connect(erp_server, config={"base_url": "https://old.example"})

    update(connection, secrets={"api_key": API_KEY}, config={"base_url": erp_server.base_url, "company": "ACME"})

    assert connection.status == "active"
    assert connection.config == {"base_url": erp_server.base_url, "company": "ACME"}


def test_update_connection_changes_what_is_given_and_removes_by_none(erp_server: TestErpServer) -> None:
    connection = connect(
        erp_server, metadata={"a": 1, "b": 2}, config={"base_url": erp_server.base_url, "company": "X"}
    )

    update(connection, name=" Plant 2 ", metadata={"a": None, "c": 3}, customer_reference="c-1")
    assert (connection.name, connection.metadata, connection.customer_reference) == ("Plant 2", {"b": 2, "c": 3}, "c-1")
    assert erp_server.calls == [], "a new name needs no check"

    update(connection, config={"company": None, "site": "south"})
    assert connection.config == {"base_url": erp_server.base_url, "site": "south"}
    assert erp_server.calls


@pytest.mark.parametrize(
    ("changes", "secrets", "pointer"),
    [
        ({"config": {"base_url": None}}, {}, "/config/base_url"),
        ({"config": {"site": 5}}, {}, "/config/site"),
        ({"name": ""}, {}, "/name"),
        ({}, {"api_key": None}, "/secrets/api_key"),
        ({}, {"other": "x"}, "/secrets/other"),
        ({"client_certificate": certificate()[0]}, {}, "/client_key"),
        ({"client_key": certificate()[1]}, {}, "/client_key"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_update_connection_when_a_value_cannot_be_right_points_at_it(
    erp_server: TestErpServer, changes: dict[str, Any], secrets: dict[str, Any], pointer: str
) -> None:
    connection = connect(erp_server)

    with pytest.raises(ValidationFailedError) as caught:
        update(connection, secrets, **changes)

    assert pointers(caught) == [pointer]


def test_pause_and_resume_change_the_shown_status_only(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)

    assert pause_connection(pause_connection(connection, by="ann"), by="ann").status == "paused"
    assert connection.health == "active"
    with scope(workspace=connection.workspace_id):
        assert not Connection.objects.may_sync().exists()
    assert resume_connection(connection, by="ann").status == "active"


def test_disconnect_when_done_twice_ends_it_once(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)

    disconnect_connection(connection, by="ann")
    disconnect_connection(connection, by="ann")

    assert connection.status == "disconnected" and told(connection) == ["connection.disconnected"]
    with scope(workspace=connection.workspace_id):
        assert not Credential.objects.exists(), "its secrets are gone"
    for attempt in (
        lambda: update(connection, name="x"),
        lambda: resume_connection(connection, by="ann"),
        lambda: check_connection(connection, by="ann"),
    ):
        with pytest.raises(ConflictError, match="ended"):
            attempt()
    record_trouble(connection.pk, connection.workspace_id, UnreachableError("down"))
    connection.refresh_from_db()
    assert connection.status == "disconnected"


def test_secrets_appear_in_no_log_when_everything_fails(
    workspace: Workspace, erp_server: TestErpServer, caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "s3cr3t-nobody-may-see"
    made = make(workspace, erp_server, secrets={"api_key": secret})
    for fault in ("html", "http_500", "not_json"):
        erp_server.fail(fault)
        check_connection(made, by="ann")
    update(made, secrets={"api_key": secret})
    made.refresh_from_db()

    shown = capsys.readouterr()
    everything = caplog.text + shown.out + shown.err + str(made.error) + repr(vars(made))
    assert "connection_checked" in everything
    assert secret not in everything


# --- capabilities -----------------------------------------------------------------------------------------------------


def test_capabilities_say_what_is_declared(erp_server: TestErpServer) -> None:
    every = capabilities(connect(erp_server))
    orders, vendors = every["purchase_order"], every["vendor"]

    assert orders["operations"]["create"] == {"supported": True, "reason": None, "rules": []}
    update = orders["operations"]["update"]
    assert update["supported"] is False and "Test ERP" in update["reason"]["detail"]
    assert orders["operations"]["delete"]["delete_kind"] == "cancel"
    assert orders["operations"]["delete"]["rules"][0]["unless_status"] == ["received"]
    assert orders["changes"] == {"detection": "since", "touched_by": ["receipts"], "overlap_seconds": 600.0}
    assert vendors["changes"]["detection"] == "full"
    assert orders["filterable"][:2] == ["number", "reference"]
    notes, number, terms = (orders["fields"][name] for name in ("notes", "number", "payment_terms"))
    assert (notes["readable"], notes["writable"], notes["writable_in"]) == (True, True, ["create"])
    assert (number["readable"], number["writable"]) == (True, False)
    assert (terms["readable"], terms["writable"]) == (False, False)
    lines = orders["fields"]["lines"]["items"]
    assert lines["quantity"]["writable"] and not lines["id"]["writable"] and not lines["status"]["readable"]
    assert vendors["fields"]["name"]["writable"] is False


def test_capabilities_of_an_entity_the_system_lacks_give_the_reason() -> None:
    asset = capabilities(TestErp, "asset")

    assert not asset["supported"] and asset["fields"] == {}
    assert "no asset" in asset["operations"]["read"]["reason"]["detail"]
    with pytest.raises(NotFoundError):
        capabilities(TestErp, "spaceship")
