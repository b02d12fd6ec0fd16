"""Who calls the API in the matrix, and what each must never see."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from tests.clients import fresh_client
from tests.tenancy.world import Place, World
from tests.tenants import make_token
from workspaces.choices import Scope
from workspaces.models import ApiToken

OF_BOTH_ENVIRONMENTS = {"audit-events", "audit-events/export", "audit-events/<str:audit_event_id>"}
"""What the log of a workspace tells is not parted by environment: people and members belong to none. Live tokens alone
read it."""


@dataclass(frozen=True)
class Caller:
    """A token. `place` is what it sees of its own; no answer may hold one of `hidden`."""

    name: str
    token: ApiToken
    clear: str
    place: Place
    hidden: frozenset[str]


def owner(world: World) -> Caller:
    """The workspace token of the live environment that all addresses belong to."""
    hidden = world.theirs.traces | world.mine.places["trial"].traces
    return Caller("owner", *world.mine.tokens["live"], world.plant, hidden)


def hidden_from_owner(world: World, path: str) -> frozenset[str]:
    """What the owner must not see in the answer of a route."""
    return world.theirs.traces if path in OF_BOTH_ENVIRONMENTS else owner(world).hidden


def own_connection(world: World) -> Caller:
    """The connection token of the connection that all addresses belong to."""
    others = [place.traces for name, place in world.mine.places.items() if name != "plant"]
    return Caller(
        "own connection", world.plant.token, world.plant.clear, world.plant, world.theirs.traces.union(*others)
    )


def outsiders(world: World) -> list[Caller]:
    """Those for whom the plant does not exist, each with all scopes."""
    mine, theirs = world.mine, world.theirs
    other, trial = mine.places["other"], mine.places["trial"]
    return [
        Caller("stranger", *theirs.tokens["live"], theirs.places["plant"], mine.traces),
        Caller("other environment", *mine.tokens["test"], trial, world.plant.traces | other.traces),
        Caller("other connection", other.token, other.clear, other, world.plant.traces | trial.traces),
    ]


def without_scope(world: World, *needed: Scope) -> str:
    """A token of the owner's workspace with every scope but those that grant one of `needed`."""
    granting = {str(scope) for scope in needed}
    granting |= {scope.replace(":read", ":write") for scope in granting}
    return make_token(world.mine.workspace, name="narrow", scopes=sorted(set(Scope.values) - granting))[1]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    text: str
    headers: str = ""

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        return str(self.body.get("code"))

    def leaks(self, hidden: Collection[str], *, sent: str = "") -> list[str]:
        """Hidden words and ids in the answer, but for those the caller sent."""
        told = f"{self.text} {self.headers}"
        return sorted(word for word in hidden if word in told and word not in sent)

    def without_ids(self) -> str:
        """To compare refusals: whatever differs from request to request is blanked."""
        return re.sub(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", self.text)


def call(
    clear: str | None,
    method: str,
    address: str,
    *,
    body: Any = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    keep: bool = False,
    come_from: str = "127.0.0.1",
) -> Answer:
    """Send one request; what it wrote is undone, unless told."""
    more: dict[str, Any] = {"REMOTE_ADDR": come_from}
    client, data = fresh_client(), {} if body is None else body
    sent = {**(headers or {}), **({"Authorization": f"Bearer {clear}"} if clear else {})}
    with transaction.atomic():
        if method == "GET":
            response: Any = client.get(address, query or {}, headers=sent, **more)
        else:
            send = getattr(client, method.lower())
            response = send(address, data, content_type="application/json", headers=sent, **more)
        text = (b"".join(response) if response.streaming else response.content).decode()
        if not keep:
            transaction.set_rollback(True)
    told = " ".join(response[name] for name in ("Location", "ETag") if name in response)
    return Answer(response.status_code, text, told)
