"""What went wrong on the wire, in plain words and with the category that tells what to do."""

from __future__ import annotations

import errno
import http.client
import ssl

import urllib3

from core.errors import (
    BadAnswerError,
    LineshaftError,
    SourceAnswer,
    TimeoutUnknownError,
    TlsError,
    TransientError,
    UnreachableError,
)

# X509_V_ERR_* of OpenSSL, see openssl-verification-options(1).
_NOT_YET_VALID, _EXPIRED, _NAME_MISMATCH, _ADDRESS_MISMATCH = 9, 10, 62, 64

WIRE_ERRORS = (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError, BadAnswerError)


def connect_failure(error: Exception, host: str) -> LineshaftError:
    """The error for a connection to `host` that was not made; nothing was asked yet, so trying again is safe."""
    if isinstance(error, TimeoutError):
        return TransientError(f"{host} did not accept a connection in time.", code="CONNECT_TIMED_OUT")
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_failure(error, host)
    if isinstance(error, ssl.SSLEOFError | ConnectionResetError | BrokenPipeError):
        return UnreachableError(f"{host} closed the connection while it was being made.", code="CONNECTION_CUT")
    if isinstance(error, ssl.SSLError):
        return _protocol_failure(error, host)
    if isinstance(error, ConnectionRefusedError):
        detail = f"{host} refused the connection: nothing listens on that port, or a firewall rejects it."
        return UnreachableError(detail, code="CONNECTION_REFUSED")
    if isinstance(error, OSError) and error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return UnreachableError(f"There is no route to {host} from this machine.", code="NO_ROUTE")
    return UnreachableError(f"No connection to {host} could be made.", log_detail=repr(error))


def talk_failure(error: Exception, host: str, *, is_write: bool, status: int | None) -> LineshaftError:
    """The error for a call that broke after sending began. `status` is that of the answer, once it had come.

    Errors: a write becomes TimeoutUnknownError, unless the server refused us before it read anything.
    """
    root = error.__cause__ if isinstance(error, urllib3.exceptions.HTTPError) and error.__cause__ else error
    if isinstance(root, ssl.SSLError) and _is_refused_client(root):
        detail = f"{host} demands a client certificate it knows: set the connection's client certificate and key."
        return TlsError(detail, code="CLIENT_CERTIFICATE_REFUSED")
    failure = _broken(root, host, status)
    if not is_write:
        return failure
    return TimeoutUnknownError(
        f"{failure.detail} Whether the write was done is not known: it must be looked up before it is tried again.",
        source=SourceAnswer(status=status, code=failure.code),
        log_detail=failure.log_detail,
    )


def _broken(root: BaseException, host: str, status: int | None) -> LineshaftError:
    if isinstance(root, LineshaftError):
        return root
    if isinstance(root, TimeoutError):
        return TransientError(f"{host} did not answer in full within the time limit.", code="READ_TIMED_OUT")
    if isinstance(root, http.client.IncompleteRead) or (status is not None and isinstance(root, OSError)):
        return BadAnswerError(f"The answer of {host} was cut off.", code="ANSWER_CUT_OFF", log_detail=repr(root))
    if isinstance(root, OSError):
        return TransientError(
            f"{host} cut the connection before it answered.", code="CONNECTION_CUT", log_detail=repr(root)
        )
    return BadAnswerError(f"{host} does not answer in HTTP.", code="NOT_HTTP", log_detail=type(root).__name__)


def _certificate_failure(error: ssl.SSLCertVerificationError, host: str) -> TlsError:
    log_detail = f"verify code {error.verify_code}: {error.verify_message}"
    if error.verify_code in (_NAME_MISMATCH, _ADDRESS_MISMATCH):
        detail = f"The certificate of {host} was made for another name: use the name it was made for as the address."
        return TlsError(detail, code="CERTIFICATE_NAME_MISMATCH", log_detail=log_detail)
    if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
        detail = f"The certificate of {host} has expired or is not yet valid: the system's owner must renew it."
        return TlsError(detail, code="CERTIFICATE_EXPIRED", log_detail=log_detail)
    detail = (
        f"The certificate of {host} is not signed by an authority we know: "
        "if it is the company's own, set the connection's CA certificate."
    )
    return TlsError(detail, code="CERTIFICATE_UNTRUSTED", log_detail=log_detail)


def _protocol_failure(error: ssl.SSLError, host: str) -> TlsError:
    if _is_refused_client(error):
        detail = f"{host} demands a client certificate it knows: set the connection's client certificate and key."
        return TlsError(detail, code="CLIENT_CERTIFICATE_REFUSED", log_detail=repr(error))
    if error.reason == "SSLV3_ALERT_HANDSHAKE_FAILURE":
        detail = (
            f"{host} refused the TLS handshake. Either it demands a client certificate: set the connection's client "
            "certificate and key. Or it speaks only ciphers that are no longer safe."
        )
        return TlsError(detail, code="HANDSHAKE_REFUSED", log_detail=repr(error))
    detail = (
        f"{host} speaks no TLS we accept on this port (TLS 1.2 or newer is needed): check the port and http or https."
    )
    return TlsError(detail, log_detail=repr(error))


def _is_refused_client(error: ssl.SSLError) -> bool:
    """Alerts by which a server refuses our certificate; they come before it reads a request."""
    reason = error.reason or ""
    return "_ALERT_" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason)
