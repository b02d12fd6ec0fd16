"""Signatures of what systems tell, as connectors declare them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import pytest

from integrations.sdk.hooks import HmacSignature
from tests.inbound_stage import SECRET

BODY, NOW = b'{"type":"X"}', 1_764_000_000.0


@pytest.mark.parametrize("scale", [1, 1000], ids=["seconds", "milliseconds"])
def test_signature_with_its_time_beside_it_in_one_header(scale: int) -> None:
    declared = HmacSignature("x-sig", parts=("t", "v1"))
    written = str(int(NOW) * scale)
    right = hashlib_hmac(SECRET, written.encode() + b"." + BODY)

    def refusal(header: str, now: float = NOW) -> str:
        return declared.refusal({"x-sig": header}, BODY, ["old", SECRET], now)

    assert refusal(f"t={written},v1={right}") == ""
    assert refusal(f"v1=00, v1={right.upper()} , t={written},v2=zz") == ""
    assert refusal(f"t={written},v1={right}", NOW + 299) == ""
    for header in (
        f"v1={right}",
        f"t={written}",
        f"t=1,v1={right}",
        f"t={written},t={written},v1={right}",
        "",
        "t=x,v1=",
    ):
        assert refusal(header), header
    assert "away" in refusal(f"t={written},v1={right}", NOW + 301)
    assert "away" in refusal(f"t={written},v1={right}", NOW - 301)
    assert refusal(f"t={int(written) + 1},v1={right}")


def test_signature_is_computed_once_for_each_secret_however_many_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    signing, sign = [], HmacSignature.sign

    def noted(self: HmacSignature, secret: str, signed: bytes) -> str:
        signing.append(secret)
        return sign(self, secret, signed)

    monkeypatch.setattr(HmacSignature, "sign", noted)
    declared = HmacSignature("x-sig", parts=("t", "v1"))
    header = f"t={int(NOW)}" + ",v1=00" * 9
    assert declared.refusal({"x-sig": header}, BODY, ["old", SECRET], NOW)
    assert signing == ["old", SECRET]


def test_signature_with_its_time_in_another_header_and_in_base64() -> None:
    declared = HmacSignature("X-Sig", encoding="base64", algorithm="sha512", timestamp_header="X-Time")
    signed = base64.b64encode(hmac.digest(SECRET.encode(), b"1764000000." + BODY, "sha512")).decode()
    headers = {"x-sig": signed, "x-time": "1764000000"}
    assert declared.refusal(headers, BODY, [SECRET], NOW) == ""
    assert declared.refusal({"x-sig": signed}, BODY, [SECRET], NOW)
    assert declared.refusal(headers, BODY + b" ", [SECRET], NOW)
    assert declared.refusal(headers, BODY, ["foreign"], NOW)
    assert declared.refusal(headers, BODY, [SECRET], time.time() + 10_000)


def hashlib_hmac(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
