"""Each workspace has its own data keys; what is stored opens for its row alone, also while keys are replaced."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from connections.models import Connection, Credential, SystemSecret, SystemSettings
from connections.services import grants
from console.management import checkup
from core.encryption import DecryptionError, data_key_id_of, key_id_of
from core.errors import ConfigError
from core.keys import default_ring
from integrations.sdk.oauth import Issued
from tests.admin_pages import change, rows_of, words
from tests.tenants import make_person, make_workspace, signed_in
from workspaces import data_keys, reencryption
from workspaces.data_keys import current_cipher, open_bytes, seal_bytes
from workspaces.models import AuditEvent, DataKey, Workspace
from workspaces.secrets import open_secret, seal

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]


def key(byte: int) -> str:
    return base64.b64encode(bytes([byte]) * 32).decode()


OLD, BOTH, NEW = f"k1:{key(1)}", f"k2:{key(2)},k1:{key(1)}", f"k2:{key(2)}"


@pytest.fixture(autouse=True)
def ring(settings: Any) -> Any:
    """A ring of the test's own, which it may change."""
    settings.ENCRYPTION_KEYS = OLD
    with scopes_disabled():
        yield settings


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


def connect(workspace: Workspace) -> Connection:
    made: Connection = Connection.objects.create(workspace=workspace, system="test-erp", name="Plant 1")
    return made


def store(workspace: Workspace, clear: str = "hunter2", name: str = "api_key", **facts: Any) -> Credential:
    row = Credential(workspace=workspace, connection=facts.get("connection") or connect(workspace), name=name)
    with transaction.atomic():
        seal(row, clear)
        row.save(force_insert=True)
    return row


def store_as_before(workspace: Workspace, clear: str = "hunter2") -> Credential:
    """As releases without data keys did."""
    row = store(workspace, clear)
    row.ciphertext = default_ring().encrypt(clear, bound_to=row.bound_to)
    row.save()
    return row


def fresh(row: Any) -> Any:
    return type(row).objects.get(pk=row.pk)


def age(workspace: Workspace, hours: float = 2) -> None:
    DataKey.objects.filter(workspace=workspace).update(created_at=timezone.now() - timedelta(hours=hours))


def run(*arguments: str) -> tuple[str, str]:
    output, beside = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=output, stderr=beside)
    return output.getvalue(), beside.getvalue()


def fails(*arguments: str) -> tuple[str, str, str]:
    output, beside = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command(*arguments, stdout=output, stderr=beside)
    assert caught.value.returncode == 1
    return output.getvalue(), beside.getvalue(), str(caught.value)


# --- sealing and opening ------------------------------------------------------------------------------------------------


def test_a_secret_is_sealed_with_the_data_key_of_its_workspace(workspace: Workspace) -> None:
    row = store(workspace)

    (data_key,) = DataKey.objects.filter(workspace=workspace)
    assert open_secret(fresh(row)) == "hunter2"
    assert data_key_id_of(row.ciphertext or b"") == data_key.pk and data_key.is_current
    assert key_id_of(data_key.wrapped) == "k1"
    assert store(workspace).ciphertext[:17] == row.ciphertext[:17], "one key for all of them"


def test_what_the_ring_encrypted_before_still_opens(workspace: Workspace) -> None:
    assert open_secret(fresh(store_as_before(workspace))) == "hunter2"


def test_opening_works_in_whichever_scope(workspace: Workspace) -> None:
    row, other = store(workspace), make_workspace("Other")
    data_keys._open_keys._held.clear()
    with scope(workspace=other.pk):
        assert open_secret(row) == "hunter2"


