"""References to secrets managers: how they are written, where they may lead, set by API and on screens, followed at use."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection as database
from django_scopes import scope, scopes_disabled

from connections.models import Connection, Credential
from connections.services import check_connection, update_connection
from connections.services.opening import open_connector
from connections.services.setting_values import clean_secrets
from core.errors import ConfigError, FieldError, ValidationFailedError
from core.secret_stores import reading
from core.secret_stores.cache import Cache
from core.secret_stores.errors import StoreDownError, StoreMissingError
from core.secret_stores.references import check_prefix, is_under, parse
from tests.admin_pages import change, connection_form, html, words
from tests.connectors import API_KEY, SLUG, TestErp, TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.http_peer import always, message, peer
from tests.syncing import run_sync, sync_of
from tests.tenants import api, make_person, make_token, make_workspace, signed_in
from workspaces.models import AuditEvent, SecretPrefix, Workspace
from workspaces.secrets import open_secret, point, seal

REFERENCE, PREFIX = "env:LINESHAFT_REF_ACME_KEY", "env:LINESHAFT_REF_ACME_"
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
ADMIN = "/admin/workspaces/secretprefix/"


@pytest.fixture(autouse=True)
def _nothing_remembered():
    reading.forget()
    yield
    reading.forget()


# --- the grammar


@pytest.mark.parametrize(
    "text",
    [
        "env:LINESHAFT_REF_ACME_KEY",
        "vault:kv/acme/erp#password",
        "vault:kv/acme#api-key",
        "vault:kv/acme/v1.2/erp@north#user.name",
        "aws-sm:prod/acme/erp",
        "aws-sm:prod/acme/erp#password",
        f"aws-sm:{ARN}prod/acme/erp-AbCdEf",
        f"aws-sm:{ARN}erp-AbCdEf#password",
        "azure-kv:acme-vault/erp-password",
    ],
)
def test_parse_when_the_reference_is_well_formed_reads_it_and_writes_it_back(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "password",
        "env:",
        "env:PATH",
        "env:SECRET_KEY",
        "env:LINESHAFT_REF_",
        "env:lineshaft_ref_x",
        "env:LINESHAFT_REF_X#field",
        "env:LINESHAFT_REF_X\n",
        "Vault:kv/acme#x",
        "http://vault/kv#x",
        "vault:kv/acme",
        "vault:kv/acme#",
        "vault:kv#x",
        "vault:/kv/acme#x",
        "vault:kv//acme#x",
        "vault:kv/acme/#x",
        "vault:kv/acme/../other#x",
        "vault:kv/./acme#x",
        "vault:../sys/raw#x",
        "vault:kv/acme%2f..%2fother#x",
        "vault:kv/acme?version=1#x",
        "vault:kv/acme#x#y",
        "vault:kv/ac me#x",
        "vault:kv/acme\x00#x",
        "vault:kv/acme\r\nX-Vault-Token: a#x",
        "vault:kv/büro#x",
        "vault:kv/acme#x\n",
        "vault:kv/" + "a" * 500 + "#x",
        "aws-sm:",
        "aws-sm:/prod/acme",
        "aws-sm:prod/../other",
        "aws-sm:prod/acme#",
        "aws-sm:arn:aws:s3:eu-central-1:123456789012:secret:x",
        "aws-sm:arn:aws:secretsmanager:eu-central-1.evil.example/:123456789012:secret:x",
        "aws-sm:arn:aws:secretsmanager:eu-central-1:12:secret:x",
        "azure-kv:acme-vault",
        "azure-kv:acme-vault/",
        "azure-kv:acme-vault/a/b",
        "azure-kv:acme-vault/a_b",
        "azure-kv:acme-vault/a#b",
        "azure-kv:ACME-vault/a",
        "azure-kv:ab/a",
        "azure-kv:acme.evil.example/a",
        "azure-kv:acme-/a",
        "azure-kv:" + "a" * 25 + "/a",
        "file:/etc/passwd",
    ],
)
def test_parse_when_anything_is_odd_refuses(text: str) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        parse(text)
    assert caught.value.code == "REFERENCE_INVALID"


# --- prefixes


@pytest.mark.parametrize(
    ("reference", "prefix"),
    [
        ("vault:kv/acme/erp#password", "vault:kv/acme/"),
        ("vault:kv/acme/north/erp#password", "vault:kv/acme/"),
        ("vault:kv/acme/erp#password", "vault:kv/"),
        ("vault:kv/acme/erp#password", "vault:kv/acme/erp"),
        ("vault:kv/acme/erp#password", "vault:kv/acme/erp#password"),
        ("env:LINESHAFT_REF_ACME_KEY", "env:LINESHAFT_REF_ACME_"),
        ("env:LINESHAFT_REF_ACME_KEY", "env:LINESHAFT_REF_ACME_KEY"),
        ("aws-sm:prod/acme/erp#key", "aws-sm:prod/acme/"),
        ("aws-sm:acme-erp#key", "aws-sm:acme-erp"),
        (f"aws-sm:{ARN}prod/acme/erp-AbCdEf", f"aws-sm:{ARN}prod/acme/"),
        ("azure-kv:acme-vault/erp", "azure-kv:acme-vault/"),
        ("azure-kv:acme-vault/erp", "azure-kv:acme-vault/erp"),
    ],
)
def test_is_under_when_the_prefix_covers_it_says_so(reference: str, prefix: str) -> None:
    check_prefix(prefix)
    assert is_under(parse(reference), prefix)


@pytest.mark.parametrize(
    ("reference", "prefix"),
    [
        ("vault:kv/acmecorp/erp#password", "vault:kv/acme/"),
        ("vault:kv/acme#password", "vault:kv/acme/"),
        ("vault:kv/acme/erp2#password", "vault:kv/acme/erp"),
        ("vault:kv/acme/erp/x#password", "vault:kv/acme/erp"),
        ("vault:kv/acme/erp#password", "vault:kv/acme/erp#pass"),
        ("vault:kv2/acme/erp#password", "vault:kv/"),
        ("vault:KV/acme/erp#password", "vault:kv/acme/"),
        ("env:LINESHAFT_REF_ACMECORP_KEY", "env:LINESHAFT_REF_ACME_"),
        ("env:LINESHAFT_REF_ACME_KEY2", "env:LINESHAFT_REF_ACME_KEY"),
        ("env:LINESHAFT_REF_ACME_", "env:LINESHAFT_REF_ACME_"),
        ("aws-sm:prod/acme/erp", f"aws-sm:{ARN}prod/acme/"),
        (f"aws-sm:{ARN}prod/acme/erp-AbCdEf", "aws-sm:prod/acme/"),
        ("azure-kv:acme-vault-two/erp", "azure-kv:acme-vault/"),
        ("azure-kv:acme-vault/erp-two", "azure-kv:acme-vault/erp"),
        # What no screen lets in, should it stand in a row all the same:
        ("vault:kv/acme/erp#password", ""),
        ("vault:kv/acme/erp#password", "/"),
        ("vault:kv/acme/erp#password", "vault:"),
        ("vault:kv/acme/erp#password", "vault:k"),
        ("env:LINESHAFT_REF_ACME_KEY", "_"),
    ],
)
def test_is_under_when_the_prefix_only_looks_like_it_says_no(reference: str, prefix: str) -> None:
    assert not is_under(parse(reference), prefix)


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "vault:",
        "vault:/",
        "vault:kv",
        "vault:kv//",
        "vault:kv/../",
        "env:",
        "env:LINESHAFT_",
        "env:SECRET_",
        "env:lineshaft_ref_",
        "aws-sm:",
        "aws-sm:/",
        f"aws-sm:{ARN}",
        "azure-kv:",
        "azure-kv:ACME/",
        "file:/etc/",
        "vault:kv/acme/ ",
        "aws-sm:" + "x" * 300 + "/",
    ],
)
def test_check_prefix_when_it_is_too_wide_or_odd_refuses(prefix: str) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        check_prefix(prefix)
    assert caught.value.code == "REFERENCE_PREFIX_INVALID"


# --- memory


def test_cache_when_full_forgets_what_was_used_longest_ago_and_shows_nothing() -> None:
    cache = Cache(max_entries=2)
    cache.put("a", "canary-a")
    cache.put("b", "canary-b")
    assert cache.get("a").value == "canary-a"
    cache.put("c", "canary-c")
    assert (cache.get("b"), len(cache)) == (None, 2)
    assert "canary" not in repr(cache) + repr(cache.get("a"))


def test_read_secret_when_the_store_fails_quickly_is_asked_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [StoreDownError("down"), "value"]

    def ask(reference: Any) -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setitem(reading._READERS, "vault", ask)
    monkeypatch.setattr(reading, "PAUSE_SECONDS", 0)
    assert reading.read_secret(parse("vault:kv/a#b")) == "value"


@pytest.mark.parametrize("body", [b"<html>back soon</html>", b"[]", b"null", b'{"data": {"keys": []}}'])
def test_read_secret_when_something_else_answers_for_vault_then_it_is_down(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with peer(always(message(body))) as server:
        monkeypatch.setenv("VAULT_ADDR", server.url("").rstrip("/"))
        monkeypatch.setenv("VAULT_TOKEN", "t")
        with pytest.raises(StoreDownError, match="VAULT_ADDR"):
            reading.read_secret(parse("vault:kv/acme/erp#password"))


def test_read_secret_when_the_variable_is_not_set_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINESHAFT_REF_NOT_THERE", raising=False)
    with pytest.raises(StoreMissingError, match="LINESHAFT_REF_NOT_THERE"):
        reading.read_secret(parse("env:LINESHAFT_REF_NOT_THERE"))


# --- rows


@pytest.fixture
def workspace(db: Any) -> Workspace:
    return make_workspace("Acme")


@pytest.fixture
def allowed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> SecretPrefix:
    monkeypatch.setenv("LINESHAFT_REF_ACME_KEY", API_KEY)
    with scopes_disabled():
        return SecretPrefix.objects.create(workspace=workspace, prefix=PREFIX)


def credential_of(workspace: Workspace) -> Credential:
    return Credential(workspace_id=workspace.pk, connection_id=workspace.pk, name="api_key")


def test_point_when_allowed_drops_the_ciphertext_and_sealing_drops_the_reference(
    workspace: Workspace, allowed: SecretPrefix
) -> None:
    row = credential_of(workspace)
    seal(row, "sealed")
    point(row, REFERENCE)
    assert (row.ciphertext, row.reference, open_secret(row)) == (None, REFERENCE, API_KEY)
    seal(row, "sealed")
    assert (row.reference, open_secret(row)) == ("", "sealed")


@pytest.mark.parametrize("reference", ["env:LINESHAFT_REF_OTHER_KEY", "vault:kv/acme/erp#password"])
def test_point_when_outside_the_prefixes_refuses_and_names_them(
    workspace: Workspace, allowed: SecretPrefix, reference: str
) -> None:
    row = credential_of(workspace)
    with pytest.raises(ValidationFailedError) as caught:
        point(row, reference)
    assert caught.value.code == "REFERENCE_NOT_ALLOWED" and PREFIX in caught.value.detail
    assert row.reference == ""


def test_point_when_the_prefix_is_another_workspace_s_refuses(workspace: Workspace, allowed: SecretPrefix) -> None:
    with pytest.raises(ValidationFailedError, match="None is allowed yet"):
        point(credential_of(make_workspace("Other")), REFERENCE)


def test_open_secret_when_the_prefix_was_taken_away_refuses_although_it_is_remembered(
    workspace: Workspace, allowed: SecretPrefix
) -> None:
    row = credential_of(workspace)
    point(row, REFERENCE)
    assert open_secret(row) == API_KEY
    with scopes_disabled():
        allowed.delete()
    with pytest.raises(ConfigError) as caught:
        open_secret(row)
    assert caught.value.code == "REFERENCE_NOT_ALLOWED"


def test_open_secret_when_the_row_holds_what_was_never_allowed_refuses(
    workspace: Workspace, allowed: SecretPrefix
) -> None:
    for text in ("env:SECRET_KEY", "env:LINESHAFT_REF_ACME_KEY/../x", "nonsense"):
        row = credential_of(workspace)
        row.reference = text
        with pytest.raises(ConfigError) as caught:
            open_secret(row)
        assert caught.value.code == "REFERENCE_INVALID"


def test_open_secret_when_asked_afresh_or_after_the_cache_time_sees_the_new_value(
    workspace: Workspace, allowed: SecretPrefix, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    row = credential_of(workspace)
    point(row, REFERENCE)
    assert open_secret(row) == API_KEY
    monkeypatch.setenv("LINESHAFT_REF_ACME_KEY", "rotated")
    assert open_secret(row) == API_KEY
    assert open_secret(row, fresh=True) == "rotated"
    monkeypatch.setenv("LINESHAFT_REF_ACME_KEY", "again")
    settings.SECRET_CACHE_SECONDS = 0
    assert open_secret(row) == "again"


def test_clean_secrets_when_customers_enter_them_takes_no_reference() -> None:
    errors: list[FieldError] = []
    assert clean_secrets(TestErp, {"api_key": {"ref": REFERENCE}}, errors) == {}
    assert [error.code for error in errors] == ["WRONG_TYPE"]
    assert clean_secrets(TestErp, {"api_key": REFERENCE}, []) == {"api_key": REFERENCE}, "a text is a text"


# --- by API

by_api = pytest.mark.usefixtures("erp_connector")


def body_of(server: TestErpServer, secret: Any) -> dict[str, Any]:
    return {"system": SLUG, "name": "Plant", "config": {"base_url": server.base_url}, "secrets": {"api_key": secret}}


def send(client: Any, method: str, path: str, body: dict[str, Any]) -> Any:
    return getattr(client, method)(path, data=body, content_type="application/json")


@by_api
def test_api_when_a_reference_is_given_uses_and_shows_it_but_never_the_secret(
    workspace: Workspace, allowed: SecretPrefix, erp_server: TestErpServer
) -> None:
    client = api(make_token(workspace)[1])
    made = send(client, "post", "/api/v1/connections", body_of(erp_server, {"ref": REFERENCE}))
    assert made.status_code == 201 and made.json()["check"]["ok"], made.content
    shown = made.json()
    assert (shown["secrets"], shown["secret_references"]) == (["api_key"], {"api_key": REFERENCE})
    with scopes_disabled():
        row = Credential.objects.get()
    assert (row.ciphertext, row.reference) == (None, REFERENCE)
    path = f"/api/v1/connections/{shown['id']}"
    listed = client.get("/api/v1/connections").json()["data"][0]
    assert listed["secret_references"] == {"api_key": REFERENCE} and API_KEY not in str(listed)

    moved = send(client, "patch", path, {"config": {"base_url": erp_server.base_url + "/v2"}})
    assert (moved.status_code, moved.json()["code"]) == (422, "SECRETS_REQUIRED")
    again = {"config": {"base_url": erp_server.base_url + "/v2"}, "secrets": {"api_key": {"ref": REFERENCE}}}
    assert send(client, "patch", path, again).status_code == 200
    plain = send(client, "patch", path, {"secrets": {"api_key": API_KEY}, "config": {}})
    assert plain.json()["secret_references"] == {} and plain.json()["secrets"] == ["api_key"]


@by_api
@pytest.mark.parametrize(
    ("secret", "code"),
    [
        ({"ref": "env:LINESHAFT_REF_OTHER"}, "REFERENCE_NOT_ALLOWED"),
        ({"ref": "vault:kv/../x#y"}, "REFERENCE_INVALID"),
        ({"ref": "env:SECRET_KEY"}, "REFERENCE_INVALID"),
        ({"ref": 5}, "WRONG_TYPE"),
        ({"ref": REFERENCE, "more": 1}, "WRONG_TYPE"),
        ({}, "WRONG_TYPE"),
    ],
)
def test_api_when_a_reference_is_wrong_points_at_it_and_stores_nothing(
    workspace: Workspace, allowed: SecretPrefix, erp_server: TestErpServer, secret: Any, code: str
) -> None:
    client = api(make_token(workspace)[1])
    answer = send(client, "post", "/api/v1/connections", body_of(erp_server, secret))
    assert answer.status_code == 422, answer.content
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [("/secrets/api_key", code)]
    with scopes_disabled():
        assert not Connection.objects.exists()


@by_api
def test_connection_when_the_store_is_down_does_not_ask_for_another_sign_in(
    workspace: Workspace, allowed: SecretPrefix, erp_server: TestErpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(erp_server, workspace=workspace)
    update_connection(connection, secrets={"api_key": {"ref": REFERENCE}}, by="test")
    assert connection.status == "active"

    def down(reference: Any) -> str:
        raise StoreDownError(f"{reference}: down")

    monkeypatch.setitem(reading._READERS, "env", down)
    monkeypatch.setattr(reading, "PAUSE_SECONDS", 0)
    reading.forget()
    outcome = check_connection(connection, by="test")
    connection.refresh_from_db()
    assert not outcome.ok and connection.error["code"] == "SECRET_STORE_DOWN"
    assert connection.status != "needs_reauth"


@by_api
@pytest.mark.django_db(transaction=True)
def test_references_when_followed_for_checks_and_syncs_hold_no_transaction(
    erp_server: TestErpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_workspace()
    monkeypatch.setenv("LINESHAFT_REF_ACME_KEY", API_KEY)
    with scopes_disabled():
        SecretPrefix.objects.create(workspace=workspace, prefix=PREFIX)
    connection = connect(erp_server, workspace=workspace)
    held: list[bool] = []
    read = reading._READERS["env"]

    def watched(reference: Any) -> str:
        held.append(database.in_atomic_block)
        return read(reference)

    monkeypatch.setitem(reading._READERS, "env", watched)
    monkeypatch.setattr("django.conf.settings.SECRET_CACHE_SECONDS", 0)
    update_connection(connection, secrets={"api_key": {"ref": REFERENCE}}, by="test")
    erp_server.add_orders(2)
    run_sync(sync_of(connection))
    assert len(held) >= 2 and not any(held)


@by_api
def test_open_connector_when_a_secret_is_a_reference_cuts_it_from_what_is_recorded(
    workspace: Workspace, allowed: SecretPrefix, erp_server: TestErpServer
) -> None:
    connection = connect(erp_server, workspace=workspace)
    update_connection(connection, secrets={"api_key": {"ref": REFERENCE}}, by="test")
    with open_connector(connection) as connector:
        assert connector.settings.secrets["api_key"] == API_KEY
        assert API_KEY not in repr(connector.settings)


# --- on screens


@pytest.mark.django_db(transaction=True)
@by_api
def test_screen_when_a_reference_is_entered_stores_it_and_shows_where_it_is_kept(
    erp_server: TestErpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_workspace()
    monkeypatch.setenv("LINESHAFT_REF_ACME_KEY", API_KEY)
    with scopes_disabled():
        SecretPrefix.objects.create(workspace=workspace, prefix=PREFIX)
    client = signed_in(make_person("owner", workspace))
    add = f"/admin/connections/connection/add/?system={SLUG}"

    values = connection_form(workspace, erp_server.base_url, secret__api_key="")
    assert "This field is required." in words(client.post(add, values))
    both = connection_form(workspace, erp_server.base_url, reference__api_key=REFERENCE)
    assert "not both" in words(client.post(add, both))
    outside = {**values, "reference__api_key": "env:LINESHAFT_REF_OTHER"}
    assert "This workspace may not refer to env:LINESHAFT_REF_OTHER" in words(client.post(add, outside))

    page = words(client.post(add, {**values, "reference__api_key": REFERENCE}, follow=True))
    assert "Signed in: Signed in as" in page
    with scopes_disabled():
        row = Credential.objects.get()
    assert (row.ciphertext, row.reference) == (None, REFERENCE)
    shown = html(client.get(change(row.connection)))
    assert f"Read from {REFERENCE}. Leave it empty to keep that." in shown and API_KEY not in shown


@pytest.mark.django_db
def test_prefix_screen_is_written_by_superusers_and_seen_by_members_of_the_workspace_alone() -> None:
    workspace, other = make_workspace("Acme"), make_workspace("Other")
    operator = signed_in(make_person(is_superuser=True))
    owner = signed_in(make_person("owner", workspace))

    wrong = operator.post(f"{ADMIN}add/", {"workspace": workspace.pk, "prefix": "vault:kv"})
    assert "ends with /" in words(wrong)
    for each, prefix in ((workspace, PREFIX), (other, "vault:kv/other/")):
        assert operator.post(f"{ADMIN}add/", {"workspace": each.pk, "prefix": prefix}).status_code == 302
    shown = html(owner.get(ADMIN))
    assert PREFIX in shown and "vault:kv/other/" not in shown
    assert owner.get(f"{ADMIN}add/").status_code == 403
    with scope(workspace=workspace.pk):
        row = SecretPrefix.objects.get()
    assert owner.post(f"{ADMIN}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert operator.post(f"{ADMIN}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    with scope(workspace=workspace.pk):
        assert not SecretPrefix.objects.exists()
        told = AuditEvent.objects.filter(object_type="secret_prefix").order_by("id").values_list("action", flat=True)
        assert list(told) == ["secret_prefix.added", "secret_prefix.removed"]
