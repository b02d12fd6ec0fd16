"""Signing in to a real OAuth server (django-oauth-toolkit in a process of its own), and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django_scopes import scope, scopes_disabled

from connections.choices import ConnectionStatus
from connections.models import Connection, Grant, UpstreamCall
from connections.services import CallLog, check_connection, disconnect_connection, open_connector
from connections.services.credentials import store_secrets
from connections.services.opening import open_door, open_draft
from connections.services.systems import update_system_settings
from core.errors import AuthError, ConfigError, TransientError
from integrations.sdk.oauth import authorization_url, exchange_code
from tests.http_peer import LOOPBACK, Peer
from tests.oauth.connecting import (
    client_of,
    connect,
    connect_service,
    connect_session,
    grant_of,
    health_of,
    keep,
    let_token_end,
    oauth_connectors,  # noqa: F401
    sign_in,
)
from tests.oauth.connector import OAuthErp, ServiceErp, SessionErp
from tests.oauth.running import OAuthServer, oauth_server
from tests.syncing import copy_of, events_of, run_sync, sync_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("oauth_connectors")]
VERIFIER = "v" * 64


@pytest.fixture(scope="module")
def running() -> Iterator[OAuthServer]:
    with oauth_server() as server:
        yield server


@pytest.fixture
def server(running: OAuthServer) -> OAuthServer:
    """The module's server, healthy, with an empty journal."""
    running.heal()
    running.forget_journal()
    return running


def account(connection: Connection) -> str:
    with open_connector(connection) as connector:
        return connector.check().account


def code_for(server: OAuthServer) -> str:
    url = authorization_url(
        OAuthErp.auth, {"base_url": server.base_url}, client_of(server), state="s-1", verifier=VERIFIER
    )
    return server.agree(url)["code"]


# --- the person's sign-in -------------------------------------------------------------------------------------------


def test_code_flow_when_the_person_agrees_then_the_connection_syncs(server: OAuthServer) -> None:
    issued = sign_in(server)
    assert issued.refresh_token and issued.expires_in_seconds == 3600 and issued.scope == "read write"
    connection = connect(server, issued)
    outcome = check_connection(connection, by="test")
    assert outcome.ok, outcome
    for entity, count in (("purchase_order", 5), ("vendor", 7)):
        sync = sync_of(connection, entity)
        assert run_sync(sync).status == "completed"
        assert len(copy_of(sync).live) == count
    assert server.journal() == {"authorization_code": 1}


def test_code_flow_when_the_person_declines_then_the_answer_says_so(server: OAuthServer) -> None:
    url = authorization_url(
        OAuthErp.auth, {"base_url": server.base_url}, client_of(server), state="s-2", verifier=VERIFIER
    )
    asked = parse_qs(urlsplit(url).query)
    assert asked["code_challenge_method"] == ["S256"] and VERIFIER not in url
    answer = server.agree(url, allow=False)
    assert answer["error"] == "access_denied" and answer["state"] == "s-2" and "code" not in answer


def test_exchange_code_when_the_verifier_is_another_then_auth_error(server: OAuthServer) -> None:
    code = code_for(server)
    with open_door() as door, pytest.raises(AuthError) as caught:
        exchange_code(
            OAuthErp.auth, {"base_url": server.base_url}, client_of(server), door, code=code, verifier="w" * 64
        )
    assert caught.value.code == "GRANT_REFUSED" and code not in str(caught.value)


def test_exchange_code_when_it_was_used_then_auth_error(server: OAuthServer) -> None:
    code, config = code_for(server), {"base_url": server.base_url}
    with open_door() as door:
        exchange_code(OAuthErp.auth, config, client_of(server), door, code=code, verifier=VERIFIER)
        with pytest.raises(AuthError):
            exchange_code(OAuthErp.auth, config, client_of(server), door, code=code, verifier=VERIFIER)


def test_open_draft_when_somebody_agreed_then_it_speaks_without_a_row(server: OAuthServer) -> None:
    with open_draft(OAuthErp, config={"base_url": server.base_url}, secrets={}, issued=sign_in(server)) as connector:
        assert connector.check().account == "integration"
        server.expire()
        with pytest.raises(AuthError) as caught:  # its refresh token is left for the connection
            connector.check()
    assert caught.value.code == "SIGN_IN_NEEDED" and server.journal() == {"authorization_code": 1}


