"""The three secrets managers over HTTP, through their vendors' clients: read, rotated, denied, down, slow, written to."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from django_scopes import scopes_disabled

from connections.services import update_connection
from core.errors import ConfigError, ConflictError, TransientError, ValidationFailedError
from core.secret_stores import aws, clients, reading
from core.secret_stores.errors import StoreDeniedError, StoreDownError, StoreMissingError, StoreSetupError
from core.secret_stores.reading import read_secret
from core.secret_stores.references import parse
from core.secret_stores.targets import check_target, write_secret
from tests.connectors import API_KEY, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.stores import azure as azure_server
from tests.stores import vault as vault_server
from tests.stores.aws import ACCOUNT, REGION, Moto
from tests.stores.kit import Store, each_store, moto, use_key_vault, use_moto  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import make_workspace
from workspaces.models import SecretPrefix

FIRST, SECOND, THIRD = "canary-first-8c1f", "canary-second-77aa", "canary-third-03be"


def test_read_secret_when_it_is_there_answers_it(each_store: Store) -> None:
    each_store.put(FIRST)
    assert read_secret(each_store.reference) == FIRST


def test_read_secret_when_rotated_answers_the_new_one_after_the_cache_time_or_when_asked_afresh(
    each_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("core.secret_stores.cache.time.monotonic", lambda: clock[0])
    each_store.put(FIRST)
    assert read_secret(each_store.reference) == FIRST
    each_store.put(SECOND)
    clock[0] += 29
    assert read_secret(each_store.reference) == FIRST
    assert read_secret(each_store.reference, fresh=True) == SECOND
    each_store.put(THIRD)
    assert read_secret(each_store.reference) == SECOND
    clock[0] += 31
    assert read_secret(each_store.reference) == THIRD


def test_read_secret_when_denied_says_who_must_act_and_keeps_nothing(each_store: Store) -> None:
    each_store.put(FIRST)
    read_secret(each_store.reference)
    each_store.deny()
    with pytest.raises(StoreDeniedError) as caught:
        read_secret(each_store.reference, fresh=True)
    assert isinstance(caught.value, ConfigError) and str(each_store.reference) in caught.value.detail
    with pytest.raises(StoreDeniedError):
        read_secret(each_store.reference, cache_seconds=3600)


def test_read_secret_when_down_is_transient_and_old_answers_serve_only_as_long_as_allowed(each_store: Store) -> None:
    each_store.put(FIRST)
    read_secret(each_store.reference)
    each_store.stop()
    with pytest.raises(StoreDownError) as caught:
        read_secret(each_store.reference, cache_seconds=0)
    assert isinstance(caught.value, TransientError) and str(each_store.reference) in caught.value.detail
    assert read_secret(each_store.reference, cache_seconds=0, stale_seconds=600) == FIRST
    with pytest.raises(StoreDownError):
        read_secret(each_store.reference, cache_seconds=0, stale_seconds=600, fresh=True)


def test_read_secret_when_slow_gives_up_at_the_time_limit_and_asks_only_once(each_store: Store) -> None:
    each_store.put(FIRST)
    read_secret(each_store.reference)
    each_store.fall_silent()
    began = time.monotonic()
    with pytest.raises(StoreDownError):
        read_secret(each_store.reference, fresh=True)
    assert time.monotonic() - began < 5


def test_read_secret_when_there_is_none_says_so(each_store: Store) -> None:
    with pytest.raises(StoreMissingError) as caught:
        read_secret(each_store.reference)
    assert str(each_store.reference) in caught.value.detail


def test_write_secret_when_there_is_none_or_one_makes_a_version_that_is_read_at_once(each_store: Store) -> None:
    check_target(each_store.target)
    assert write_secret(each_store.target, FIRST).startswith(f"{each_store.target} (version ")
    assert read_secret(each_store.reference) == FIRST
    check_target(each_store.target)
    write_secret(each_store.target, SECOND)
    assert read_secret(each_store.reference) == SECOND


def test_write_secret_when_denied_down_or_slow_raises_the_same_errors(each_store: Store) -> None:
    each_store.deny()
    with pytest.raises(StoreDeniedError):
        write_secret(each_store.target, FIRST)
    each_store.fall_silent()
    with pytest.raises(StoreDownError):
        write_secret(each_store.target, FIRST)
    with pytest.raises(StoreDownError):
        check_target(each_store.target)


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_logs_and_errors_when_secrets_are_read_and_written_hold_none(
    each_store: Store, level: int, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """With our levels of the clients' loggers, at any level of ours."""
    caplog.set_level(level)
    each_store.put(FIRST)
    read_secret(each_store.reference)
    write_secret(each_store.target, SECOND)
    each_store.deny()
    with pytest.raises(StoreDeniedError) as caught:
        read_secret(each_store.reference, fresh=True)
    told = "".join(
        [caplog.text, *capfd.readouterr(), repr(caught.value), caught.value.log_detail, repr(reading._cache)]
    )
    assert not [secret for secret in (FIRST, SECOND) if secret in told]


