"""Clients that share one handler: loading the middleware, which lists all static files, took four fifths of a request."""

from __future__ import annotations

import warnings
from copy import copy
from functools import cache
from typing import Any

from django.test import Client
from django.test.client import ClientHandler


def fresh_client(**options: Any) -> Client:
    """Nobody's: without cookies. What goes wrong inside is an answer with status 500, unless told."""
    client = Client(**{"raise_request_exception": False, **options})
    client.handler = copy(_handler())  # a test may set its own client's flags
    return client


def browser_of(person: Any, **options: Any) -> Client:
    """A browser in which the person is signed in."""
    client = fresh_client(**options)
    client.force_login(person)
    return client


@cache
def _handler() -> ClientHandler:
    handler = ClientHandler(enforce_csrf_checks=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No directory at")  # static files are not collected for tests
        handler.load_middleware()
    return handler