def test_ciphertexts_swapped_between_names_rows_and_workspaces_never_open(workspace: Workspace) -> None:
    place, other = connect(workspace), make_workspace("Other")
    kept = SystemSettings.objects.create(workspace=workspace, system="test-erp")
    of_system = SystemSecret(workspace=workspace, settings=kept, name="api_key")
    seal(of_system, "of the system")
    of_system.save()
    rows = [
        store(workspace, "one", connection=place),
        store(workspace, "two", "password", connection=place),
        store(workspace, "three"),
        store(other, "four"),
        of_system,
    ]
    for row in rows:
        for stranger in rows:
            if stranger is not row:
                type(row).objects.filter(pk=row.pk).update(ciphertext=stranger.ciphertext)
                with pytest.raises(ConfigError) as caught:
                    open_secret(fresh(row))
                assert caught.value.code == "KEY_MISSING"


def test_a_data_key_opens_nothing_in_another_workspace(workspace: Workspace) -> None:
    """Not even a ciphertext that was bound to a row of that other workspace, nor with the key's row moved there."""
    other = make_workspace("Other")
    sealed = seal_bytes(workspace.pk, "secret", "row")

    with pytest.raises(DecryptionError, match="does not have"):
        open_bytes(other.pk, sealed, "row")
    DataKey.objects.filter(workspace=workspace).update(workspace=other)
    with pytest.raises(DecryptionError, match="does not open"):
        open_bytes(other.pk, sealed, "row")


def test_a_ring_without_the_key_says_which_one_is_missing(workspace: Workspace, ring: Any) -> None:
    row = store(workspace)
    ring.ENCRYPTION_KEYS = NEW

    with pytest.raises(ConfigError, match=r"the key k1, which is not in ENCRYPTION_KEYS \(there: k2\)") as caught:
        open_secret(fresh(row))
    assert caught.value.code == "KEY_MISSING" and "hunter2" not in str(caught.value)
    with pytest.raises(DecryptionError, match="k1"):
        seal_bytes(workspace.pk, "secret", "row")


def test_an_open_key_is_not_looked_up_again(workspace: Workspace, django_assert_num_queries: Any) -> None:
    row = store(workspace)
    data_keys._open_keys._held.clear()
    with django_assert_num_queries(1):
        assert [open_secret(row), open_secret(row)] == ["hunter2"] * 2


def test_open_keys_are_bounded_and_not_shown(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_keys, "MAX_OPEN_KEYS", 2)
    rows = [store(make_workspace()) for _ in range(4)]

    assert len(data_keys._open_keys._held) == 2
    assert [open_secret(row) for row in rows] == ["hunter2"] * 4
    assert "AESGCM" not in repr(data_keys._open_keys) + repr(data_keys._open_keys._held)


@pytest.mark.django_db(transaction=True)
def test_two_workers_sealing_the_first_secret_at_once_agree_on_one_key(workspace: Workspace) -> None:
    def seal_one(number: int) -> bytes:
        try:
            return seal_bytes(workspace.pk, f"secret {number}", f"row {number}")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(seal_one, range(16)))

    assert DataKey.objects.filter(workspace=workspace).count() == 1
    assert [open_bytes(workspace.pk, one, f"row {n}") for n, one in enumerate(sealed)] == [
        f"secret {n}".encode() for n in range(16)
    ]


def test_a_row_in_memory_opens_after_its_data_key_was_replaced_and_deleted(workspace: Workspace) -> None:
    row = store(workspace)
    held = fresh(row)
    run("rotate_keys", "--data-keys", "--delete-now")
    data_keys._open_keys._held.clear()

    assert DataKey.objects.filter(workspace=workspace).count() == 1
    assert open_secret(held) == "hunter2"
    held.save()
    assert open_secret(fresh(row)) == "hunter2", "the dead ciphertext was not written back"


def test_a_secret_whose_data_key_is_gone_says_so(workspace: Workspace) -> None:
    row = store(workspace)
    DataKey.objects.all().delete()
    data_keys._open_keys._held.clear()
    with pytest.raises(ConfigError, match="Enter the secret again"):
        open_secret(row)


# --- rotating -----------------------------------------------------------------------------------------------------------


