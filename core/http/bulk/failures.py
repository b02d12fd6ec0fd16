"""What libcurl's failures mean, by the same codes as the first door's."""

from __future__ import annotations

import errno

import pycurl

# X509_V_ERR_* of OpenSSL, see openssl-verification-options(1).
_VALIDITY = (9, 10)  # not yet valid, expired
# libcurl compares the name by itself, once OpenSSL found the chain good, and leaves no more than "unspecified".
_NAME = (0, 1)
_CODES = {
    pycurl.E_URL_MALFORMAT: "URL_REFUSED",
    pycurl.E_COULDNT_RESOLVE_HOST: "NAME_NOT_FOUND",
    pycurl.E_SSL_CONNECT_ERROR: "TLS_FAILED",
    pycurl.E_SSL_CIPHER: "HANDSHAKE_REFUSED",
    pycurl.E_PARTIAL_FILE: "ANSWER_CUT_OFF",
    pycurl.E_BAD_CONTENT_ENCODING: "UNKNOWN_ENCODING",
    pycurl.E_GOT_NOTHING: "CONNECTION_CUT",
    pycurl.E_SEND_ERROR: "CONNECTION_CUT",
}
# CURLE_WEIRD_SERVER_REPLY and CURLE_TOO_LARGE, for which pycurl has no names.
_WEIRD_SERVER_REPLY, _TOO_LARGE = 8, 100
_ERRNOS = {
    errno.ECONNREFUSED: "CONNECTION_REFUSED",
    errno.EHOSTUNREACH: "NO_ROUTE",
    errno.ENETUNREACH: "NO_ROUTE",
}


def failure_code(easy: pycurl.Curl, error: int) -> str:
    """The code for libcurl's `error` (CURLE_*)."""
    if error == pycurl.E_ABORTED_BY_CALLBACK:  # the time was over before the request began
        return "CONNECT_TIMED_OUT"
    if error == pycurl.E_OPERATION_TIMEDOUT:
        return "READ_TIMED_OUT" if _has_connected(easy) else "CONNECT_TIMED_OUT"
    if error == pycurl.E_COULDNT_CONNECT:
        return _ERRNOS.get(int(easy.getinfo(pycurl.OS_ERRNO)), "HOST_UNREACHABLE")
    if error == pycurl.E_PEER_FAILED_VERIFICATION:
        return _certificate_code(int(easy.getinfo(pycurl.SSL_VERIFYRESULT)))
    if error == pycurl.E_RECV_ERROR:
        return "ANSWER_CUT_OFF" if easy.getinfo(pycurl.RESPONSE_CODE) else "CONNECTION_CUT"
    # The second: an answer without a status line, which libcurl takes for HTTP/0.9.
    if error in (_WEIRD_SERVER_REPLY, pycurl.E_UNSUPPORTED_PROTOCOL):
        return "NOT_HTTP"
    if error == _TOO_LARGE:
        return "HEADERS_TOO_LARGE"
    return _CODES.get(error, "UPSTREAM_UNAVAILABLE")


def _has_connected(easy: pycurl.Curl) -> bool:
    """Whether the request could be sent, which takes a connection and TLS."""
    return bool(easy.getinfo(pycurl.REQUEST_SIZE))


def _certificate_code(verify_result: int) -> str:
    if verify_result in _NAME:
        return "CERTIFICATE_NAME_MISMATCH"
    return "CERTIFICATE_EXPIRED" if verify_result in _VALIDITY else "CERTIFICATE_UNTRUSTED"
