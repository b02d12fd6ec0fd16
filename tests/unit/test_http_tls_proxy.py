"""Certificates, client certificates and proxies."""

import socket
import ssl
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from core.errors import BadAnswerError, ConfigError, EgressDeniedError, TlsError, TransientError, UnreachableError
from core.http import Door, Request, Response, TlsOptions, connection_policy
from tests.http_peer import Answering, Peer, always, message, peer

LOCAL = connection_policy(["127.0.0.0/8"])
AUTHORITY = trustme.CA()
OTHER_AUTHORITY = trustme.CA()
ERP = AUTHORITY.issue_cert("erp.example", "127.0.0.1")


def pem(blob: trustme.Blob) -> str:
    return blob.bytes().decode()


TRUSTING = TlsOptions(ca_certificate=pem(AUTHORITY.cert_pem))


def server_context(certificate: trustme.LeafCert = ERP) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def get(door: Door, url: str, *, is_write: bool = False, connect_timeout: float = 5) -> Response:
    return door.send(Request("GET", url, total_timeout=5, connect_timeout=connect_timeout, is_write=is_write))


@pytest.fixture(autouse=True)
def names(monkeypatch):
    """erp.example is here; every other name is unknown."""

    def getaddrinfo(host, port, **options):
        if host not in ("erp.example", "proxy.example"):
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_own_authority_is_trusted_and_the_name_is_sent():
    seen = []
    context = server_context()
    context.sni_callback = lambda sock, name, _: seen.append(name)
    with peer(always(message()), context) as server, Door(LOCAL, tls=TRUSTING) as door:
        assert get(door, server.url(host="erp.example")).json() == {"ok": True}
        assert get(door, server.url("/2", host="erp.example")).status == 200
    assert seen == ["erp.example"]
    assert server.accepted == 1
    assert server.received[0].headers["host"] == f"erp.example:{server.port}"


def test_authorities_are_read_when_the_door_is_made_and_not_for_each_connection(monkeypatch):
    """Requests by itself would read its own on every one, and trust them beside ours."""
    with peer(always(message(), stays=False), server_context()) as server, Door(LOCAL, tls=TRUSTING) as door:
        read: list[object] = []
        monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *args, **options: read.append(args))
        assert get(door, server.url()).status == 200
        assert read == []


def test_certificate_for_an_address_is_checked_against_it():
    with peer(always(message()), server_context()) as server, Door(LOCAL, tls=TRUSTING) as door:
        assert get(door, server.url()).status == 200


@pytest.mark.parametrize("tls", [None, TlsOptions(), TlsOptions(ca_certificate=pem(OTHER_AUTHORITY.cert_pem))])
def test_unknown_authority_is_refused_and_the_setting_named(tls):
    with peer(always(message()), server_context()) as server, Door(LOCAL, tls=tls) as door:
        with pytest.raises(TlsError, match="set the connection's CA certificate") as raised:
            get(door, server.url(host="erp.example"))
    assert raised.value.code == "CERTIFICATE_UNTRUSTED"
    assert isinstance(raised.value.__cause__, ssl.SSLCertVerificationError)
    assert server.received == []


def test_certificate_of_another_name_is_refused():
    with peer(always(message()), server_context(AUTHORITY.issue_cert("wms.example"))) as server:
        for host in ("erp.example", "127.0.0.1"):
            with Door(LOCAL, tls=TRUSTING) as door, pytest.raises(TlsError, match="another name") as raised:
                get(door, server.url(host=host))
            assert raised.value.code == "CERTIFICATE_NAME_MISMATCH"


def test_expired_certificate_is_refused():
    yesterday = datetime.now(UTC) - timedelta(days=1)
    expired = AUTHORITY.issue_cert("erp.example", not_before=yesterday - timedelta(days=9), not_after=yesterday)
    with peer(always(message()), server_context(expired)) as server, Door(LOCAL, tls=TRUSTING) as door:
        with pytest.raises(TlsError, match="expired") as raised:
            get(door, server.url(host="erp.example"))
    assert raised.value.code == "CERTIFICATE_EXPIRED"


