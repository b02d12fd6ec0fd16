"""Whom we believe to be the server, and who we are to it."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

import certifi

from core.errors import ConfigError
from core.http.sockets import TimedSocket, TimedTlsSocket


@dataclass(frozen=True)
class TlsOptions:
    """PEM texts. `ca_certificate` is trusted beside the public authorities; the key may stand in the certificate's text."""

    ca_certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = field(default=None, repr=False)


class TimedContext(ssl.SSLContext):
    """Hands the call's time limit to the handshake and on to the wrapped socket."""

    sslsocket_class = TimedTlsSocket

    def wrap_socket(self, sock: Any, *args: Any, **kwargs: Any) -> TimedTlsSocket:
        plain = cast(TimedSocket, sock)
        # The handshake in C holds this as a limit for all its steps together.
        plain.settimeout(plain.call.remaining())
        wrapped = cast(TimedTlsSocket, super().wrap_socket(plain, *args, **kwargs))
        wrapped.call = plain.call
        return wrapped


def tls_context(options: TlsOptions | None) -> ssl.SSLContext:
    """A context that always verifies the chain and the name.

    Errors: ConfigError CA_CERTIFICATE_INVALID or CLIENT_CERTIFICATE_INVALID.
    """
    if options is None or options == TlsOptions():
        return _public_context()
    context = _new_context()
    if options.ca_certificate:
        _trust(context, options.ca_certificate)
    if options.client_certificate:
        _identify(context, options.client_certificate, options.client_key)
    return context


@lru_cache(maxsize=1)
def _public_context() -> ssl.SSLContext:
    return _new_context()


def _new_context() -> ssl.SSLContext:
    context = TimedContext(ssl.PROTOCOL_TLS_CLIENT)
    # A plant's server often has a certificate of its own making: giving just that one is enough.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # The system's store may be empty in a small container, and it may hold the company's authority: both count.
    context.load_default_certs()
    context.load_verify_locations(cafile=certifi.where())
    return context


def _trust(context: ssl.SSLContext, pem: str) -> None:
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError, TypeError) as error:  # TypeError: letters that no PEM text has
        detail = "The connection's CA certificate cannot be read: give it as PEM text (-----BEGIN CERTIFICATE-----)."
        raise ConfigError(detail, code="CA_CERTIFICATE_INVALID") from error


def _identify(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    # The ssl module takes a path only. The file is readable by this user alone and gone right after.
    with tempfile.NamedTemporaryFile("w", suffix=".pem", encoding="utf-8") as file:
        file.write(certificate.strip() + "\n" + (key or "").strip() + "\n")
        file.flush()
        try:
            # Without a password given, an encrypted key would make OpenSSL ask on the terminal.
            context.load_cert_chain(file.name, password="")
        except (ssl.SSLError, OSError, ValueError) as error:
            detail = (
                "The connection's client certificate or key cannot be used: give both as PEM text, "
                "belonging together, the key without a passphrase."
            )
            raise ConfigError(detail, code="CLIENT_CERTIFICATE_INVALID") from error
