"""Serve until standard input closes, so that no server outlives its test. Says its port in one line of JSON."""

from __future__ import annotations

import json
import os
import socketserver
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.oauth.server.settings"

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from oauth2_provider.models import Application  # type: ignore[import-untyped]  # noqa: E402

from tests.oauth.server import state  # noqa: E402
from tests.oauth.server.settings import CHOSEN  # noqa: E402


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class Handler(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Nothing: what counts is in the journal."""


def fill() -> None:
    """One person, one app for the code flow, one for client credentials."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    get_user_model().objects.create_user(CHOSEN["username"], password=CHOSEN["password"])
    Application.objects.create(
        name="Lineshaft",
        client_id=CHOSEN["client_id"],
        client_secret=CHOSEN["client_secret"],
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris=CHOSEN["redirect_uri"],
    )
    Application.objects.create(
        name="plant",
        client_id=CHOSEN["service_id"],
        client_secret=CHOSEN["service_secret"],
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    )


def main() -> None:
    fill()
    server = make_server("127.0.0.1", 0, get_wsgi_application(), server_class=Server, handler_class=Handler)
    print(json.dumps({"port": server.server_port}), flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    state.stopping.set()
    server.shutdown()


main()