def test_rotating_after_a_new_ring_key_wraps_and_then_the_old_key_can_go(workspace: Workspace, ring: Any) -> None:
    row, old = store(workspace), store_as_before(make_workspace("Upgraded"), "older")
    changed_at, ring.ENCRYPTION_KEYS = fresh(row).updated_at, BOTH
    assert "key k1: wraps 2 data keys, encrypted 1 secrets directly" in run("check_keys")[0]

    output, _ = run("rotate_keys")

    assert "Wrapped anew: 2 data keys." in output and "Encrypted anew: 1 secrets." in output
    assert "key k1: wraps 0 data keys; can be removed" in run("check_keys")[0]
    ring.ENCRYPTION_KEYS = NEW
    assert (open_secret(fresh(row)), open_secret(fresh(old))) == ("hunter2", "older")
    assert fresh(row).ciphertext == row.ciphertext, "secrets are not touched for it"
    assert fresh(row).updated_at == changed_at
    assert "2 of 2 data keys and 2 of 2 secrets open" in run("check_keys")[0]
    assert "Wrapped anew: 0 data keys. Made: 0 data keys. Encrypted anew: 0 secrets" in run("rotate_keys")[0]


def test_new_data_keys_move_every_secret_and_the_old_ones_go_an_hour_later(workspace: Workspace) -> None:
    rows = [store(workspace, f"secret {n}") for n in range(7)]
    (before,) = DataKey.objects.all()

    output, _ = run("rotate_keys", "--data-keys")

    assert "Made: 1 data keys. Encrypted anew: 7 secrets. Deleted: 0 data keys." in output
    assert "left for a later run to delete: 1 data keys" in output
    current = DataKey.objects.get(is_current=True)
    assert {data_key_id_of(fresh(row).ciphertext) for row in rows} == {current.pk} and current != before
    assert [open_secret(fresh(row)) for row in rows] == [f"secret {n}" for n in range(7)]
    age(workspace)
    assert "Deleted: 1 data keys." in run("rotate_keys")[0]
    assert list(DataKey.objects.all()) == [current]


def test_a_rotation_started_again_within_the_hour_goes_on_with_the_same_keys(workspace: Workspace) -> None:
    store(workspace)
    run("rotate_keys", "--data-keys")
    assert "Made: 0 data keys" in run("rotate_keys", "--data-keys")[0]
    age(workspace)
    assert "Made: 1 data keys" in run("rotate_keys", "--data-keys")[0]


def test_one_workspace_may_be_rotated_alone(workspace: Workspace) -> None:
    mine, theirs = store(workspace), store(make_workspace("Other"))

    run("rotate_keys", "--workspace", workspace.slug)

    assert fresh(mine).ciphertext[:17] != mine.ciphertext[:17]
    assert fresh(theirs).ciphertext == theirs.ciphertext
    made, rotated = AuditEvent.objects.filter(workspace=workspace).order_by("id")
    assert (made.action, rotated.action) == ("data_key.replaced", "keys.rotated")
    assert rotated.actor.endswith("manage.py rotate_keys") and rotated.details["secrets_encrypted_anew"] == 1


def test_a_rotation_of_all_is_in_the_audit_log(workspace: Workspace) -> None:
    store(workspace)
    run("rotate_keys")
    event = AuditEvent.objects.get(action="keys.rotated")
    assert event.workspace_id is None and event.details["problems"] == 0


def test_what_does_not_open_is_named_after_all_others_were_done(workspace: Workspace) -> None:
    rows = [store(workspace, f"secret {n}") for n in range(5)]
    Credential.objects.filter(pk=rows[1].pk).update(ciphertext=rows[0].ciphertext)

    output, beside, error = fails("rotate_keys", "--data-keys")

    assert "Encrypted anew: 4 secrets." in output and "Deleted: 0" in output
    assert str(rows[1].pk) in beside and "api_key" in beside and workspace.slug in beside
    assert "secret 1" not in beside + output + error and "1 could not be done" in error
    assert DataKey.objects.filter(workspace=workspace).count() == 2, "its key stays"
    age(workspace)
    assert "Deleted: 0" in fails("rotate_keys")[0]