def test_open_draft_when_the_secrets_are_typed_then_it_gets_its_tokens(server: OAuthServer) -> None:
    base = {"base_url": server.base_url}
    with open_draft(
        SessionErp, config={**base, "user": server.username}, secrets={"password": server.password}
    ) as connector:
        assert connector.check().account == "integration"
        server.expire()
        assert connector.check().account == "integration"
    with open_draft(
        ServiceErp, config={**base, "client_id": server.service_id}, secrets={"client_secret": "wrong"}
    ) as connector:
        with pytest.raises(AuthError, match="client id and secret"):
            connector.check()
    assert server.journal() == {"session": 2}


# --- renewal --------------------------------------------------------------------------------------------------------


def test_token_when_it_ended_by_our_clock_then_it_is_renewed_before_the_call(server: OAuthServer) -> None:
    connection = connect(server)
    before = grant_of(connection)
    let_token_end(connection)
    assert account(connection) == "integration" == account(connection)
    after = grant_of(connection)
    assert (after.generation, after.lease_until) == (before.generation + 1, None)
    assert after.updated_at == before.updated_at  # tells when a person signed in
    assert server.journal() == {"authorization_code": 1, "refresh_token": 1}


def test_token_when_it_is_nearly_over_then_it_is_renewed_ahead(server: OAuthServer) -> None:
    connection = connect(server)
    let_token_end(connection, in_seconds=90)
    account(connection)
    assert "refresh_token" not in server.journal()
    let_token_end(connection, in_seconds=50)  # of an hour: the last minute
    account(connection)
    assert server.journal()["refresh_token"] == 1


def test_token_when_the_system_refuses_it_then_it_is_renewed_once_and_the_call_repeated(server: OAuthServer) -> None:
    connection = connect(server)
    with open_connector(connection) as connector:
        server.expire()
        assert connector.check().account == "integration"
        assert connector.check().account == "integration"
    assert server.journal()["refresh_token"] == 1


def test_token_when_somebody_else_renewed_it_then_theirs_is_used(server: OAuthServer) -> None:
    connection = connect(server)
    with open_connector(connection) as early:
        server.expire()
        account(connection)
        assert early.check().account == "integration"
    assert server.journal()["refresh_token"] == 1


def test_grant_when_the_consent_is_withdrawn_then_needs_reauth_and_one_event(server: OAuthServer) -> None:
    connection = connect(server)
    server.revoke()
    sync = sync_of(connection)
    assert run_sync(sync).status == "failed"
    assert health_of(connection) == ConnectionStatus.NEEDS_REAUTH
    with pytest.raises(AuthError, match="sign in again"):
        run_sync(sync)
    told = [event["type"] for event in events_of(sync)]
    assert told.count("connection.needs_reauth") == 1
    refused = [each for each in server.attempts() if each["grant_type"] == "refresh_token"]
    assert [each["error"] for each in refused] == ["invalid_grant"]
    keep(connection, sign_in(server))
    assert check_connection(connection, by="test").ok and health_of(connection) == ConnectionStatus.ACTIVE


@pytest.mark.parametrize("kind", ["500", "503", "html"])
def test_grant_when_the_token_address_is_out_of_order_then_never_needs_reauth(server: OAuthServer, kind: str) -> None:
    connection, sync = connect(server), None
    let_token_end(connection)
    server.fail(kind)
    sync = sync_of(connection)
    run = run_sync(sync)
    assert run.status == "waiting" and health_of(connection) == ConnectionStatus.ACTIVE
    server.heal()
    assert account(connection) == "integration"
    assert server.journal()["refresh_token"] == 1


def test_grant_when_the_token_address_hangs_then_the_call_ends_in_its_time(server: OAuthServer) -> None:
    connection = connect(server)
    let_token_end(connection)
    server.fail("hang", times=1, seconds=30)
    with open_connector(connection) as connector:
        connector.settings.tokens._exchange_seconds = 0.5  # type: ignore[union-attr]
        with pytest.raises(TransientError) as caught:
            connector.check()
    assert caught.value.code == "TOKEN_UNANSWERED" and health_of(connection) == ConnectionStatus.ACTIVE
    assert account(connection) == "integration"


def test_grant_when_the_answer_is_lost_within_the_grace_period_then_the_next_try_recovers() -> None:
    with oauth_server(grace_seconds=60) as server:
        connection = connect(server)
        let_token_end(connection)
        server.fail("answer_lost", times=1)
        with pytest.raises(TransientError):
            account(connection)
        assert account(connection) == "integration"
        assert health_of(connection) == ConnectionStatus.ACTIVE