def test_servers_own_certificate_may_be_given_as_authority():
    options = TlsOptions(ca_certificate=pem(ERP.cert_chain_pems[0]))
    with peer(always(message()), server_context()) as server, Door(LOCAL, tls=options) as door:
        assert get(door, server.url(host="erp.example")).status == 200


def test_plain_http_server_behind_https_is_a_protocol_failure():
    with _raw(lambda sock: (sock.recv(100), sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))) as port:
        with Door(LOCAL) as door, pytest.raises(TlsError, match="speaks no TLS we accept") as raised:
            get(door, f"https://127.0.0.1:{port}/")
    assert raised.value.code == "TLS_FAILED"


def test_old_protocol_is_refused():
    context = server_context()
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with peer(always(message()), context) as server, Door(LOCAL, tls=TRUSTING) as door:
        with pytest.raises(TlsError, match=r"TLS 1\.2"):
            get(door, server.url())


def test_hanging_handshake_ends_with_the_connect_time_limit():
    release = threading.Event()
    with _raw(lambda sock: release.wait(10)) as port, Door(LOCAL) as door:
        begun = time.monotonic()
        with pytest.raises(TransientError) as raised:
            get(door, f"https://127.0.0.1:{port}/", connect_timeout=0.3, is_write=True)
        release.set()
    assert raised.value.code == "CONNECT_TIMED_OUT"
    assert time.monotonic() - begun < 2


