"""Secrets open for their own row, with a known key, unchanged; never otherwise."""

import base64
import os
from pathlib import Path
from uuid import UUID

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from config.settings.environment import Environment
from core import checks, keys
from core.encryption import (
    DataCipher,
    DecryptionError,
    KeyRing,
    KeyRingError,
    data_key_id_of,
    key_id_of,
    ring_text,
)


def key(byte: int, length: int = 32) -> str:
    return base64.b64encode(bytes([byte]) * length).decode()


RING = KeyRing.from_text(f"new:{key(2)},old:{key(1)}")
OLD_RING = KeyRing.from_text(f"old:{key(1)}")
CIPHER = DataCipher.from_bytes(UUID(int=7), bytes(range(32)))
OTHER_CIPHER = DataCipher.from_bytes(UUID(int=8), bytes(range(32)))


@given(st.text(st.characters(codec="utf-8")) | st.binary(), st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_secret_opens_for_its_row(plaintext, row):
    opened = RING.decrypt(RING.encrypt(plaintext, bound_to=row), bound_to=row)
    assert opened == (plaintext.encode() if isinstance(plaintext, str) else plaintext)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_a_ciphertext_moved_to_another_row_never_opens(first, second):
    first, second = (text.encode("utf-8", "replace").decode() for text in (first, second))
    ciphertext = RING.encrypt("secret", bound_to=first)
    if first == second:
        assert RING.decrypt(ciphertext, bound_to=second) == b"secret"
    else:
        with pytest.raises(DecryptionError):
            RING.decrypt(ciphertext, bound_to=second)


def test_a_ciphertext_changed_in_any_byte_or_cut_anywhere_never_opens():
    ciphertext = RING.encrypt("secret", bound_to="row")
    for position in range(len(ciphertext)):
        changed = bytearray(ciphertext)
        changed[position] ^= 1
        for broken in (bytes(changed), ciphertext[:position]):
            with pytest.raises(DecryptionError):
                RING.decrypt(broken, bound_to="row")


def test_the_first_key_encrypts_and_every_key_decrypts():
    ciphertext = OLD_RING.encrypt("secret", bound_to="row")
    assert RING.decrypt(memoryview(ciphertext), bound_to="row") == b"secret"
    assert (key_id_of(ciphertext), key_id_of(RING.encrypt("secret", bound_to="row"))) == ("old", "new")
    assert (RING.current_id, RING.ids) == ("new", ("new", "old"))


def test_an_unknown_key_is_named():
    ciphertext = RING.encrypt("secret", bound_to="row")
    with pytest.raises(DecryptionError, match="key new, which is not in ENCRYPTION_KEYS") as caught:
        OLD_RING.decrypt(ciphertext, bound_to="row")
    assert caught.value.code == "ENCRYPTION_KEY_UNKNOWN"


def test_the_same_secret_encrypts_differently_each_time():
    assert RING.encrypt("secret", bound_to="row") != RING.encrypt("secret", bound_to="row")


def test_a_row_must_be_named():
    with pytest.raises(ValueError, match="bound_to"):
        RING.encrypt("secret", bound_to="")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "Entry 1", id="empty"),
        pytest.param(key(1), "Entry 1", id="without-id"),
        pytest.param(f"a:{key(1)},", "Entry 2", id="trailing-comma"),
        pytest.param(f"a b:{key(1)}", "Entry 1", id="id-with-space"),
        pytest.param(f"a:{key(1)}, a:{key(2)}", "a stands twice", id="duplicate"),
        pytest.param(f"a:{key(1, 16)}", "16 bytes", id="short"),
        pytest.param("a:not base64!", "not base64", id="not-base64"),
    ],
)
def test_a_wrong_ring_is_refused_without_showing_a_key(text, words):
    with pytest.raises(KeyRingError, match=words) as caught:
        KeyRing.from_text(text)
    assert key(1) not in caught.value.detail
    assert "keys" not in repr(RING)


def test_default_ring_follows_the_settings():
    with override_settings(ENCRYPTION_KEYS=f"one:{key(1)}"):
        assert keys.default_ring().ids == ("one",)
        assert keys.default_ring() is keys.default_ring()
    with override_settings(ENCRYPTION_KEYS=f"two:{key(2)}"):
        assert keys.default_ring().ids == ("two",)


# --- data keys ----------------------------------------------------------------------------------------------------------


