"""A system with the worst of manners: whatever it refuses, it writes the caller's credential into its answer.

It takes credentials in three ways (header, Basic, query parameter); the connectors are those of the test ERP otherwise.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

from integrations.sdk.auth import Basic, HeaderKey, QueryKey
from integrations.sdk.declarations import Secret, Text, Url
from integrations.sdk.pages import CheckResult
from tests.connectors import Answer, Call, TestErp, TestErpServer


class ByHeader(TestErp):
    slug, title = "by-header", "By header"
    auth = HeaderKey("X-Api-Key", secret="api_key")


class ByBasic(TestErp):
    slug, title = "by-basic", "By user and password"
    config: ClassVar[Any] = (Url("base_url"), Text("user"), Secret("password"))
    auth: ClassVar[Any] = Basic("user", "password")


class ByQuery(TestErp):
    slug, title = "by-query", "By query"
    auth: ClassVar[Any] = QueryKey("key", secret="api_key")


class Careless(ByHeader):
    """A connector with a bug in each place where it is run: its exceptions show the secret. It works while the server
    does not say that bugs are out."""

    slug, title = "careless", "Careless"

    def check(self) -> CheckResult:
        self._break("no session for")
        return super().check()

    def fetch_page(self, *given: Any) -> Any:
        self._break("cannot list with")
        return super().fetch_page(*given)

    def fetch_one(self, *given: Any) -> Any:
        self._break("no object for")
        return super().fetch_one(*given)

    def _break(self, text: str) -> None:
        if self.get(self.url("/orders"), {"limit": "1"}).headers.get("x-bugs"):
            secret = self.settings.secrets["api_key"]
            try:
                raise KeyError(f"{text} {secret}")
            except KeyError as error:
                raise ValueError(text, {"headers": {"X-Api-Key": secret}}) from error


@dataclass
class RudeServer(TestErpServer):
    """`credentials` are accepted, all else is refused with an echo. `refuses` is the status with which even these are
    refused, of paths that begin with `on`; empty: none."""

    credentials: set[str] = field(default_factory=set)
    refuses: str = ""
    on: str = ""
    echoes: int = 0
    bugs: bool = False
    """Whether a careless connector shows its bugs."""

    def answer(self, call: Call) -> Answer:
        sent = credential_of(call)
        refused = self.refuses if call.path.startswith(self.on) else ""
        if sent not in self.credentials or refused:
            self.echoes += 1
            return echo(call, sent, refused or "401 Unauthorized", self.echoes)
        call.headers["x-api-key"] = self.api_key
        status, headers, body = super().answer(call)
        return status, {**headers, **({"X-Bugs": "1"} if self.bugs else {})}, body


def credential_of(call: Call) -> str:
    scheme, _, basic = call.headers.get("authorization", "").partition(" ")
    if scheme == "Basic":
        return base64.b64decode(basic).decode().partition(":")[2]
    return call.parameters.get("key") or call.headers.get("x-api-key", "")


def echo(call: Call, sent: str, status: str, number: int) -> Answer:
    """As JSON, text and HTML in turn, always with headers that tell it too."""
    headers = {"X-Debug-Key": sent, "WWW-Authenticate": f'Basic realm="{sent}"', "Warning": f"199 - key {sent}"}
    told = {
        "message": f"{sent} is not a valid key",
        "code": sent,
        "error": {"detail": f"refused: {call.headers}", "key": sent, "request": call.parameters, "body": call.body},
        "seen": [sent, sent.encode().hex(), base64.b64encode(f"user:{sent}".encode()).decode()],
    }
    if number % 3 == 1:
        return status, headers, json.dumps(told).encode()
    kind = "text/plain" if number % 3 == 2 else "text/html"
    return status, {**headers, "Content-Type": kind}, f"<p>{told}</p>".encode()