def test_dripping_handshake_ends_with_the_connect_time_limit():
    """A record header that announces 16 KB, then one byte at a time."""
    pace = threading.Event()

    def drip(sock):
        sock.sendall(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb")
        while not pace.wait(0.02):
            sock.sendall(b"\0")

    with _raw(drip) as port, Door(LOCAL) as door:
        begun = time.monotonic()
        with pytest.raises(TransientError) as raised:
            get(door, f"https://127.0.0.1:{port}/", connect_timeout=0.4)
        elapsed = time.monotonic() - begun
        pace.set()
    assert raised.value.code == "CONNECT_TIMED_OUT"
    assert elapsed < 2


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"], ids=["headers", "body"])
def test_answer_dripping_over_tls_ends_at_the_total_time_limit(first):
    pace = threading.Event()

    def drip(request, sock):
        sock.sendall(first)
        while not pace.wait(0.02):
            sock.sendall(b"x")
        return False

    with peer(drip, server_context()) as server, Door(LOCAL, tls=TRUSTING) as door:
        begun = time.monotonic()
        with pytest.raises(TransientError) as raised:
            door.send(Request("GET", server.url(), total_timeout=0.4))
        elapsed = time.monotonic() - begun
        pace.set()
    assert raised.value.code == "READ_TIMED_OUT"
    assert elapsed < 2


def test_large_bodies_go_both_ways_over_tls():
    body = bytes(range(256)) * 20_000

    def echo(request, sock):
        sock.sendall(message(request.body))
        return False

    with peer(echo, server_context()) as server:
        with Door(LOCAL, tls=TRUSTING) as door:
            assert door.send(Request("POST", server.url(), content=body, total_timeout=10)).body == body


def test_answer_cut_off_over_tls_is_said():
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nhalf"
    with peer(always(data, stays=False), server_context()) as server, Door(LOCAL, tls=TRUSTING) as door:
        with pytest.raises(BadAnswerError, match="cut off"):
            get(door, server.url())


def test_redirect_from_http_to_https_on_the_same_host_is_followed():
    with peer(always(message()), server_context()) as secure:
        moved = message(b"", "301 Moved", location=secure.url("/end", host="erp.example"))
        with peer(always(moved)) as plain, Door(LOCAL, tls=TRUSTING) as door:
            response = get(door, plain.url(host="erp.example"))
            assert response.url == secure.url("/end", host="erp.example")
        back = message(b"", "301 Moved", location=plain.url(host="erp.example"))
        secure.answer = always(back)
        with Door(LOCAL, tls=TRUSTING) as door, pytest.raises(ConfigError) as raised:
            get(door, secure.url(host="erp.example"))
    assert raised.value.code == "REDIRECT_REFUSED"


def demanding_context() -> ssl.SSLContext:
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    AUTHORITY.configure_trust(context)
    return context


CLIENT = AUTHORITY.issue_cert("client@lineshaft.example")


@pytest.mark.parametrize(
    ("certificate", "key"),
    [
        (pem(CLIENT.cert_chain_pems[0]), pem(CLIENT.private_key_pem)),
        (pem(CLIENT.cert_chain_pems[0]) + pem(CLIENT.private_key_pem), None),
    ],
    ids=["two texts", "one text"],
)
def test_client_certificate_is_shown(certificate, key):
    options = TlsOptions(pem(AUTHORITY.cert_pem), certificate, key)
    with peer(always(message()), demanding_context()) as server, Door(LOCAL, tls=options) as door:
        assert get(door, server.url()).status == 200


@pytest.mark.parametrize("is_write", [False, True], ids=["read", "write"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_missing_client_certificate_is_said(is_write, version):
    context = demanding_context()
    context.maximum_version = version
    with peer(always(message()), context) as server, Door(LOCAL, tls=TRUSTING) as door:
        with pytest.raises(TlsError, match=r"client\s+certificate and key") as raised:
            get(door, server.url(), is_write=is_write)
    # TLS 1.2 has no alert that says it.
    assert raised.value.code == (
        "HANDSHAKE_REFUSED" if version == ssl.TLSVersion.TLSv1_2 else "CLIENT_CERTIFICATE_REFUSED"
    )
    assert server.received == []


def _encrypted_key() -> str:
    key = load_pem_private_key(CLIENT.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass")).decode()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (TlsOptions(ca_certificate="no pem"), "CA_CERTIFICATE_INVALID"),
        (TlsOptions(ca_certificate="Ünsinn"), "CA_CERTIFICATE_INVALID"),
        (TlsOptions(None, pem(CLIENT.cert_chain_pems[0]), None), "CLIENT_CERTIFICATE_INVALID"),
        (TlsOptions(None, pem(CLIENT.cert_chain_pems[0]), pem(ERP.private_key_pem)), "CLIENT_CERTIFICATE_INVALID"),
        (TlsOptions(None, pem(CLIENT.cert_chain_pems[0]), _encrypted_key()), "CLIENT_CERTIFICATE_INVALID"),
        (TlsOptions(None, "no pem", "no pem"), "CLIENT_CERTIFICATE_INVALID"),
    ],
    ids=["ca", "ca letters", "no key", "another key", "encrypted key", "no certificate"],
)
def test_certificate_that_cannot_be_read_is_said_when_the_door_is_made(options, code):
    with pytest.raises(ConfigError) as raised:
        Door(LOCAL, tls=options)
    assert raised.value.code == code


def test_client_key_is_not_shown():
    assert "PRIVATE" not in repr(TlsOptions(None, "certificate", "-----BEGIN PRIVATE KEY-----"))


# Proxies


@contextmanager
def _raw(serve):
    """A listener that gives its first connection to `serve`. Yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run():
            sock, _ = listener.accept()
            with sock:
                try:
                    serve(sock)
                except OSError:
                    return  # the client hung up, as these tests want

        thread = threading.Thread(target=run)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def tunnel(target: Peer) -> Answering:
    """CONNECT always leads to `target`, whatever name was asked for."""

    def answer(request, sock):
        with socket.socket() as upstream:
            upstream.connect(("127.0.0.1", target.port))
            sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(upstream, sock))
            back.start()
            _pump(sock, upstream)
            back.join(10)
        return False

    return answer


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return  # either side is gone


def via(proxy: Peer, user: str = "") -> str:
    return f"http://{user}proxy.example:{proxy.port}"


def test_https_is_tunnelled_and_verified_end_to_end():
    with peer(always(message()), server_context(AUTHORITY.issue_cert("far.example"))) as target:
        with peer(tunnel(target)) as proxy, Door(LOCAL, tls=TRUSTING, proxy=via(proxy, "me:p%40ss@")) as door:
            for _ in range(2):
                assert get(door, "https://far.example/x").json() == {"ok": True}
    assert [(each.method, each.path) for each in proxy.received] == [("CONNECT", "far.example:443")]
    assert proxy.received[0].headers["proxy-authorization"] == "Basic bWU6cEBzcw=="
    assert target.received[0].headers["host"] == "far.example"
    assert "proxy-authorization" not in target.received[0].headers


def test_wrong_name_behind_a_tunnel_is_refused():
    with peer(always(message()), server_context()) as target, peer(tunnel(target)) as proxy:
        with Door(LOCAL, tls=TRUSTING, proxy=via(proxy)) as door, pytest.raises(TlsError, match="another name"):
            get(door, "https://far.example/")


def test_http_is_asked_from_the_proxy_by_its_full_address():
    with peer(always(message())) as proxy, Door(LOCAL, proxy=via(proxy, "me:pass@")) as door:
        get(door, "http://far.example:8080/x?y=1")
    received = proxy.received[0]
    assert received.path == "http://far.example:8080/x?y=1"
    assert received.headers["host"] == "far.example:8080"
    assert received.headers["proxy-authorization"] == "Basic bWU6cGFzcw=="


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            ConfigError,
            "PROXY_AUTHENTICATION_FAILED",
        ),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", EgressDeniedError, "PROXY_REFUSED"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", UnreachableError, "PROXY_FAILED"),
        (b"", UnreachableError, "CONNECTION_CUT"),
        (b"nonsense\r\n", UnreachableError, "HOST_UNREACHABLE"),
    ],
)
def test_proxy_that_makes_no_tunnel_is_said(answer, kind, code):
    with peer(always(answer, stays=False)) as proxy, Door(LOCAL, proxy=via(proxy)) as door:
        with pytest.raises(kind) as raised:
            get(door, "https://far.example/", is_write=True)
    assert raised.value.code == code


@pytest.mark.parametrize("is_write", [False, True], ids=["read", "write"])
def test_handshake_behind_a_slow_proxy_ends_at_the_total_time_limit(is_write):
    """The proxy takes most of the time for its answer; the handshake behind it gets the rest, not all of it again."""
    pace = threading.Event()

    def slowly(request, sock):
        pace.wait(0.6)
        sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        sock.recv(65536)
        sock.sendall(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb")
        while not pace.wait(0.02):
            sock.sendall(b"\0")
        return False

    with peer(slowly) as proxy, Door(LOCAL, proxy=via(proxy)) as door:
        begun = time.monotonic()
        with pytest.raises(TransientError) as raised:
            door.send(Request("POST", "https://far.example/", total_timeout=0.8, connect_timeout=5, is_write=is_write))
        elapsed = time.monotonic() - begun
        pace.set()
    assert raised.value.code == "CONNECT_TIMED_OUT"
    assert 0.75 < elapsed < 1.35


def test_path_is_asked_from_the_proxy_as_it_was_judged():
    with peer(always(message())) as proxy, Door(LOCAL, proxy=via(proxy)) as door:
        get(door, "http://far.example/a%2Fb?q=%7e'&x=http://y/../z")
    assert proxy.received[0].path == "http://far.example/a%2Fb?q=%7E'&x=http://y/../z"


def test_proxys_own_address_is_judged():
    with peer(always(message())) as proxy, Door(connection_policy(), proxy=via(proxy)) as door:
        with pytest.raises(EgressDeniedError, match=r"proxy\.example"):
            get(door, "http://far.example/")
    assert proxy.accepted == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "https://[::ffff:169.254.169.254]/",
        "http://metadata.google.internal/",
        "http://METADATA./",
    ],
)
def test_target_behind_a_proxy_is_judged_as_far_as_it_is_known(url):
    with peer(always(message())) as proxy, Door(LOCAL, proxy=via(proxy)) as door, pytest.raises(EgressDeniedError):
        get(door, url)
    assert proxy.accepted == 0


def test_unreachable_proxy_is_named():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Door(LOCAL, proxy=f"http://127.0.0.1:{port}") as door:
        with pytest.raises(UnreachableError, match=r"the proxy 127\.0\.0\.1 refused"):
            get(door, "http://far.example/")


@pytest.mark.parametrize(
    "proxy", ["https://proxy.example:1", "socks5://proxy.example:1", "proxy.example:1", "http://a b:1"]
)
def test_proxy_that_cannot_be_used_is_refused_when_the_door_is_made(proxy):
    with pytest.raises(ConfigError):
        Door(LOCAL, proxy=proxy)
