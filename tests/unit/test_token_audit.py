"""What is written down about tokens: made, ended, and used where they may not be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError
from django.db import connection as database
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from core import ids
from core.api_errors import NotAuthenticatedError
from tests.tenants import api, make_person, make_token, make_workspace
from workspaces import tokens
from workspaces.models import ApiToken, AuditEvent, Workspace
from workspaces.tokens import refusals

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]
TOKENS = "/api/v1/tokens"


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


def events(action: str) -> list[AuditEvent]:
    with scopes_disabled():
        return list(AuditEvent.objects.filter(action=action).order_by("pk"))


def change(token: ApiToken, **values: Any) -> None:
    with scopes_disabled():
        ApiToken.objects.filter(pk=token.pk).update(**values)


def test_making_and_revoking_are_events_by_who_asked(workspace: Workspace) -> None:
    maker, clear = make_token(workspace)
    body = {"name": "new", "scopes": ["records:read"]}
    made = (
        api(clear).post(TOKENS, body, content_type="application/json", headers={"X-Request-Id": "req-of-test"}).json()
    )
    for _ in range(2):
        api(clear).post(f"{TOKENS}/{made['id']}/revoke")

    created, (revoked,) = events("token.created")[-1], events("token.revoked")
    for event in (created, revoked):
        assert (event.object_type, event.object_id, event.outcome) == ("token", made["id"], "done")
        assert (event.actor_kind, event.token_id, event.address) == ("token", maker.pk, "127.0.0.1")
        assert event.workspace_id == workspace.pk and event.details["name"] == "new"
    assert created.request_id == "req-of-test" and created.details["scopes"] == ["records:read"]
    assert made["token"][-38:] not in str(created.details)


def test_tokens_of_an_ended_connection_are_an_event_each(workspace: Workspace) -> None:
    connection_id = uuid4()
    made = [make_token(workspace, connection_id=connection_id)[0] for _ in range(2)]

    with scope(workspace=workspace.pk):
        assert tokens.revoke_connection_tokens(connection_id=connection_id) == 2
        assert tokens.revoke_connection_tokens(connection_id=connection_id) == 0
    assert {event.object_id for event in events("token.revoked")} == {ids.show("tok", token.pk) for token in made}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"revoked_at": timezone.now()}, "revoked"),
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "expired"),
    ],
)
def test_use_of_an_ended_token_is_an_event_at_most_once_a_minute(
    workspace: Workspace, values: dict[str, Any], reason: str
) -> None:
    token, clear = make_token(workspace)
    change(token, **values)

    statuses = {api(clear).get(TOKENS, headers={"X-Request-Id": f"req-{n}-of-test"}).status_code for n in range(5)}

    (event,) = events("token.refused")
    assert statuses == {401} and event.details == {"name": "service", "reason": reason}
    shown = ids.show("tok", token.pk)
    assert (event.actor_kind, event.actor, event.token_id) == ("token", f"token {shown}", token.pk)
    assert (event.address, event.request_id, event.outcome) == ("127.0.0.1", "req-0-of-test", "refused")


def test_use_of_an_ended_token_is_told_again_in_the_next_minute(workspace: Workspace, monkeypatch: Any) -> None:
    token, clear = make_token(workspace)
    change(token, revoked_at=timezone.now())
    api(clear).get(TOKENS)

    monkeypatch.setattr(refusals, "RESOLUTION", timedelta(0))
    api(clear).get(TOKENS)
    assert len(events("token.refused")) == 2


def test_token_of_a_person_who_left_is_told_with_the_reason(workspace: Workspace) -> None:
    _, clear = make_token(workspace, person_id=make_person().pk)

    assert api(clear).get(TOKENS).status_code == 401
    assert "no member" in events("token.refused")[0].details["reason"]


def test_use_from_a_foreign_network_or_browser_is_an_event(workspace: Workspace) -> None:
    away, away_clear = make_token(workspace, allowed_networks=["10.0.0.0/8"])
    token, clear = make_token(workspace)
    for _ in range(2):
        assert api(away_clear).get(TOKENS).status_code == 403
        assert api(clear).get(TOKENS, headers={"Origin": "https://evil.example"}).status_code == 403

    (by_network,), (by_browser,) = events("token.network_refused"), events("token.browser_refused")
    assert (by_network.token_id, by_browser.token_id) == (away.pk, token.pk)
    assert {event.outcome for event in (by_network, by_browser)} == {"refused"}
    assert events("token.refused") == []


@pytest.mark.parametrize("address", ["unix:", "", None, "2001:db8::7", "::ffff:203.0.113.9"])
def test_whatever_the_address_looks_like_the_refusal_stands(workspace: Workspace, address: str | None) -> None:
    token, clear = make_token(workspace)
    change(token, revoked_at=timezone.now())

    with pytest.raises(NotAuthenticatedError):
        tokens.authenticate(clear, address=address)
    found = events("token.refused")[0].address
    assert found == {"2001:db8::7": "2001:db8::7", "::ffff:203.0.113.9": "203.0.113.9"}.get(address or "")


def test_who_knows_no_secret_writes_no_event(workspace: Workspace) -> None:
    token, clear = make_token(workspace)
    change(token, revoked_at=timezone.now())
    forged = clear[:-10] + ("aaaa" if clear[-10:-6] != "aaaa" else "bbbb")

    api(forged + tokens.checksum(forged)).get(TOKENS)
    api(f"lsh_live_{'x' * 12}_{'x' * 38}").get(TOKENS)
    assert events("token.refused") == []


def test_when_the_event_cannot_be_written_the_answer_is_the_same(workspace: Workspace, monkeypatch: Any) -> None:
    token, clear = make_token(workspace)
    change(token, revoked_at=timezone.now())

    def fail(*_: Any, **__: Any) -> None:
        raise DatabaseError("the audit log is not writable")

    monkeypatch.setattr("workspaces.audit.record", fail)
    assert api(clear).get(TOKENS).status_code == 401
    with database.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.django_db(transaction=True)
def test_many_refused_uses_at_once_are_one_event(workspace: Workspace) -> None:
    token, clear = make_token(workspace)
    change(token, revoked_at=timezone.now())

    def use(_: int) -> int:
        try:
            return api(clear).get(TOKENS).status_code
        finally:
            database.close()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(use, range(12))) == {401}
    assert len(events("token.refused")) == 1
