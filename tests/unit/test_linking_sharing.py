"""What a customer shares at the end of Link, and the code that gives the token of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from connections.models import Connection, LinkSession
from connections.services import disconnect_connection, linking
from core.errors import LineshaftError, ValidationFailedError
from tests.connectors import erp_connector, erp_server  # noqa: F401
from tests.linking_stage import audited, erp, finished, inside, refused, signed_in, workspace  # noqa: F401
from tests.tenants import make_workspace
from workspaces.models import ApiToken

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("erp_connector")]


# --- what is shared ---------------------------------------------------------------------------------------------------


def test_finish_when_nothing_is_shared_then_it_is_refused(workspace, erp):
    session = signed_in(workspace, erp)
    refused("LINK_NOTHING_SHARED", linking.finish, session, shared={}, passthrough=False, renew=False)


@pytest.mark.parametrize(
    "shared", [{"vendor": "read_write"}, {"purchase_order": "read"}, {"asset": "read"}, {"vendor": "all"}]
)
def test_finish_when_more_is_shared_than_asked_for_then_it_is_refused(workspace, erp, shared):
    session = signed_in(workspace, erp, entities={"vendor": "read"})
    with pytest.raises(ValidationFailedError):
        linking.finish(session, shared=shared, passthrough=False, renew=False)
    assert not Connection.objects.exists()


@pytest.mark.parametrize(("asked", "given", "shared"), [(True, True, True), (True, False, False), (False, True, False)])
def test_finish_when_raw_calls_then_they_are_shared_only_if_asked_for(workspace, erp, asked, given, shared):
    connection, _ = finished(signed_in(workspace, erp, passthrough=asked), passthrough=given)
    assert connection.passthrough_shared is shared


# --- the code ---------------------------------------------------------------------------------------------------------


def test_exchange_when_used_twice_then_the_second_is_refused_and_on_record(workspace, erp):
    _, done = finished(signed_in(workspace, erp))
    linking.exchange(done.code, workspace=workspace, environment="live", created_by="b")

    error = refused("CODE_USED", linking.exchange, done.code, workspace=workspace, environment="live", created_by="b")

    assert error.http_status == 409 and ApiToken.objects.count() == 1
    assert [event.details["reason"] for event in audited("link.refused")] == ["CODE_USED"]


def test_exchange_when_it_is_late_then_it_is_refused(workspace, erp):
    _, done = finished(signed_in(workspace, erp))
    LinkSession.objects.update(code_expires_at=Now() - timedelta(seconds=1))
    refused("CODE_EXPIRED", linking.exchange, done.code, workspace=workspace, environment="live", created_by="b")
    assert not ApiToken.objects.exists()


def test_exchange_when_it_is_foreign_then_there_is_no_such_code(workspace, erp):
    _, done = finished(signed_in(workspace, erp))
    stranger = make_workspace("other")
    for owner, environment, code in (
        (stranger, "live", done.code), (workspace, "test", done.code), (workspace, "live", done.code[:-1]),
    ):  # fmt: skip
        error = refused(
            "CODE_UNKNOWN", linking.exchange, code, workspace=owner, environment=environment, created_by="b"
        )
        assert error.http_status == 404
    assert linking.exchange(done.code, workspace=workspace, environment="live", created_by="b")


def test_exchange_when_reading_alone_is_shared_then_so_is_the_token(workspace, erp):
    _, done = finished(signed_in(workspace, erp), shared={"vendor": "read"})
    _, token, _ = linking.exchange(done.code, workspace=workspace, environment="live", created_by="b")
    assert "records:write" not in token.scopes and not any(scope.startswith("passthrough") for scope in token.scopes)


def test_exchange_when_the_caller_may_less_then_the_token_may_no_more(workspace, erp):
    _, done = finished(signed_in(workspace, erp))
    _, token, _ = linking.exchange(
        done.code, workspace=workspace, environment="live", within=["connections:write", "records:read"], created_by="b"
    )
    assert token.scopes == ["connections:read", "records:read"]


def test_exchange_when_raw_calls_are_not_shared_then_their_scopes_are_refused(workspace, erp):
    _, done = finished(signed_in(workspace, erp))
    wanted = {"workspace": workspace, "environment": "live", "created_by": "b"}
    with pytest.raises(ValidationFailedError):
        linking.exchange(done.code, scopes=["passthrough:read"], **wanted)
    assert linking.exchange(done.code, scopes=["records:read"], **wanted)[1].scopes == ["records:read"]


def test_exchange_when_the_connection_was_ended_then_no_token_is_made(workspace, erp):
    connection, done = finished(signed_in(workspace, erp))
    disconnect_connection(connection, by="me")
    with pytest.raises(LineshaftError):
        linking.exchange(done.code, workspace=workspace, environment="live", created_by="b")
    assert not ApiToken.objects.exists()