def test_client_when_the_operator_entered_a_wrong_secret_then_config_and_not_needs_reauth(server: OAuthServer) -> None:
    connection = connect(server)
    _set_client_secret(connection, "mistyped")
    let_token_end(connection)
    with pytest.raises(ConfigError) as caught:
        account(connection)
    assert caught.value.code == "OAUTH_CLIENT_REFUSED" and "mistyped" not in str(caught.value)
    _set_client_secret(connection, server.client_secret)
    assert account(connection) == "integration"


def test_client_when_none_was_entered_then_it_says_where(server: OAuthServer) -> None:
    connection = connect(server)
    _set_client_secret(connection, None)
    let_token_end(connection)
    with pytest.raises(ConfigError, match="OAuth client secret") as caught:
        account(connection)
    assert caught.value.code == "OAUTH_CLIENT_MISSING"


def _set_client_secret(connection: Connection, secret: str | None) -> None:
    with scope(workspace=connection.workspace_id):
        update_system_settings(
            workspace=connection.workspace,
            system=connection.system,
            environment=connection.environment,
            changes={"oauth_client_secret": secret},
            by="test",
        )


# --- the other kinds ------------------------------------------------------------------------------------------------


def test_client_credentials_when_the_token_ends_then_another_is_got(server: OAuthServer) -> None:
    connection = connect_service(server)
    assert account(connection) == "client plant" == account(connection)
    assert server.journal() == {"client_credentials": 1}
    server.expire()
    assert account(connection) == "client plant"
    assert server.journal() == {"client_credentials": 2}


def test_session_when_it_ends_then_there_is_one_sign_in(server: OAuthServer) -> None:
    connection = connect_session(server)
    assert account(connection) == "integration" == account(connection)
    assert server.journal() == {"session": 1}
    server.expire()
    assert account(connection) == "integration"
    assert server.journal() == {"session": 2}


def test_session_when_the_password_changes_then_the_old_session_is_not_used(server: OAuthServer) -> None:
    connection = connect_session(server)
    account(connection)
    with scope(workspace=connection.workspace_id):
        store_secrets(connection, {"password": "wrong"})
    with pytest.raises(AuthError, match="user name and password"):
        account(connection)
    sync = sync_of(connection)
    assert run_sync(sync).status == "failed" and health_of(connection) == ConnectionStatus.NEEDS_REAUTH


def test_session_when_the_password_was_replaced_meanwhile_then_the_new_one_is_read(server: OAuthServer) -> None:
    connection = connect_session(server)
    with scope(workspace=connection.workspace_id):
        store_secrets(connection, {"password": "wrong"})
    with open_connector(connection) as connector:
        with scope(workspace=connection.workspace_id):
            store_secrets(connection, {"password": server.password})
        assert connector.check().account == "integration"


# --- what is kept from whom -----------------------------------------------------------------------------------------


def test_grant_when_the_address_changes_then_no_token_goes_there(server: OAuthServer) -> None:
    connection = connect(server)
    elsewhere = Peer(lambda received, sock: False)
    try:
        with scope(workspace=connection.workspace_id):
            Connection.objects.filter(pk=connection.pk).update(
                config={"base_url": f"http://{LOOPBACK}:{elsewhere.port}"}
            )
        with pytest.raises(AuthError) as caught:
            account(connection)
        assert caught.value.code == "SIGN_IN_NEEDED" and elsewhere.accepted == 0
    finally:
        elsewhere.stop()


def test_grant_when_disconnected_then_it_is_gone(server: OAuthServer) -> None:
    connection = connect(server)
    disconnect_connection(connection, by="test")
    with scopes_disabled():
        assert not Grant.objects.filter(connection_id=connection.pk).exists()


def test_calls_when_tokens_are_exchanged_then_the_log_shows_none_of_them(server: OAuthServer) -> None:
    connection, issued = connect(server), None
    let_token_end(connection)
    calls = CallLog(connection)
    with open_connector(connection, on_call=calls) as connector:
        connector.check()
        issued = connector.settings.tokens.current()  # type: ignore[union-attr]
    calls.save(triggered_by="test")
    with scopes_disabled():
        kept: list[Any] = list(UpstreamCall.objects.filter(connection_id=connection.pk).values())
    assert len(kept) == 2 and any("/o/token/" in row["url"] for row in kept)
    shown = repr(kept)
    for secret in (issued, server.client_secret):
        assert secret not in shown
    assert "refresh_token" in shown