def test_load_when_a_client_is_not_installed_names_the_extra() -> None:
    with pytest.raises(StoreSetupError, match=r"lineshaft\[vault\]"):
        clients.load("no_such_client", extra="vault")


# --- Vault


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch):
    reading.forget()
    with vault_server.running_vault() as server:
        monkeypatch.setenv("VAULT_ADDR", server.address)
        monkeypatch.setenv("VAULT_TOKEN", vault_server.ROOT)
        monkeypatch.setattr(reading, "PAUSE_SECONDS", 0.01)
        yield server
        reading.forget()


def test_vault_write_when_others_write_meanwhile_loses_neither(vault: vault_server.Vault) -> None:
    vault.put("kv/acme/tokens", other="kept", token="old")
    vault.before_write = lambda: vault.put("kv/acme/tokens", other="changed meanwhile", token="old", third="new")
    assert write_secret("vault:kv/acme/tokens#token", FIRST) == "vault:kv/acme/tokens#token (version 3)"
    assert vault.secrets["kv/acme/tokens"][-1] == {"other": "changed meanwhile", "third": "new", "token": FIRST}


def test_vault_write_when_the_newest_version_was_deleted_makes_the_next(vault: vault_server.Vault) -> None:
    vault.put("kv/acme/tokens", token="old")
    vault.delete("kv/acme/tokens")
    with pytest.raises(StoreMissingError):
        read_secret(parse("vault:kv/acme/tokens#token"))
    assert write_secret("vault:kv/acme/tokens#token", FIRST).endswith("(version 2)")
    assert read_secret(parse("vault:kv/acme/tokens#token")) == FIRST


