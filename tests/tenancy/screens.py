"""Every address of the admin, found in the site's registry, and what the matrix must know to open it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import RequestFactory
from django.urls import URLPattern, reverse
from django_scopes import scope, scopes_disabled

from connections.models import Connection, LinkSession, SystemLogo, SystemSettings, UpstreamCall
from core.ids import new_id
from flows.models import Flow, FlowHookMessage, FlowRun
from syncs.choices import RunStatus
from syncs.models import Issue, Operation, QuarantinedRecord, Record, Sync, SyncRun
from tests.clients import fresh_client
from tests.tenancy.callers import Answer
from tests.tenancy.flowing import FAILED, LOST, WAITING
from tests.tenancy.plant import ADDRESS, KEY, SLUG
from tests.tenancy.world import Side, World
from webhooks.models import Delivery, InboundHook, WebhookEndpoint
from workspaces.models import ApiToken, AuditEvent, DataKey, Event, Membership, SecretPrefix, Workspace

LOGIN = "/admin/login/"


@dataclass(frozen=True)
class Screen:
    """One address of one model's admin; `values` fills what is not the row's id."""

    model: type[Any]
    name: str  # without app and model: changelist, add, change, press, ...
    pattern: str
    values: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        values = "".join(f" {value}" for _, value in self.values)
        return f"{self.model._meta.label_lower} {self.name}{values}"

    @property
    def admin(self) -> Any:
        return admin.site._registry[self.model]

    @property
    def is_object(self) -> bool:
        return "object_id" in self.pattern or "<id>" in self.pattern

    @property
    def key(self) -> tuple[type[Any], str]:
        return self.model, self.name

    @property
    def button(self) -> Any:
        return next((b for b in getattr(self.admin, "buttons", ()) if ("name", b.name) in self.values), None)

    def address(self, side: Side, pk: UUID | None = None) -> str:
        """Of the side's row, or with an id that nobody has."""
        path = self.pattern
        for name, value in self.values:
            path = re.sub(rf"<(?:\w+:)?{name}>", value, path)
        if self.is_object:
            path = re.sub(r"<(?:\w+:)?(object_id|id)>", str(pk or row_of(self, side).pk), path)
        assert "<" not in path, f"{self}: add values of {path} to VALUES in tests/tenancy/screens.py."
        label = self.model._meta
        return f"{reverse('admin:index')}{label.app_label}/{label.model_name}/{path}"

    def is_closed_to_owner(self, world: World) -> bool:
        """What nobody but the operator may do, by the admin's own word or by the list below."""
        if self.name == "redirect":
            return False
        if self.key in CLOSED or self.model in OPERATORS_ONLY:
            return True
        if self.name not in ("add", "delete"):
            return False
        request = request_of_owner(world)
        if self.name == "add":
            return not self.admin.has_add_permission(request)
        return not self.admin.has_delete_permission(request, row_of(self, world.mine))

    def is_read_only(self, world: World) -> bool:
        """Whether its form cannot be sent by anybody, by the admin's own word."""
        if self.name != "change":
            return False
        return not self.admin.has_change_permission(request_of_owner(world), row_of(self, world.mine))


def screens() -> list[Screen]:
    """All addresses of all registered admins; one for each button, and for each value an address can take."""
    admin.site.get_urls()  # brings in what other rooms registered
    found = []
    for model, model_admin in admin.site._registry.items():
        prefix = f"{model._meta.app_label}_{model._meta.model_name}_"
        for pattern in model_admin.get_urls():
            name = (pattern.name or "redirect").removeprefix(prefix)
            for values in _variants(model_admin, str(pattern.pattern)):
                found.append(Screen(model, name, str(pattern.pattern), values))
    return found


def site_screens() -> set[str]:
    """Names of the site's own addresses."""
    return {str(pattern.name) for pattern in admin.site.get_urls() if isinstance(pattern, URLPattern)}


def _variants(model_admin: Any, pattern: str) -> list[tuple[tuple[str, str], ...]]:
    if "/press/" in pattern:
        return [(("name", button.name),) for button in model_admin.buttons]
    return [tuple((name, value) for name, value in VALUES.items() if f":{name}>" in pattern)]


# --- what stands for what ---------------------------------------------------------------------------------------------

