"""The OAuth client and the kinds of credentials against answers of every sort, over real HTTP; and secrets read again."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django_scopes import scope
from hypothesis import given
from hypothesis import strategies as st

from connections.models import Credential
from connections.services import open_connector
from connections.services.credentials import store_secrets
from core.errors import AuthError, BadAnswerError, ConfigError, LineshaftError, RateLimitedError, TransientError
from core.http import CallRecord, Door, connection_policy
from integrations.protocols.rest import RestConnector
from integrations.sdk.auth import ClientCredentials, OAuth2Code, PasswordLogin, QueryKey
from integrations.sdk.connector import ConnectorSettings
from integrations.sdk.oauth import (
    Issued,
    OAuthClient,
    authorization_url,
    client_credentials,
    exchange_code,
    refresh,
)
from integrations.sdk.sessions import sign_in
from integrations.sdk.templates import address, filled
from integrations.sdk.token_answers import seconds_of
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.http_peer import Peer, always, message, peer
from workspaces.models import SecretPrefix

CODE = OAuth2Code("{base_url}/authorize?audience=api", "{base_url}/token", scopes=("read", "offline"))
CLIENT = OAuthClient("app-1", "canary-client-secret", "https://us.example/link/oauth/callback")
GOOD = {"access_token": "canary-access", "refresh_token": "canary-refresh", "expires_in": 600, "scope": "read"}


@contextmanager
def answering(body: Any, status: str = "200 OK", **headers: str) -> Iterator[tuple[Peer, Door, list[CallRecord]]]:
    """A token endpoint that always answers so, a door to it, and the records of the calls."""
    records: list[CallRecord] = []
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with peer(always(message(raw, status, **headers))) as server:
        with Door(connection_policy(["127.0.0.0/8"]), on_call=records.append) as door:
            yield server, door, records


def config_of(server: Peer) -> dict[str, str]:
    return {"base_url": server.url("")}


def form_of(server: Peer) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(server.received[0].body.decode()).items()}


# --- what is asked --------------------------------------------------------------------------------------------------


def test_authorization_url_carries_state_scope_and_the_challenge_alone() -> None:
    url = authorization_url(CODE, {"base_url": "https://erp.example/"}, CLIENT, state="st", verifier="v" * 43)
    parts = urlsplit(url)
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert parts.path == "/authorize"
    assert asked.pop("code_challenge") and "v" * 43 not in url and CLIENT.secret not in url
    assert asked == {
        "audience": "api",
        "response_type": "code",
        "client_id": "app-1",
        "redirect_uri": CLIENT.redirect_uri,
        "scope": "read offline",
        "state": "st",
        "code_challenge_method": "S256",
    }


def test_exchange_code_sends_code_verifier_and_client_in_the_form() -> None:
    with answering(GOOD) as (server, door, _):
        issued = exchange_code(CODE, config_of(server), CLIENT, door, code="c-1", verifier="v" * 43)
    assert issued == Issued("canary-access", "canary-refresh", 600.0, "read")
    assert form_of(server) == {
        "grant_type": "authorization_code",
        "code": "c-1",
        "code_verifier": "v" * 43,
        "redirect_uri": CLIENT.redirect_uri,
        "client_id": "app-1",
        "client_secret": CLIENT.secret,
    }


def test_client_auth_basic_encodes_id_and_secret_as_a_form_does() -> None:
    auth = ClientCredentials("{base_url}/token", client_auth="basic", scopes=("a", "b"))
    with answering(GOOD) as (server, door, _):
        client_credentials(auth, {**config_of(server), "client_id": "a:b"}, {"client_secret": "p%d"}, door)
    kind, _, pair = server.received[0].headers["authorization"].partition(" ")
    assert (kind, b64decode(pair).decode()) == ("Basic", "a%3Ab:p%25d")
    assert form_of(server) == {"grant_type": "client_credentials", "scope": "a b"}


def test_client_auth_none_sends_no_secret() -> None:
    auth = OAuth2Code("{base_url}/a", "{base_url}/token", client_auth="none")
    with answering(GOOD) as (server, door, _):
        refresh(auth, config_of(server), CLIENT, door, refresh_token="r-1")
    assert form_of(server) == {"grant_type": "refresh_token", "refresh_token": "r-1", "client_id": "app-1"}


def test_refresh_when_no_new_refresh_token_comes_keeps_the_old_one() -> None:
    with answering({"access_token": "a-2", "expires_in": "60"}) as (server, door, _):
        issued = refresh(CODE, config_of(server), CLIENT, door, refresh_token="r-1")
    assert (issued.access_token, issued.refresh_token, issued.expires_in_seconds) == ("a-2", "r-1", 60.0)


def test_sign_in_fills_the_body_and_finds_the_session() -> None:
    auth = PasswordLogin(
        "{base_url}/login", {"who": {"name": "{user}", "pass": "{password}"}, "ttl": 60}, token="data.sid"
    )
    with answering({"data": {"sid": "canary-session"}}) as (server, door, records):
        issued = sign_in(auth, {**config_of(server), "user": "{password}"}, {"password": "p"}, door)
    assert json.loads(server.received[0].body) == {"who": {"name": "{password}", "pass": "p"}, "ttl": 60}
    assert issued.access_token == "canary-session" and "canary" not in records[0].response_body


# --- what is answered -----------------------------------------------------------------------------------------------

OUTCOMES: list[tuple[str, str, Any, type[LineshaftError], str]] = [
    ("grant", "400 Bad Request", {"error": "invalid_grant"}, AuthError, "GRANT_REFUSED"),
    ("grant with 200", "200 OK", {"error": "invalid_grant"}, AuthError, "GRANT_REFUSED"),
    ("client", "401 Unauthorized", {"error": "invalid_client"}, ConfigError, "OAUTH_CLIENT_REFUSED"),
    ("scope", "400 Bad Request", {"error": "invalid_scope"}, ConfigError, "OAUTH_REQUEST_REFUSED"),
    ("later", "400 Bad Request", {"error": "temporarily_unavailable"}, TransientError, "UPSTREAM_UNAVAILABLE"),
    ("5xx that speaks of the grant", "500 No", {"error": "invalid_grant"}, TransientError, "UPSTREAM_UNAVAILABLE"),
    ("slow down", "429 Too Many", {}, RateLimitedError, "RATE_LIMIT_EXCEEDED"),
    ("a login page", "200 OK", b"<!DOCTYPE html><html>hello</html>", BadAnswerError, "NOT_JSON"),
    ("a firewall", "403 Forbidden", b"<html>blocked</html>", BadAnswerError, "UNEXPECTED_ANSWER"),
    ("401 without a reason", "401 Unauthorized", b"", BadAnswerError, "UNEXPECTED_ANSWER"),
    ("404", "404 Not Found", b"nothing here", BadAnswerError, "UNEXPECTED_ANSWER"),
    ("no token", "200 OK", {"token_type": "bearer"}, BadAnswerError, "UNEXPECTED_ANSWER"),
    ("a token that is no text", "200 OK", {"access_token": 7}, BadAnswerError, "UNEXPECTED_ANSWER"),
    ("a list", "200 OK", [], BadAnswerError, "UNEXPECTED_ANSWER"),
]


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"), [each[1:] for each in OUTCOMES], ids=[each[0] for each in OUTCOMES]
)
def test_refresh_tells_what_is_for_good_from_what_may_pass(
    status: str, body: Any, kind: type[LineshaftError], code: str
) -> None:
    with answering(body, status) as (server, door, _), pytest.raises(LineshaftError) as caught:
        refresh(CODE, config_of(server), CLIENT, door, refresh_token="r-1")
    assert type(caught.value) is kind and caught.value.code == code
    assert len(server.received) == 1


def test_refresh_when_nobody_listens_is_transient() -> None:
    with answering(GOOD) as (server, door, _):
        pass
    with Door(connection_policy(["127.0.0.0/8"])) as door, pytest.raises(TransientError):
        refresh(CODE, config_of(server), CLIENT, door, refresh_token="r-1")


def test_refresh_when_the_line_breaks_after_sending_is_transient_and_not_sent_again() -> None:
    with peer(lambda request, sock: False) as server, Door(connection_policy(["127.0.0.0/8"])) as door:
        with pytest.raises(TransientError) as caught:
            refresh(CODE, config_of(server), CLIENT, door, refresh_token="r-1", seconds=5)
    assert caught.value.code == "TOKEN_UNANSWERED" and len(server.received) == 1


def test_client_credentials_when_the_client_is_refused_is_the_customers() -> None:
    auth = ClientCredentials("{base_url}/token")
    with answering({"error": "invalid_client"}, "401 Unauthorized") as (server, door, _):
        with pytest.raises(AuthError, match="client id and secret"):
            client_credentials(auth, {**config_of(server), "client_id": "c"}, {"client_secret": "s"}, door)


def test_exchange_shows_no_secret_anywhere() -> None:
    said = {"error": "invalid_grant", "error_description": f"no: canary-code {CLIENT.secret}"}
    coded = {"error": f"invalid_request {CLIENT.secret}"}
    for body, status in ((GOOD, "200 OK"), (said, "400 Bad Request"), (coded, "400 Bad Request"), (coded, "500 No")):
        with answering(body, status) as (server, door, records):
            try:
                shown = repr(
                    exchange_code(CODE, config_of(server), CLIENT, door, code="canary-code", verifier="canary" * 8)
                )
            except LineshaftError as error:
                shown = f"{error!r} {error.detail} {error.source}"
        assert "canary" not in shown + repr(CLIENT) + records[0].request_body + records[0].response_body


@given(st.none() | st.text(max_size=20) | st.floats() | st.integers() | st.lists(st.integers(), max_size=2))
def test_seconds_of_takes_whatever_comes(told: Any) -> None:
    seconds = seconds_of(told, None)
    assert seconds is None or 0 < seconds <= 10 * 365 * 86_400


def test_issued_survives_being_stored() -> None:
    issued = Issued("a", "r", 60.0, "read", issued_at=1_795_000_000.0)
    again = Issued.from_json({**json.loads(json.dumps(issued.as_json())), "place": "another's"})
    assert again == issued and again.issued_at == issued.issued_at


# --- templates ------------------------------------------------------------------------------------------------------


def test_address_when_a_setting_is_a_part_then_it_cannot_lead_elsewhere() -> None:
    template = "https://{tenant}.erp.example/token"
    assert address(template, {"tenant": "acme"}) == "https://acme.erp.example/token"
    assert address(template, {"tenant": "evil.example/?"}) == "https://evil.example%2F%3F.erp.example/token"
    for template, config in (("{base_url}/t", {"base_url": "javascript:alert(1)"}), ("{base_url}/t", {})):
        with pytest.raises(ConfigError):
            address(template, config)


def test_filled_leaves_values_as_they_are() -> None:
    assert filled({"a": ["{x}", 1], "b": "<{x}>"}, {"x": "{y}"}) == {"a": ["{y}", 1], "b": "<{y}>"}


# --- a key in the query ---------------------------------------------------------------------------------------------


class Keyed(RestConnector):
    slug, title = "keyed", "Keyed"
    auth = QueryKey("api_key", secret="key")


def test_query_key_goes_with_each_call_and_is_shown_nowhere() -> None:
    records: list[CallRecord] = []
    with peer(always(message(b"{}"))) as server:
        with Door(connection_policy(["127.0.0.0/8"]), secrets=["canary/key"], on_call=records.append) as door:
            keyed = Keyed(ConnectorSettings({"base_url": server.url("")}, {"key": "canary/key"}), door)
            keyed.get(keyed.url("/things"), {"page": 2, "api_key": "somebody's"})
            keyed.passthrough("GET", "/raw", {"api_key": "another"}, {}, None)
    assert [received.path for received in server.received] == [
        "/things?page=2&api_key=canary%2Fkey",
        "/raw?api_key=canary%2Fkey",
    ]
    assert all("canary" not in record.url for record in records)


def test_query_key_when_the_system_links_with_it_then_the_position_has_none() -> None:
    with Door(connection_policy(["127.0.0.0/8"])) as door:
        keyed = Keyed(ConnectorSettings({"base_url": "https://erp.example"}, {"key": "k"}), door)
        kept = keyed.without_credential({"url": "https://erp.example/a?x=%20&api_key=k&page=3", "n": 1})
    assert kept == {"url": "https://erp.example/a?x=%20&page=3", "n": 1}


# --- static secrets that were replaced ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_call_when_the_stored_key_was_replaced_meanwhile_then_the_new_one_is_tried(
    erp_connector: Any, erp_server: TestErpServer
) -> None:
    connection = connect(erp_server)
    with open_connector(connection) as erp:
        erp_server.api_key = "another key"
        with scope(workspace=connection.workspace_id):
            store_secrets(connection, {"api_key": "another key"})
        assert erp.check().account
        erp.check()
    assert len(erp_server.calls) == 3  # one was refused


@pytest.mark.django_db
def test_call_when_the_manager_has_a_newer_key_then_it_is_read_once(
    erp_connector: Any, erp_server: TestErpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(erp_server)
    monkeypatch.setenv("LINESHAFT_REF_ACME_KEY", erp_server.api_key)
    with scope(workspace=connection.workspace_id):
        SecretPrefix.objects.create(workspace=connection.workspace, prefix="env:LINESHAFT_REF_ACME_")
        Credential.objects.filter(connection=connection).update(ciphertext=None, reference="env:LINESHAFT_REF_ACME_KEY")
    with open_connector(connection) as erp:
        erp.check()
        erp_server.api_key = "the newer key"
        monkeypatch.setenv("LINESHAFT_REF_ACME_KEY", "the newer key")
        assert erp.check().account
        erp_server.api_key = "one that nobody has"
        erp_server.forget_calls()
        with pytest.raises(AuthError):
            erp.check()
    assert len(erp_server.calls) == 1


@pytest.mark.django_db
def test_call_when_the_connection_leads_elsewhere_now_then_its_new_key_is_not_sent_here(
    erp_connector: Any, erp_server: TestErpServer
) -> None:
    connection = connect(erp_server, api_key="wrong")
    with open_connector(connection) as erp:
        with scope(workspace=connection.workspace_id):
            store_secrets(connection, {"api_key": erp_server.api_key})
            type(connection).objects.filter(pk=connection.pk).update(config={"base_url": "https://elsewhere.example"})
        with pytest.raises(AuthError):
            erp.check()
    assert len(erp_server.calls) == 1


@pytest.mark.django_db
def test_call_when_the_connection_was_ended_meanwhile_then_the_refusal_stands(
    erp_connector: Any, erp_server: TestErpServer
) -> None:
    connection = connect(erp_server, api_key="wrong")
    with open_connector(connection) as erp:
        with scope(workspace=connection.workspace_id):
            Credential.objects.filter(connection=connection).delete()
        with pytest.raises(AuthError):
            erp.check()
    assert len(erp_server.calls) == 1