def test_vault_write_when_others_never_stop_gives_up_with_a_conflict(
    vault: vault_server.Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again() -> None:
        vault.put("kv/busy", token="theirs")
        vault.before_write = again

    vault.before_write = again
    with pytest.raises(ConflictError):
        write_secret("vault:kv/busy#token", FIRST)


def test_vault_check_when_the_policy_allows_no_writing_says_what_is_missing(vault: vault_server.Vault) -> None:
    vault.mode = "denied"
    with pytest.raises(StoreDeniedError, match="allow deny on kv/data/acme/erp"):
        check_target("vault:kv/acme/erp#token")


def test_vault_when_signing_in_as_a_role_keeps_the_token_and_signs_in_again_when_it_ended(
    vault: vault_server.Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("VAULT_ROLE_ID", vault_server.ROLE_ID)
    monkeypatch.setenv("VAULT_SECRET_ID", vault_server.SECRET_ID)
    vault.put("kv/acme/erp", password=FIRST)
    for _ in range(2):
        assert read_secret(parse("vault:kv/acme/erp#password"), fresh=True) == FIRST
    assert vault.sign_ins == 1
    vault.tokens.clear()
    assert read_secret(parse("vault:kv/acme/erp#password"), fresh=True) == FIRST
    assert vault.sign_ins == 2


def test_vault_when_the_role_is_refused_says_denied(vault: vault_server.Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("VAULT_ROLE_ID", vault_server.ROLE_ID)
    monkeypatch.setenv("VAULT_SECRET_ID", "wrong")
    with pytest.raises(StoreDeniedError) as caught:
        read_secret(parse("vault:kv/acme/erp#password"))
    assert "wrong" not in f"{caught.value.detail}{caught.value.log_detail}"


def test_vault_when_sealed_is_down(vault: vault_server.Vault) -> None:
    vault.mode = "sealed"
    with pytest.raises(StoreDownError, match="sealed"):
        read_secret(parse("vault:kv/acme/erp#password"))
    assert len(vault.peer.received) == 2  # one second chance


def test_vault_when_a_namespace_is_set_sends_it(vault: vault_server.Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.namespace = "plants/north"
    monkeypatch.setenv("VAULT_NAMESPACE", "plants/north")
    vault.put("kv/acme/erp", password=FIRST)
    assert read_secret(parse("vault:kv/acme/erp#password")) == FIRST


@pytest.mark.parametrize("missing", ["VAULT_ADDR", "VAULT_TOKEN"])
def test_vault_when_not_set_up_names_the_variable(
    vault: vault_server.Vault, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    with pytest.raises(StoreSetupError, match=missing):
        read_secret(parse("vault:kv/acme/erp#password"))


# --- AWS


@pytest.fixture
def secrets_manager(moto: Moto, monkeypatch: pytest.MonkeyPatch):
    reading.forget()
    moto.reset()
    use_moto(monkeypatch, moto.address)
    yield moto
    reading.forget()


def test_aws_write_of_a_key_keeps_the_others(secrets_manager: Moto) -> None:
    write_secret("aws-sm:prod/acme/erp#password", FIRST)
    write_secret("aws-sm:prod/acme/erp#user", "lineshaft")
    write_secret("aws-sm:prod/acme/erp#password", SECOND)
    assert read_secret(parse("aws-sm:prod/acme/erp#password")) == SECOND
    assert read_secret(parse("aws-sm:prod/acme/erp#user")) == "lineshaft"


def test_aws_write_of_a_key_when_others_write_meanwhile_loses_neither(
    secrets_manager: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_secret("aws-sm:prod/acme/erp", '{"user": "before"}')
    current, calls = aws._current, list[object]()

    def read_then_change(client, reference):
        found = current(client, reference)
        if not calls:
            calls.append(reference)
            write_secret("aws-sm:prod/acme/erp", '{"user": "changed meanwhile"}')
        return found

    monkeypatch.setattr(aws, "_current", read_then_change)
    write_secret("aws-sm:prod/acme/erp#password", FIRST)
    assert read_secret(parse("aws-sm:prod/acme/erp#password")) == FIRST
    assert read_secret(parse("aws-sm:prod/acme/erp#user")) == "changed meanwhile"


def test_aws_read_by_arn_asks_the_region_of_the_arn(secrets_manager: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    write_secret("aws-sm:prod/acme/erp", FIRST)
    arn = aws._client(parse("aws-sm:x")).describe_secret(SecretId="prod/acme/erp")["ARN"]
    assert arn.startswith(f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod/acme/erp-")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert read_secret(parse(f"aws-sm:{arn}")) == FIRST


def test_aws_read_of_a_key_when_the_secret_is_no_object_or_has_no_such_key_says_so(secrets_manager: Moto) -> None:
    write_secret("aws-sm:plain", FIRST)
    write_secret("aws-sm:object#a", SECOND)
    for reference in ("aws-sm:plain#a", "aws-sm:object#b"):
        with pytest.raises(StoreMissingError) as caught:
            read_secret(parse(reference))
        assert reference in caught.value.detail and FIRST not in repr(caught.value)


def test_aws_check_when_the_secret_is_being_deleted_refuses(secrets_manager: Moto) -> None:
    write_secret("aws-sm:old", FIRST)
    aws._client(parse("aws-sm:old")).delete_secret(SecretId="old")
    with pytest.raises(StoreMissingError, match="scheduled for deletion"):
        check_target("aws-sm:old")
    with pytest.raises(StoreMissingError):
        read_secret(parse("aws-sm:old"), fresh=True)


# --- Azure


@pytest.fixture
def key_vault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    reading.forget()
    with azure_server.running_key_vault(tmp_path) as server:
        use_key_vault(monkeypatch, server)
        monkeypatch.setattr(reading, "PAUSE_SECONDS", 0.01)
        yield server
        reading.forget()


def test_azure_when_signed_in_once_reads_with_the_same_token(key_vault: azure_server.KeyVault) -> None:
    key_vault.put("acme-vault/erp", FIRST)
    for _ in range(3):
        assert read_secret(parse("azure-kv:acme-vault/erp"), fresh=True) == FIRST
    assert len(key_vault.tokens) == 1


def test_azure_when_the_client_secret_is_wrong_says_denied(key_vault: azure_server.KeyVault) -> None:
    key_vault.mode = "unknown"
    with pytest.raises(StoreDeniedError) as caught:
        read_secret(parse("azure-kv:acme-vault/erp"))
    assert azure_server.CLIENT_SECRET not in repr(caught.value)
    with pytest.raises(StoreDeniedError):
        check_target("azure-kv:acme-vault/erp")


def test_azure_check_when_only_writing_may_be_allowed_lets_it_be_tried(key_vault: azure_server.KeyVault) -> None:
    key_vault.mode = "denied"
    check_target("azure-kv:acme-vault/erp")
    with pytest.raises(StoreDeniedError):
        write_secret("azure-kv:acme-vault/erp", FIRST)


def test_azure_when_busy_is_down(key_vault: azure_server.KeyVault) -> None:
    key_vault.mode = "busy"
    with pytest.raises(StoreDownError):
        read_secret(parse("azure-kv:acme-vault/erp"))


def test_azure_when_the_sign_in_is_down_is_down_not_denied(
    key_vault: azure_server.KeyVault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with azure_server.running_key_vault(tmp_path / "..") as other:
        authority = other.authority
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", authority)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(key_vault.authority_file))
    with pytest.raises(StoreDownError):
        read_secret(parse("azure-kv:acme-vault/erp"))


def test_azure_when_the_certificate_is_not_trusted_names_the_variable(
    key_vault: azure_server.KeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(StoreSetupError, match="REQUESTS_CA_BUNDLE"):
        read_secret(parse("azure-kv:acme-vault/erp"))


@pytest.mark.parametrize("target", ["env:LINESHAFT_REF_X", "kv/x", "vault:kv/x", "aws-sm:" + "x" * 300, "azure-kv:a/b"])
def test_write_secret_when_the_target_is_none_refuses_before_any_call(target: str) -> None:
    for act in (lambda: write_secret(target, FIRST), lambda: check_target(target)):
        with pytest.raises(ValidationFailedError) as caught:
            act()
        assert caught.value.code == "TARGET_INVALID"


# --- a connection


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("erp_connector")
def test_connection_when_its_password_is_rotated_in_both_places_goes_on_without_a_person(
    vault: vault_server.Vault, erp_server: TestErpServer
) -> None:
    workspace = make_workspace()
    with scopes_disabled():
        SecretPrefix.objects.create(workspace=workspace, prefix="vault:kv/acme/")
    vault.put("kv/acme/erp", password=API_KEY)
    connection = connect(erp_server, workspace=workspace)
    update_connection(connection, secrets={"api_key": {"ref": "vault:kv/acme/erp#password"}}, by="test")
    erp_server.add_orders(3)
    run_sync(sync_of(connection))

    erp_server.api_key = FIRST
    vault.put("kv/acme/erp", password=FIRST)
    erp_server.add_orders(1)
    run = run_sync(sync_of(connection))

    connection.refresh_from_db()
    assert (run.status, connection.status) == ("completed", "active")
