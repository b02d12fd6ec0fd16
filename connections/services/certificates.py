"""PEM texts people paste: read before they are stored, so that a wrong one is told at once."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from core.errors import FieldError

MAX_PEM = 200_000
_HOW = "Give it as PEM text that begins with -----BEGIN CERTIFICATE-----."


def faults_of_pem(*, ca_certificate: str, client_certificate: str, client_key: str | None) -> Iterator[FieldError]:
    """Faults of the certificates and of the client key (None: no new one is given)."""
    for name, text in (("ca_certificate", ca_certificate), ("client_certificate", client_certificate)):
        if fault := _fault_of_certificates(text):
            yield FieldError(f"/{name}", "INVALID_CERTIFICATE", fault)
            return
    if client_key:
        if not client_certificate:
            yield FieldError("/client_key", "INVALID_KEY", "A client key needs its client certificate.")
        elif fault := _fault_of_key(client_key, client_certificate):
            yield FieldError("/client_key", "INVALID_KEY", fault)


def _fault_of_certificates(text: str) -> str | None:
    if not text:
        return None
    if "PRIVATE KEY" in text:
        return "It holds a private key, which would be shown again: send the key as client_key."
    if len(text) > MAX_PEM or "\x00" in text:
        return _HOW
    try:
        x509.load_pem_x509_certificates(text.encode())
    except (ValueError, UnicodeEncodeError):
        return f"It cannot be read. {_HOW}"
    return None


def _fault_of_key(key: str, certificate: str) -> str | None:
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except TypeError:
        return "The key has a passphrase; give it without one. It is stored encrypted."
    except (ValueError, UnsupportedAlgorithm, UnicodeEncodeError):
        return "It cannot be read. Give it as PEM text that begins with -----BEGIN PRIVATE KEY-----."
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    owner = x509.load_pem_x509_certificates(certificate.encode())[0]
    if private.public_key().public_bytes(*form) != owner.public_key().public_bytes(*form):
        return "The key does not belong to the client certificate, which must be the first in its text."
    return None
