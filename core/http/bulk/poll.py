"""Waiting for many of libcurl's transfers at once, and for threads that have something to say."""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import suppress
from typing import Any

import pycurl

from core.http.bulk.lane import Lane

_EVENTS = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}


class Poll:
    """libcurl's event interface on a selector: a step costs what happened, not what is in flight."""

    def __init__(self, max_kept: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._ear, self._mouth = socket.socketpair()
        self._ear.setblocking(False)
        self._mouth.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._timer_at: float | None = None
        self._lanes: dict[pycurl.Curl, Lane] = {}
        self._multi = multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_PIPELINING, 0)
        multi.setopt(pycurl.M_MAXCONNECTS, max_kept)
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)

    def add(self, lane: Lane) -> None:
        """Begin at the next step."""
        self._lanes[lane.easy] = lane
        self._multi.add_handle(lane.easy)

    def remove(self, lane: Lane) -> None:
        """Take a lane out, ended or not."""
        self._multi.remove_handle(lane.easy)
        del self._lanes[lane.easy]

    def wake(self) -> None:
        """End the wait of a step; from any thread. A step that comes later does not wait."""
        with suppress(OSError):  # full: it will wake anyway; closed: nobody waits
            self._mouth.send(b"!")

    def step(self, wait_seconds: float) -> None:
        """Move everything on; wait at most so long for something to happen."""
        left = wait_seconds if self._timer_at is None else min(wait_seconds, self._timer_at - time.monotonic())
        for key, mask in self._selector.select(max(0.0, left)):
            if key.fileobj is self._ear:
                self._hear()
            else:
                self._multi.socket_action(key.fd, _mask(mask))
        if self._timer_at is not None and time.monotonic() >= self._timer_at:
            self._timer_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def ended(self) -> list[tuple[Lane, int]]:
        """The lanes whose transfers ended, with libcurl's error or 0. They are still to be removed."""
        found: list[tuple[Lane, int]] = []
        left = 1
        while left:
            left, good, bad = self._multi.info_read()
            found += [(self._lanes[easy], 0) for easy in good]
            found += [(self._lanes[easy], error) for easy, error, _ in bad]
        return found

    def close(self) -> None:
        """Close every connection."""
        self._multi.close()
        self._selector.close()
        self._ear.close()
        self._mouth.close()

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            while self._ear.recv(4096):
                pass

    def _watch(self, what: int, number: int, multi: Any, data: Any) -> None:
        """libcurl tells what it waits for on a socket."""
        if what == pycurl.POLL_REMOVE:
            with suppress(KeyError):
                self._selector.unregister(number)
        elif number in self._selector.get_map():
            self._selector.modify(number, _EVENTS[what])
        else:
            self._selector.register(number, _EVENTS[what])

    def _set_timer(self, milliseconds: int) -> None:
        self._timer_at = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000


def _mask(events: int) -> int:
    reads = pycurl.CSELECT_IN if events & selectors.EVENT_READ else 0
    return reads | (pycurl.CSELECT_OUT if events & selectors.EVENT_WRITE else 0)