VALUES = {"entity": "purchase_order", "number": "1"}
PRESSED_FLOW_RUNS = {"cancel": WAITING, "resolve": LOST}
STARTS_RUNS = {"run", "dry", "test", "pause", "resume"}
"""Buttons of a flow for who may start runs, though not change the flow."""
PRESSED_RUNS = {"cancel": RunStatus.QUEUED, "release": RunStatus.NEEDS_REVIEW, "delete": RunStatus.NEEDS_REVIEW}
OPERATORS_ONLY = {get_user_model(), DataKey, SystemLogo}
CLOSED = {(Record, "history"): "people change no records, so there is no history of it"}
DOES_NOT_WRITE = {"changelist", "history", "live", "redirect", "check", "export", "step", "items"}
"""Screens whose POST shows what GET shows. A POST to any other is refused to who may only look."""
NOT_FOR_AUDITORS = {
    "add",
    "delete",
    "press",
    "revoke",
    "rotate",
    "mapping",
    "mapping_preview",
    "mapping_progress",
    "hook_address",
}
"""Screens that are there to change something: an auditor does not even see their forms."""
ACTIONS = {
    "add": "add",
    "delete": "delete",
    "press": "change",
    "rotate": "change",
    "revoke": "change",
    "mapping": "change",
    "mapping_preview": "change",
    "mapping_progress": "change",
    "hook_address": "change",
}
"""What one must be allowed to do with the row to see or send a screen; to see all others, `view`."""
SENT = {
    "change": "{room}.change_{model}",
    "capabilities": "connections.add_capabilityoverride",
    "version": "flows.change_flow",
}
"""Screens that show more people their form than may send it."""


def permission_of(screen: Screen, method: str) -> str:
    """The permission that opens a screen for GET, or for POST."""
    meta = screen.model._meta
    if screen.key == (Flow, "press") and screen.button.name in STARTS_RUNS:
        return "flows.add_flowrun"
    if method == "post" and screen.name in SENT:
        return SENT[screen.name].format(room=meta.app_label, model=meta.model_name)
    return f"{meta.app_label}.{ACTIONS.get(screen.name, 'view')}_{meta.model_name}"


SITE = {
    "index": "tested as the home page",
    "home_status": "a part of the home page",
    "security": "tested as the page of weaknesses",
    "search": "finds screens by title",
    "autocomplete": "tested for every foreign key",
    "app_list": "the list of screens of one room",
    "view_on_site": "no model has a page of its own, so always 404",
    "login": "asks who one is",
    "logout": "ends one's own session",
    "password_change": "one's own password",
    "password_change_done": "one's own password",
    "jsi18n": "texts of the admin itself",
    "None": "anything else is 404, or the sign-in",
}


def _run(screen: Screen, side: Side) -> SyncRun:
    pressed = dict(screen.values).get("name", "")
    return side.places["plant"].runs[PRESSED_RUNS.get(pressed, RunStatus.NEEDS_REVIEW)]


def _operation(screen: Screen, side: Side) -> Operation:
    """One that failed for the button that tries it again, one that needs a decision for all others."""
    needs_decision, failed = side.places["plant"].operations
    return failed if ("name", "retry") in screen.values else needs_decision


def _flow_run(screen: Screen, side: Side) -> FlowRun:
    pressed = dict(screen.values).get("name", "")
    found: FlowRun = side.places["plant"].flowing.runs[PRESSED_FLOW_RUNS.get(pressed, FAILED)]
    return found


def _event(screen: Screen, side: Side) -> Any:
    with scopes_disabled():
        return Event.objects.get(pk=side.places["plant"].event_ids[0])


def _system_settings(side: Side) -> SystemSettings:
    with scopes_disabled():
        return SystemSettings.objects.get(workspace=side.workspace, environment="live")


def _data_key(screen: Screen, side: Side) -> Any:
    with scopes_disabled():
        return DataKey.objects.get(workspace=side.workspace, is_current=True)


def _secret_prefix(side: Side) -> SecretPrefix:
    with scopes_disabled():
        return SecretPrefix.objects.get(workspace=side.workspace)


def _system_logo() -> SystemLogo:
    """Of the installation, so of no side."""
    logo, _ = SystemLogo.objects.get_or_create(system=SLUG, defaults={"image": b"", "image_type": "image/png"})
    return logo


