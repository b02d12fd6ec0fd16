"""Tokens written straight to where they belong: nothing of them is printed, and none is lost or left behind."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection as database
from django_scopes import scope, scopes_disabled

from core import ids
from core.errors import ConfigError, ConflictError
from core.secret_stores.errors import StoreDownError
from tests.tenants import api, make_token, make_workspace
from workspaces import tokens
from workspaces.models import ApiToken, AuditEvent, Workspace
from workspaces.tokens import keeping

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "token"


def run(*arguments: str) -> tuple[str, str]:
    """What a command said on standard output and beside it."""
    output, beside = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=output, stderr=beside)
    return output.getvalue(), beside.getvalue()


def status_of(clear: str) -> int:
    return api(clear).get("/api/v1/tokens").status_code


def rows() -> list[ApiToken]:
    with scopes_disabled():
        return list(ApiToken.objects.order_by("pk"))


def fake(monkeypatch: Any, write: Callable[[str, str], str]) -> None:
    """A secrets manager that does as told."""
    monkeypatch.setattr("workspaces.tokens.making.check_target", lambda _: None)
    monkeypatch.setattr("workspaces.tokens.rotating.check_target", lambda _: None)
    monkeypatch.setattr(keeping, "write_secret", write)


def refuse(*_: str) -> str:
    raise ConfigError("The store refuses.")


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["plain", "json"])
def test_create_token_to_a_file_prints_nothing_of_it(workspace: Workspace, target: Path, as_json: list[str]) -> None:
    output, beside = run("create_token", workspace.slug, "ci", "--all-scopes", "--to", f"file:{target}", *as_json)

    clear = target.read_text()
    (token,) = rows()
    assert status_of(clear) == 200 and target.stat().st_mode & 0o777 == 0o600
    assert token.key not in output + beside and clear not in output + beside and str(target) in output
    assert str(target) in token.kept_at and token.revoked_at is None
    if as_json:
        assert json.loads(output)["kept_at"] == token.kept_at
    with scopes_disabled():
        (event,) = AuditEvent.objects.filter(action="token.created")
    assert event.actor_kind == "command" and event.details["kept_at"] == token.kept_at


def test_rotate_token_to_a_file_replaces_it_there(workspace: Workspace, target: Path) -> None:
    run("create_token", workspace.slug, "ci", "--all-scopes", "--to", f"file:{target}")
    old, old_clear = rows()[0], target.read_text()

    output, beside = run("rotate_token", f"lsh_live_{old.key}_", "--overlap", "1h", "--to", f"file:{target}")

    clear = target.read_text()
    assert clear != old_clear and clear not in output + beside
    assert (status_of(old_clear), status_of(clear)) == (200, 200)
    ended, new = rows()
    assert ended.expires_at is not None and new.replaces_id == ended.pk and "works until" in beside


@pytest.mark.parametrize(("overlap", "after"), [("0", 401), ("7d", 200)])
def test_rotate_token_prints_the_new_one_alone(workspace: Workspace, overlap: str, after: int) -> None:
    old, clear = make_token(workspace)

    output, beside = run("rotate_token", str(ids.show("tok", old.pk)), "--overlap", overlap)

    assert (status_of(output.strip()), status_of(clear)) == (200, after)
    assert output.strip() not in beside
    with pytest.raises(CommandError, match="rotated already"):
        run("rotate_token", old.key, "--overlap", overlap)


@pytest.mark.parametrize("arguments", [["tok_nonsense", "--overlap", "1h"], ["{key}"], ["{key}", "--overlap", "2h"]])
def test_rotate_token_when_an_argument_is_wrong_says_so(workspace: Workspace, arguments: list[str]) -> None:
    token, _ = make_token(workspace)

    with pytest.raises(CommandError):
        run("rotate_token", *(argument.format(key=token.key) for argument in arguments))
    assert rows()[0].expires_at is None


def test_create_token_when_the_target_cannot_be_written_makes_none(workspace: Workspace, target: Path) -> None:
    for wrong in (f"file:{target}/below", "file:relative", "ftp:x"):
        with pytest.raises(CommandError):
            run("create_token", workspace.slug, "ci", "--all-scopes", "--to", wrong)
    assert rows() == [] and not target.exists()


def test_create_token_when_writing_fails_leaves_no_token_behind(workspace: Workspace, monkeypatch: Any) -> None:
    fake(monkeypatch, refuse)

    with pytest.raises(CommandError, match="The store refuses"):
        run("create_token", workspace.slug, "ci", "--all-scopes", "--to", "vault:kv/x#token")
    assert rows() == []
    with scopes_disabled():
        assert not AuditEvent.objects.exists()


def test_rotate_token_when_the_store_does_not_answer_says_that_the_token_may_have_arrived(
    workspace: Workspace, monkeypatch: Any
) -> None:
    def time_out(*_: str) -> str:
        raise StoreDownError("Vault does not answer in time. It is asked again.")

    old, clear = make_token(workspace)
    fake(monkeypatch, time_out)
    with pytest.raises(CommandError, match="may hold a token now that opens nothing"):
        run("rotate_token", old.key, "--overlap", "0", "--to", "vault:kv/x#token")
    assert len(rows()) == 1 and status_of(clear) == 200


def test_token_is_of_no_use_before_it_is_written(workspace: Workspace, monkeypatch: Any) -> None:
    seen = []

    def write(_: str, clear: str) -> str:
        seen.append((clear, status_of(clear)))
        return "vault:kv/x#token (version 1)"

    fake(monkeypatch, write)
    run("create_token", workspace.slug, "ci", "--all-scopes", "--to", "vault:kv/x#token")
    old = rows()[0]
    run("rotate_token", old.key, "--overlap", "0", "--to", "vault:kv/x#token")

    assert [status for _, status in seen] == [401, 401]
    assert [status_of(clear) for clear, _ in seen] == [401, 200]
    assert rows()[1].kept_at == "vault:kv/x#token (version 1)"


def test_rotate_token_when_writing_fails_changes_nothing_and_works_later(
    workspace: Workspace, monkeypatch: Any
) -> None:
    old, clear = make_token(workspace)
    fake(monkeypatch, refuse)

    with pytest.raises(CommandError, match="The store refuses"):
        run("rotate_token", old.key, "--overlap", "0", "--to", "vault:kv/x#token")

    (left,) = rows()
    assert (left.pk, left.expires_at, left.revoked_at) == (old.pk, None, None) and status_of(clear) == 200
    fake(monkeypatch, lambda *_: "vault:kv/x#token")
    run("rotate_token", old.key, "--overlap", "0", "--to", "vault:kv/x#token")
    assert status_of(clear) == 401


def test_rotate_token_when_revoked_while_it_is_written_makes_none(workspace: Workspace, monkeypatch: Any) -> None:
    old, clear = make_token(workspace)
    written = []

    def write(_: str, new: str) -> str:
        written.append(new)
        with scope(workspace=workspace.pk):
            tokens.revoke_token(token=old)
        return "vault:kv/x#token"

    fake(monkeypatch, write)
    with pytest.raises(CommandError, match=r"revoked.* vault:kv/x#token holds a token now that opens nothing"):
        run("rotate_token", old.key, "--overlap", "7d", "--to", "vault:kv/x#token")

    assert len(rows()) == 1 and [status_of(clear), status_of(written[0])] == [401, 401]


@pytest.mark.django_db(transaction=True)
def test_rotate_while_another_writes_to_a_target_is_a_conflict(workspace: Workspace, monkeypatch: Any) -> None:
    old, _ = make_token(workspace)
    writing, go_on = threading.Event(), threading.Event()

    def write(*_: str) -> str:
        writing.set()
        assert go_on.wait(10)
        return "vault:kv/x#token"

    def rotate() -> None:
        try:
            run("rotate_token", old.key, "--overlap", "1h", "--to", "vault:kv/x#token")
        finally:
            database.close()

    fake(monkeypatch, write)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(rotate)
        try:
            assert writing.wait(10)
            with scope(workspace=workspace.pk), pytest.raises(ConflictError) as caught:
                tokens.rotate_token(token=old, overlap_seconds=0, by="test")
            assert caught.value.code == "TOKEN_ALREADY_ROTATED"
        finally:
            go_on.set()
        first.result(timeout=10)
    assert [row.replaces_id for row in rows()] == [None, old.pk]