@given(st.text(st.characters(codec="utf-8")) | st.binary(), st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_secret_of_a_data_key_opens_for_its_row(plaintext, row):
    sealed = CIPHER.encrypt(plaintext, bound_to=row)

    assert data_key_id_of(sealed) == CIPHER.key_id and sealed.startswith(CIPHER.header)
    opened = CIPHER.decrypt(memoryview(sealed), bound_to=row)
    assert opened == (plaintext.encode() if isinstance(plaintext, str) else plaintext)


def test_a_ciphertext_of_a_data_key_changed_anywhere_or_moved_never_opens():
    sealed = CIPHER.encrypt("secret", bound_to="row")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        for broken in (bytes(changed), sealed[:position]):
            with pytest.raises(DecryptionError):
                CIPHER.decrypt(broken, bound_to="row")
    for cipher, row in ((CIPHER, "other row"), (OTHER_CIPHER, "row")):
        with pytest.raises(DecryptionError):
            cipher.decrypt(sealed, bound_to=row)


def test_the_id_of_the_data_key_is_authenticated():
    """The same 32 bytes under another id do not open it either."""
    sealed = CIPHER.encrypt("secret", bound_to="row")
    with pytest.raises(DecryptionError, match="another row"):
        OTHER_CIPHER.decrypt(OTHER_CIPHER.header + sealed[17:], bound_to="row")


def test_what_the_ring_encrypted_itself_has_no_data_key():
    assert data_key_id_of(RING.encrypt("secret", bound_to="row")) is None
    for damaged in (b"", b"\x03" + bytes(60)):
        with pytest.raises(DecryptionError, match="no layout"):
            data_key_id_of(damaged)
    with pytest.raises(DecryptionError, match="no layout"):
        RING.decrypt(CIPHER.encrypt("secret", bound_to="row"), bound_to="row")


def test_a_data_key_of_a_wrong_length_is_refused_and_none_is_ever_shown():
    with pytest.raises(DecryptionError, match="16 bytes"):
        DataCipher.from_bytes(UUID(int=7), bytes(16))
    assert "_key" not in repr(CIPHER) and "AESGCM" not in repr(CIPHER) + repr(RING)


# --- the ring in a file -------------------------------------------------------------------------------------------------


@pytest.fixture
def key_file(tmp_path, monkeypatch):
    path = tmp_path / "keys"
    path.write_text(f"k2:{key(2)}\n\n k1:{key(1)}\n")
    path.chmod(0o600)
    monkeypatch.delenv("ENCRYPTION_KEYS")
    monkeypatch.setenv("ENCRYPTION_KEYS_FILE", str(path))
    return path


@pytest.mark.parametrize("text", ["a:1\nb:2\n", "a:1,b:2", "a:1,\r\nb:2,\r\n", "\n a:1 \n\n b:2"])
def test_lines_of_a_file_count_as_commas(text):
    assert ring_text(text) == "a:1,b:2"


def test_the_ring_may_stand_in_a_file(key_file):
    assert KeyRing.from_text(Environment().ENCRYPTION_KEYS.get_secret_value()).ids == ("k2", "k1")


def test_a_ring_in_the_environment_and_in_a_file_is_refused(key_file, monkeypatch):
    monkeypatch.setenv("ENCRYPTION_KEYS", f"k1:{key(1)}")
    with pytest.raises(ValueError, match="both set"):
        Environment()


def test_a_file_that_is_not_there_stops_the_start(key_file):
    key_file.unlink()
    with pytest.raises(ValueError, match="ENCRYPTION_KEYS_FILE cannot be read: No such file"):
        Environment()


def test_a_file_counts_as_the_ring_that_production_needs(key_file, monkeypatch):
    monkeypatch.setenv("LINESHAFT_MODE", "production")
    assert Environment().ENCRYPTION_KEYS
    key_file.write_text("")
    with override_settings(ENCRYPTION_KEYS=Environment().ENCRYPTION_KEYS.get_secret_value()):
        assert [message.id for message in checks.key_ring_is_readable()] == ["core.E001"]


@pytest.mark.parametrize(("mode", "found"), [(0o600, []), (0o400, []), (0o640, ["core.W001"]), (0o604, ["core.W001"])])
def test_a_file_open_to_others_is_a_warning(key_file, mode, found):
    os.chmod(key_file, mode)
    with override_settings(ENCRYPTION_KEYS_FILE=str(key_file)):
        messages = checks.key_file_is_private()
    assert [message.id for message in messages] == found
    assert all("chmod 600" in message.hint and f"{mode:04o}" in message.msg for message in messages)


def test_no_file_and_a_file_that_went_away_are_no_warning(tmp_path):
    for path in ("", str(Path(tmp_path) / "gone")):
        with override_settings(ENCRYPTION_KEYS_FILE=path):
            assert checks.key_file_is_private() == []