def test_a_workspace_whose_key_is_missing_stops_no_other(workspace: Workspace, ring: Any) -> None:
    store(workspace)
    ring.ENCRYPTION_KEYS = NEW
    other = store_as_before(make_workspace("Other"), "theirs")

    _, beside, _ = fails("rotate_keys")

    assert f"of workspace {workspace.slug}" in beside and "the key k1, which is not in ENCRYPTION_KEYS" in beside
    assert data_key_id_of(fresh(other).ciphertext) is not None and open_secret(fresh(other)) == "theirs"


def test_after_the_loss_of_the_ring_new_data_keys_take_what_is_entered_again(workspace: Workspace, ring: Any) -> None:
    """As docs/guides/backup.md tells it."""
    row = store(workspace)
    ring.ENCRYPTION_KEYS = NEW
    assert "`manage.py rotate_keys --data-keys`" in fails("check_keys")[2]

    fails("rotate_keys", "--data-keys")
    with transaction.atomic():
        seal(row, "entered again")
        row.save()

    assert open_secret(fresh(row)) == "entered again"
    age(workspace)
    assert "Deleted: 1 data keys" in fails("rotate_keys")[0], "the dead one is named a last time"
    assert "1 of 1 data keys and 1 of 1 secrets open" in run("check_keys")[0]


def test_rotating_without_a_ring_says_how_to_mend_it(workspace: Workspace, ring: Any) -> None:
    ring.ENCRYPTION_KEYS = "broken"
    assert "Entry 1" in fails("rotate_keys")[2] and "Entry 1" in fails("check_keys")[2]


@pytest.mark.django_db(transaction=True)
def test_a_row_that_stays_locked_is_named_and_the_rest_is_done(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reencryption, "PATIENCE_SECONDS", 0.3)
    rows = [store(workspace, f"secret {n}") for n in range(3)]

    def rotate() -> tuple[str, str, str]:
        try:
            return fails("rotate_keys", "--data-keys")
        finally:
            connections.close_all()

    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        locked = Credential.objects.select_for_update().get(pk=rows[1].pk)
        output, beside, _ = pool.submit(rotate).result()
        assert "Encrypted anew: 2 secrets" in output and f"{locked.pk}" in beside and "locked" in beside
        seal(locked, "newer")
        locked.save()
    run("rotate_keys")
    assert [open_secret(fresh(row)) for row in rows] == ["secret 0", "newer", "secret 2"]