ROWS: dict[type[Any], Callable[[Screen, Side], Any]] = {
    Workspace: lambda _, side: side.workspace,
    ApiToken: lambda _, side: side.places["plant"].token,
    Event: _event,
    AuditEvent: lambda _, side: side.places["plant"].audit_event,
    get_user_model(): lambda _, side: side.people["auditor"],
    DataKey: _data_key,
    SecretPrefix: lambda _, side: _secret_prefix(side),
    UpstreamCall: lambda _, side: side.places["plant"].calls[0],
    Connection: lambda _, side: side.places["plant"].connection,
    LinkSession: lambda _, side: side.places["plant"].link_session,
    Sync: lambda _, side: side.places["plant"].syncs["purchase_order"],
    SyncRun: _run,
    Operation: _operation,
    Record: lambda _, side: side.places["plant"].records["purchase_order"][0],
    InboundHook: lambda _, side: side.places["plant"].hook,
    Issue: lambda _, side: side.places["plant"].issue,
    QuarantinedRecord: lambda _, side: side.places["plant"].quarantined[0],
    WebhookEndpoint: lambda _, side: side.places["plant"].endpoint,
    Delivery: lambda _, side: side.places["plant"].delivery,
    SystemSettings: lambda _, side: _system_settings(side),
    SystemLogo: lambda *_: _system_logo(),
    Flow: lambda _, side: side.places["plant"].flowing.flow,
    FlowRun: _flow_run,
    FlowHookMessage: lambda _, side: side.places["plant"].flowing.messages[0],
}


def row_of(screen: Screen, side: Side) -> Any:
    assert screen.model in ROWS, f"{screen}: add a row of {screen.model.__name__} to ROWS in tests/tenancy/screens.py."
    return ROWS[screen.model](screen, side)


ADDITIONS: dict[type[Any], tuple[str, dict[str, Any]]] = {
    ApiToken: ("", {"name": "Made by the matrix", "environment": "live", "scopes": ["records:read"]}),
    SystemSettings: ("", {"system": "maintainx", "environment": "live", "enabled": "on", "schedules": "{}"}),
    WebhookEndpoint: ("", {"environment": "live", "url": "https://listener.example/hooks", "payload": "thin"}),
    LinkSession: ("", {"environment": "live", "name": "Made by the matrix", "valid": "3d"}),
    Flow: ("", {"environment": "live", "name": "Made by the matrix", "start": "empty"}),
    Connection: (
        f"?system={SLUG}",
        {
            "name": "Made by the matrix",
            "environment": "live",
            "time_zone": "UTC",
            "metadata": "{}",
            "config__base_url": ADDRESS,
            "secret__api_key": KEY,
        },
    ),
}
"""What the owner can send to add a row of each model that owners may add; the workspace comes on top."""

# --- people -----------------------------------------------------------------------------------------------------------


def add_to_both(world: World) -> Any:
    """An owner of the other workspace who may only look into this one: each row is judged by its own workspace."""
    person = world.theirs.people["owner"]
    with scopes_disabled():
        Membership.objects.create(workspace=world.mine.workspace, user=person, role="auditor")
    return person


def visit(
    world: World, person: Any, address: str, *, method: str = "get", data: Any = None, keep: bool = False
) -> Answer:
    """One request of a signed-in person (None: of nobody); what it wrote is undone, unless told."""
    client = fresh_client() if person is None else world.browsers[person.pk]
    with transaction.atomic():
        response: Any = getattr(client, method)(address, data or {})
        text = response.content.decode()
        if not keep:
            transaction.set_rollback(True)
    return Answer(response.status_code, text, response.get("Location", ""))


def open_screen(world: World, person: Any, screen: Screen) -> Answer:
    """GET, or POST where the screen is a button without a question."""
    address = screen.address(world.mine)
    answer = visit(world, person, address)
    if answer.status == 405 and screen.button is not None and not screen.button.asks:
        return visit(world, person, address, method="post")
    return answer


def stranger_is_refused(
    world: World, person: Any, screen: Screen, method: str, *, expected: Collection[int], told: str
) -> None:
    """Somebody of the other workspace sees nothing, and no more than for an id that nobody has. `told` has a {status}."""
    address, hidden = screen.address(world.mine), world.mine.traces
    answer = visit(world, person, address, method=method, keep=True)
    assert answer.status in expected and not answer.leaks(hidden, sent=address), told.format(answer.status)
    if screen.model not in OPERATORS_ONLY:
        unknown = visit(world, person, screen.address(world.mine, new_id()), method=method)
        assert (unknown.status, unknown.without_ids()) == (answer.status, answer.without_ids()), "it tells what exists"


def rows_made(world: World, person: Any, address: str, data: dict[str, Any], model: type[Any]) -> int:
    """How many rows the workspace has more after the request, which is undone."""
    with scope(workspace=world.mine.workspace.pk), transaction.atomic():
        before = model.objects.count()
        visit(world, person, address, method="post", data=data, keep=True)
        made: int = model.objects.count() - before
        transaction.set_rollback(True)
    return made


def request_of_owner(world: World) -> Any:
    """As the middleware would make it, for asking an admin itself."""
    request: Any = RequestFactory().get("/")
    request.user = world.mine.people["owner"]
    request.workspace_roles = {world.mine.workspace.pk: "owner"}
    return request
