"""Tokens: their form, what is kept of them, and every reason to refuse one."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import structlog
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_scopes import ScopeError, scope, scopes_disabled

from core.api_errors import ForbiddenError, NotAuthenticatedError
from core.errors import ValidationFailedError
from core.redaction import redact_text
from tests.tenants import api, make_token, make_workspace
from workspaces import tokens
from workspaces.models import ApiToken

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]


def refusal(clear: str, address: str | None = None) -> str:
    """Why a token is refused, as the log says it. The caller always hears the same."""
    with pytest.raises(NotAuthenticatedError) as caught:
        tokens.authenticate(clear, address=address)
    assert caught.value.detail == tokens.REFUSED
    return caught.value.log_detail


def altered(clear: str, position: int) -> str:
    return clear[:position] + ("a" if clear[position] != "a" else "b") + clear[position + 1 :]


def with_new_checksum(clear: str) -> str:
    return clear[:-6] + tokens.checksum(clear[:-6])


@pytest.mark.parametrize("environment", ["live", "test"])
def test_create_token_gives_a_token_that_scanners_can_recognise(environment: str) -> None:
    token, clear = make_token(make_workspace(), environment=environment)

    prefix, shown_environment, key, rest = clear.split("_")
    assert (prefix, shown_environment, key) == ("lsh", environment, token.key)
    assert len(rest) == 32 + 6 and rest.isalnum()
    number = 0
    for character in rest[-6:]:
        number = number * 62 + tokens.BASE62.index(character)
    assert number == zlib.crc32(clear[:-6].encode())
    assert rest not in redact_text(f"GET / {clear} failed"), "the log cuts it"


def test_create_token_keeps_no_secret() -> None:
    token, clear = make_token(make_workspace())

    with database.cursor() as cursor:
        cursor.execute("SELECT row_to_json(t)::text FROM workspaces_apitoken t WHERE id = %s", [token.pk])
        (row,) = cursor.fetchone()
    secret = clear.split("_")[3]
    assert secret not in row and secret[:32] not in row
    assert len(bytes(token.digest)) == 32


def test_authenticate_when_valid_answers_the_row() -> None:
    workspace = make_workspace()
    token, clear = make_token(workspace)

    assert tokens.authenticate(clear, address=None).pk == token.pk


def test_authenticate_when_the_pepper_changed_refuses(settings: Any) -> None:
    _, clear = make_token(make_workspace())
    settings.TOKEN_PEPPER = "another " * 8

    assert "wrong secret" in refusal(clear)


@pytest.mark.parametrize("position", [-1, -7, 10], ids=["checksum", "secret", "key"])
def test_authenticate_when_a_character_is_wrong_asks_no_database(position: int) -> None:
    _, clear = make_token(make_workspace())

    with CaptureQueriesContext(database) as queries:
        assert refusal(altered(clear, position % len(clear))) == "token has a wrong checksum"
    assert len(queries) == 0


@pytest.mark.parametrize(
    "clear", ["", "lsh_live_x", "x" * 9000, "lsh_live_éé", "lsh_prod_" + "a" * 12 + "_" + "a" * 38]
)
def test_authenticate_when_it_is_no_token_asks_no_database(clear: str) -> None:
    with CaptureQueriesContext(database) as queries:
        assert refusal(clear) == "token is malformed"
    assert len(queries) == 0


def test_authenticate_when_forged_refuses() -> None:
    _, clear = make_token(make_workspace())

    assert "wrong secret" in refusal(with_new_checksum(altered(clear, -10 % len(clear))))
    assert refusal(with_new_checksum(altered(clear, 10))) == "token is unknown"
    assert "wrong secret" in refusal(with_new_checksum(clear.replace("_live_", "_test_")))


def test_authenticate_when_expired_refuses() -> None:
    token, clear = make_token(make_workspace(), expires_at=timezone.now() + timedelta(days=1))
    tokens.authenticate(clear, address=None)
    with scopes_disabled():
        ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert refusal(clear) == f"token {token.pk} is expired"


def test_revoke_token_is_effective_on_the_next_request_and_happens_once() -> None:
    workspace = make_workspace()
    token, clear = make_token(workspace)
    client = api(clear)
    assert client.get("/api/v1/tokens").status_code == 200

    with scope(workspace=workspace.pk):
        assert tokens.revoke_token(token=token) is True
        first = token.revoked_at
        assert tokens.revoke_token(token=token) is False
    assert token.revoked_at == first
    assert client.get("/api/v1/tokens").status_code == 401
    assert refusal(clear) == f"token {token.pk} is revoked"


def test_revoke_connection_tokens_leaves_all_others() -> None:
    workspace, connection_id = make_workspace(), uuid4()
    _, mine = make_token(workspace, connection_id=connection_id)
    _, other = make_token(workspace)

    with scope(workspace=workspace.pk):
        assert tokens.revoke_connection_tokens(connection_id=connection_id) == 1
    assert "revoked" in refusal(mine)
    tokens.authenticate(other, address=None)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("203.0.113.9", True),
        ("::ffff:203.0.113.9", True),
        ("2001:db8::7", True),
        ("203.0.114.9", False),
        (None, False),
        ("unix:", False),
    ],
)
def test_authenticate_by_network(address: str | None, allowed: bool) -> None:
    _, clear = make_token(make_workspace(), allowed_networks=["203.0.113.0/24", "2001:db8::/32"])

    if allowed:
        tokens.authenticate(clear, address=address)
    else:
        with pytest.raises(ForbiddenError) as caught:
            tokens.authenticate(clear, address=address)
        assert caught.value.code == "NETWORK_NOT_ALLOWED"


def test_network_is_judged_by_the_proxys_word_only_behind_a_proxy(settings: Any) -> None:
    _, clear = make_token(make_workspace(), allowed_networks=["203.0.113.0/24"])
    forged = {"X-Forwarded-For": "203.0.113.9"}
    assert api(clear).get("/api/v1/tokens", headers=forged).status_code == 403

    settings.TRUSTED_PROXY_COUNT = 1
    assert api(clear).get("/api/v1/tokens", headers=forged).status_code == 200
    behind = {"X-Forwarded-For": "203.0.113.9, 198.51.100.1"}
    assert api(clear).get("/api/v1/tokens", headers=behind).status_code == 403
    assert api(clear).get("/api/v1/tokens").status_code == 403


def test_last_used_at_is_written_once_a_minute() -> None:
    token, clear = make_token(make_workspace())

    with CaptureQueriesContext(database) as first:
        tokens.authenticate(clear, address=None)
    with CaptureQueriesContext(database) as second:
        tokens.authenticate(clear, address=None)
    assert [len(first), len(second)] == [2, 1]
    assert second[0]["sql"].startswith("SELECT")

    with scopes_disabled():
        ApiToken.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    tokens.authenticate(clear, address=None)
    token.refresh_from_db()
    assert token.last_used_at is not None and timezone.now() - token.last_used_at < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("facts", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["everything"]}, "/scopes"),
        ({"name": "  "}, "/name"),
        ({"environment": "staging"}, "/environment"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "/expires_at"),
        ({"allowed_networks": ["10.0.0.0/8", "10.0.0.1/8"]}, "/allowed_networks/1"),
        ({"allowed_networks": ["10.0.0.0/8"] * 51}, "/allowed_networks"),
    ],
)
def test_create_token_when_a_value_is_wrong_names_it(facts: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        make_token(make_workspace(), **facts)

    assert [error.pointer for error in caught.value.errors] == [pointer]


@pytest.mark.parametrize(
    ("held", "needed", "granted"),
    [
        (["syncs:write"], "syncs:read", True),
        (["syncs:read"], "syncs:write", False),
        (["syncs:write"], "records:read", False),
        (["records:read"], "records:read", True),
        ([], "records:read", False),
    ],
)
def test_grants(held: list[str], needed: str, granted: bool) -> None:
    assert tokens.grants(held, needed) is granted


def test_tokens_without_a_scope_raise() -> None:
    with pytest.raises(ScopeError):
        ApiToken.objects.count()


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """All that is logged, before secrets are cut, whatever level another test or a command in this process has left."""
    before, capture = structlog.get_config(), structlog.testing.LogCapture()
    structlog.configure(
        **{**before, "processors": [capture], "wrapper_class": structlog.make_filtering_bound_logger(0)}
    )
    yield capture.entries
    structlog.configure(**before)


def test_nothing_of_a_token_reaches_the_log(lines: list[Any]) -> None:
    _, clear = make_token(make_workspace())

    api(clear).get("/api/v1/tokens")
    api(clear[:-1] + ("y" if clear[-1] == "x" else "x")).get("/api/v1/tokens")
    assert [line["status"] for line in lines if line["event"] == "request"] == [200, 401]
    assert clear.split("_")[3][:20] not in str(lines)