@pytest.mark.django_db(transaction=True)
def test_a_grant_is_kept_under_a_key_that_is_not_deleted_meanwhile(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = connect(workspace)
    grants.ensure_grant(at.pk, workspace.pk)
    empty = grants.read_grant(at.pk)
    assert empty is not None
    fence = grants.claim_grant(at.pk, empty, seconds=60)
    assert fence is not None

    def rotate() -> None:
        try:
            run("rotate_keys", "--data-keys", "--delete-now")
        finally:
            connections.close_all()

    def seal_slowly(*values: Any) -> None:
        seal(*values)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(rotate).result()

    monkeypatch.setattr(grants, "seal", seal_slowly)
    assert grants.keep_grant(at, Issued("a-1", "r-1", 60), place="here", fence=fence)
    monkeypatch.setattr(data_keys, "_open_keys", data_keys._OpenKeys())  # as another process has it
    held = grants.read_grant(at.pk)
    assert held is not None and held.issued is not None and held.issued.refresh_token == "r-1"


@pytest.mark.django_db(transaction=True)
def test_a_data_key_is_not_deleted_under_who_encrypts_with_it(workspace: Workspace) -> None:
    row = store(workspace)

    def rotate() -> str:
        try:
            return run("rotate_keys", "--data-keys", "--delete-now")[0]
        finally:
            connections.close_all()

    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        late = Credential(workspace=workspace, connection=row.connection, name="late")
        seal(late, "sealed before the rotation")
        assert "Made: 1 data keys. Encrypted anew: 1 secrets. Deleted: 0" in pool.submit(rotate).result()
        late.save(force_insert=True)
    data_keys._open_keys._held.clear()
    assert open_secret(fresh(late)) == "sealed before the rotation"
    assert "Encrypted anew: 1 secrets. Deleted: 1" in run("rotate_keys", "--delete-now")[0]
    assert open_secret(fresh(late)) == "sealed before the rotation"


# --- looking ------------------------------------------------------------------------------------------------------------


def test_check_keys_names_what_does_not_open(workspace: Workspace, ring: Any) -> None:
    row = store(workspace)
    reference = Credential(workspace=workspace, connection=row.connection, name="other", reference="vault:kv/a#b")
    reference.save()
    assert "1 of 1 data keys and 1 of 1 secrets open; 1 more are references." in run("check_keys")[0]
    ring.ENCRYPTION_KEYS = NEW

    output, beside, error = fails("check_keys")

    assert "key k1: wraps 1 data keys; NOT IN THE RING" in output and "0 of 1 secrets open" in output
    assert str(row.pk) in beside and "2 do not open" in error


def test_check_keys_when_a_data_key_is_damaged_goes_on(workspace: Workspace) -> None:
    store(workspace)
    DataKey.objects.update(wrapped=b"\x01")
    output, beside, _ = fails("check_keys")
    assert "(damaged)" in output and "The data key" in beside


def test_doctor_tells_of_a_key_that_is_needed_and_missing(workspace: Workspace, ring: Any) -> None:
    current_cipher(workspace.pk)
    ring.ENCRYPTION_KEYS = NEW
    found = {finding.name: finding for finding in checkup.examine()}
    assert found["secrets"].status == "fail" and "k1" in found["secrets"].detail
    ring.ENCRYPTION_KEYS = "broken"
    assert {f.name: f.status for f in checkup.examine()}["keys"] == "fail"


def test_screen_shows_keys_by_workspace_to_the_operator_alone(workspace: Workspace, ring: Any) -> None:
    store(workspace)
    store(workspace)
    ring.ENCRYPTION_KEYS = BOTH
    operator = signed_in(make_person(is_superuser=True))
    (data_key,) = DataKey.objects.all()

    page = words(operator.get(rows_of(DataKey)))

    assert (
        workspace.name in page
        and "Encryption keys" in page
        and "k1 wraps 1 data key: still needed" in page
        and "k2 wraps 0 data keys" in page
    )
    assert "Wrapped by k1" in words(operator.get(change(data_key))) and "Secrets 2" in words(
        operator.get(change(data_key))
    )
    assert 'wrapped"' not in operator.get(change(data_key)).content.decode()
    owner = signed_in(make_person("owner", workspace))
    assert [owner.get(rows_of(DataKey)).status_code, owner.get(change(data_key)).status_code] == [403, 403]
    ring.ENCRYPTION_KEYS = "broken"
    assert "Entry 1 of the key ring" in words(operator.get(rows_of(DataKey)))


def test_screen_asks_the_same_number_of_queries_for_many_keys(django_assert_max_num_queries: Any) -> None:
    operator = signed_in(make_person(is_superuser=True))
    for _ in range(12):
        store(make_workspace())
    with django_assert_max_num_queries(22):  # two of them for each table of secrets
        assert operator.get(rows_of(DataKey)).status_code == 200


def test_a_key_that_is_not_there_is_404() -> None:
    operator = signed_in(make_person(is_superuser=True))
    assert operator.get(rows_of(DataKey) + f"{uuid4()}/change/").status_code == 404
