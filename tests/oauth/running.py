"""Starting the OAuth server, and being a person in front of it.

with oauth_server(redirect_uri="http://localhost:8000/link/oauth/callback") as server:
    server.base_url, server.client_id, server.client_secret, server.username, server.password
    answer = server.agree(url)      # signs in and agrees, by HTTP; answers the query of the redirect: code, state
    server.journal()                # {"authorization_code": 1, "refresh_token": 2}: exchanges that gave tokens
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
CALLBACK = "http://localhost:8000/link/oauth/callback"


@dataclass
class OAuthServer:
    """The running server. `service_id` and `service_secret` are those of the client of client credentials."""

    base_url: str
    client_id: str
    client_secret: str = field(repr=False)
    service_id: str
    service_secret: str = field(repr=False)
    username: str
    password: str = field(repr=False)
    redirect_uri: str
    pid: int

    # --- what was asked ---------------------------------------------------------------------------------------------

    @property
    def host(self) -> str:
        """Host and port, as a workspace names where its client secret may go."""
        return self.base_url.removeprefix("http://")

    def attempts(self) -> list[dict[str, Any]]:
        """Every request for a token or a session, in order: grant_type ("session" for sign-ins), status, error."""
        found: list[dict[str, Any]] = self._control("journal")["exchanges"]
        return found

    def journal(self) -> dict[str, int]:
        """How many exchanges gave a token, by grant type."""
        done = (each for each in self.attempts() if each["status"] == 200 and not each["error"])
        return dict(Counter(each["grant_type"] for each in done))

    def forget_journal(self) -> None:
        self._control("forget")

    # --- what goes wrong --------------------------------------------------------------------------------------------

    def expire(self) -> None:
        """All access tokens and sessions end now; refresh tokens stay good."""
        self._control("expire")

    def revoke(self) -> None:
        """The person withdraws the consent: no token is good any more."""
        self._control("revoke")

    def fail(self, kind: str, *, times: int = -1, seconds: float = 30.0) -> None:
        """The token endpoint fails: "500", "503", "html", "hang" (for `seconds`, then it answers) or "answer_lost" (it
        gives a token that never arrives). `times` -1: until `heal`."""
        self._control("fail", kind=kind, times=times, seconds=seconds)

    def heal(self) -> None:
        self._control("fail", kind="", times=0)

    def set_redirect_uri(self, uri: str) -> None:
        """Where the app may be sent back to."""
        self._control("client", client_id=self.client_id, changes={"redirect_uris": uri})
        self.redirect_uri = uri

    def set_client_secret(self, secret: str) -> None:
        """The operator of the server replaces the app's secret."""
        self._control("client_secret", client_id=self.client_id, client_secret=secret)
        self.client_secret = secret

    def _control(self, action: str, **given: Any) -> Any:
        answer = requests.post(f"{self.base_url}/control/{action}", json=given, timeout=30)
        answer.raise_for_status()
        return answer.json()

    # --- the person -------------------------------------------------------------------------------------------------

    def agree(self, url: str, *, allow: bool = True) -> dict[str, str]:
        """Open the address of an authorization, sign in, and agree (or not). Answers the query of where the browser is
        sent back to, which is not followed."""
        with requests.Session() as browser:
            page = browser.get(url, timeout=30)
            page = self._submit(browser, page, {"username": self.username, "password": self.password})
            assert "authorizationForm" in page.text, page.text[:500]
            answer = self._submit(browser, page, {"allow": "Authorize"} if allow else {}, follow=False)
        location = answer.headers["Location"]
        assert location.startswith(self.redirect_uri), location
        return dict(parse_qsl(urlsplit(location).query))

    def _submit(
        self, browser: requests.Session, page: requests.Response, values: dict[str, str], *, follow: bool = True
    ) -> requests.Response:
        """Send the page's form with its hidden fields."""
        hidden = {}
        for tag in re.findall(r"<input[^>]*>", page.text):
            found = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            if found.get("type") == "hidden":
                hidden[found["name"]] = unescape(found.get("value", ""))
        headers = {"Referer": page.url}
        return browser.post(page.url, data={**hidden, **values}, headers=headers, allow_redirects=follow, timeout=30)


@contextmanager
def oauth_server(
    *,
    redirect_uri: str = CALLBACK,
    access_seconds: int = 3600,
    grace_seconds: int = 0,
    session_seconds: float = 3600,
    rotates: bool = True,
) -> Iterator[OAuthServer]:
    """A fresh server in a process of its own, on a free loopback port. `grace_seconds`: how long a used refresh token
    still gives what it gave; after that its reuse revokes everything that came of it."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = {
            "database": str(Path(folder) / "server.sqlite3"),
            "access_seconds": access_seconds,
            "grace_seconds": grace_seconds,
            "session_seconds": session_seconds,
            "rotates": rotates,
            "redirect_uri": redirect_uri,
            "client_id": f"lineshaft-{secrets.token_hex(4)}",
            "client_secret": secrets.token_urlsafe(24),
            "service_id": f"plant-{secrets.token_hex(4)}",
            "service_secret": secrets.token_urlsafe(24),
            "username": "integration",
            "password": secrets.token_urlsafe(12),
        }
        process = _start(chosen, Path(folder) / "server.log")
        try:
            yield _described(chosen, process)
        finally:
            _stop(process)


@pytest.fixture
def oauth() -> Iterator[OAuthServer]:
    """A server with rotating refresh tokens, without a grace period."""
    with oauth_server() as server:
        yield server


def _start(chosen: dict[str, Any], log: Path) -> subprocess.Popen[bytes]:
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")},
        "OAUTH_SERVER": json.dumps(chosen),
        "PYTHONWARNINGS": "ignore",
    }
    with log.open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.oauth.server"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )


def _described(chosen: dict[str, Any], process: subprocess.Popen[bytes]) -> OAuthServer:
    assert process.stdout is not None
    line = process.stdout.readline()  # ends with the process, at the latest
    if not line:
        log = (Path(chosen["database"]).parent / "server.log").read_text()
        raise RuntimeError(f"The OAuth server did not start: {log[-2000:]}")
    names = (
        "client_id", "client_secret", "service_id", "service_secret", "username", "password", "redirect_uri",
    )  # fmt: skip
    base_url = f"http://127.0.0.1:{json.loads(line)['port']}"
    return OAuthServer(base_url=base_url, pid=process.pid, **{name: chosen[name] for name in names})


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Its standard input closes, and it ends; else by its pid."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
    process.stdout.close()
