"""Secrets open for their own row, with a known key, unchanged; never otherwise."""

import base64

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from core import keys
from core.encryption import DecryptionError, KeyRing, KeyRingError, key_id_of


def key(byte: int, length: int = 32) -> str:
    return base64.b64encode(bytes([byte]) * length).decode()


RING = KeyRing.from_text(f"new:{key(2)},old:{key(1)}")
OLD_RING = KeyRing.from_text(f"old:{key(1)}")


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
