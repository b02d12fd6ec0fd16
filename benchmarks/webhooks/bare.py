"""The bare client of the same transport: libcurl's multi interface as pycurl's own example uses it, and nothing else.

    python -m benchmarks.webhooks.bare URL COUNT IN_FLIGHT

No database, no signatures, no judged addresses: the same headers and body each time. Exit code 1 when an answer was no 200.
"""

from __future__ import annotations

import sys

import pycurl

HEADERS = [
    "Expect:",
    "content-type: application/json",
    "webhook-id: evt_01980000000070008000000000000000",
    "webhook-timestamp: 1800000000",
    "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
]
BODY = b'{"id":"evt_01980000000070008000000000000000","data":{"ids":["' + b"x" * 700 + b'"]}}'


def handle(url: str) -> pycurl.Curl:
    easy = pycurl.Curl()
    easy.setopt(pycurl.URL, url)
    easy.setopt(pycurl.HTTPHEADER, HEADERS)
    easy.setopt(pycurl.POSTFIELDS, BODY)
    easy.setopt(pycurl.NOSIGNAL, 1)
    easy.setopt(pycurl.TIMEOUT, 15)
    easy.setopt(pycurl.WRITEFUNCTION, lambda piece: None)
    return easy


def send(url: str, count: int, in_flight: int) -> bool:
    """POST `count` times; whether all were answered with 200."""
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_MAXCONNECTS, in_flight)
    idle = [handle(url) for _ in range(in_flight)]
    begun = ended = good = 0
    while ended < count:
        while idle and begun < count:
            multi.add_handle(idle.pop())
            begun += 1
        multi.perform()
        left = 1
        while left:
            left, done, failed = multi.info_read()
            for easy in [*done, *(easy for easy, _, _ in failed)]:
                good += easy.getinfo(pycurl.RESPONSE_CODE) == 200
                multi.remove_handle(easy)
                idle.append(easy)
                ended += 1
        if ended < count and not (idle and begun < count):
            multi.select(1.0)
    return good == count


if __name__ == "__main__":
    sys.exit(0 if send(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])) else 1)
