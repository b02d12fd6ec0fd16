"""Every route of the API, found in the URL configuration, and what the matrix must know to call it.

A new route appears by itself. What it lacks here (an id for a part of its address, a body, a value of a parameter) fails
its test with the name of the table to add to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django_scopes import scopes_disabled

from connections.choices import ConnectionStatus, LinkStatus
from connections.models import Connection, LinkSession
from connections.services.linking.digests import digest
from connections.views import ConnectionScopedView
from core.ids import new_id
from integrations.entities import ENTITIES
from syncs.api.records import RecordView
from syncs.choices import RunStatus
from tests.tenancy import flowing
from tests.tenancy.plant import ADDRESS, KEY, SLUG
from tests.tenancy.world import Place, shown
from workspaces.views import ApiView

API = "api/v1/"
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Route:
    """One method of one address below /api/v1/."""

    method: str
    path: str
    view: type[ApiView]

    def __str__(self) -> str:
        return f"{self.method} /{self.path}"

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.path

    @property
    def kwargs(self) -> list[str]:
        return re.findall(r"<(?:\w+:)?(\w+)>", self.path)

    @property
    def names_connection(self) -> bool:
        """Its connection is named by header, for callers with a workspace token."""
        return issubclass(self.view, ConnectionScopedView)

    @property
    def is_object(self) -> bool:
        """It is about something that belongs to somebody: 404 for everybody else."""
        return self.names_connection or any(name in OBJECTS for name in self.kwargs)

    @property
    def scope(self) -> str:
        """The scope it declares, as that of its entity where it is about one."""
        declared, entity = self.view.scopes[self.method], getattr(self.view, "entity", None)
        area, _, action = str(declared).partition(":")
        return f"{area}.{entity.describes.name}:{action}" if entity and area == "records" else str(declared)

    @property
    def other_scope(self) -> str | None:
        """Another one that is enough."""
        found = getattr(self.view, "or_scopes", {}).get(self.method)
        return str(found) if found else None

    @property
    def parameters(self) -> list[str]:
        return sorted(self.view.parameters.get(self.method, ()))

    def address(self, place: Place, **other: str) -> str:
        path = self.path
        for name in self.kwargs:
            value = other.get(name) or self._value(name, place)
            path = re.sub(rf"<(?:\w+:)?{name}>", value, path)
        return f"/{API}{path}"

    def unknown_address(self, place: Place) -> str:
        """The same with ids that nobody has."""
        ids = {name: self._value(name, place) for name in self.kwargs if name in OBJECTS}
        return self.address(place, **{name: f"{text.rpartition('_')[0]}_{new_id().hex}" for name, text in ids.items()})

    def body(self) -> Any:
        if self.method == "GET":
            return None
        assert self.key in BODIES, f"{self}: add its body to BODIES in tests/tenancy/routes.py (None: it takes none)."
        return BODIES[self.key]

    def _value(self, name: str, place: Place) -> str:
        if name in PLAIN:
            return PLAIN[name]
        assert name in OBJECTS, (
            f"{self}: add a row for <{name}> to OBJECTS in tests/tenancy/routes.py, or its value to PLAIN when it"
            " names nothing that belongs to anybody."
        )
        return OBJECTS[name](place, self)


def api_routes() -> list[Route]:
    """All methods of all addresses below /api/v1/."""
    return [
        Route(method.upper(), path.removeprefix(API), view)
        for path, view in walk(get_resolver())
        if path.startswith(API)
        for method in METHODS
        if hasattr(view, method)
    ]


def walk(resolver: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(address, view class or function) of everything the project answers to, the admin as one."""
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver) and pattern.app_name != "admin":
            yield from walk(pattern, path)
        elif isinstance(pattern, URLPattern):
            view: Any = pattern.callback
            yield path, getattr(view, "cls", None) or getattr(view, "view_class", None) or view
        else:
            yield path, None


# --- addresses --------------------------------------------------------------------------------------------------------

OUTSIDE_THE_API = {
    "": "leads to the admin, which asks who one is",
    "admin/": "has a matrix of its own",
    "livez": "says that the process lives, nothing else",
    "readyz": "says that the database answers and is migrated, nothing else",
    "healthz/worker": "says how long due work waits, over the whole installation and without names",
    "api/schema": "the API's own description, the same for everybody",
    "api/docs": "the same as a page",
    "link/link.js": "a script for pages of other products, the same for everybody",
    "link/systems/<slug:slug>/logo": "pictures of systems, of the whole installation",
    "hooks/<str:connection_id>/<str:secret>": "for who has the address; shows nothing",
    "flow-hooks/<str:flow_id>/<str:secret>": "for who has the address; shows nothing",
    "link/oauth/callback": "belongs to the browser that was sent away; tested in the matrix of links",
    **{
        f"link/<str:token>{step}": "for who has the link; has a matrix of its own"
        for step in (
            "", "/theme.css", "/logo", "/take-over", "/system", "/connect", "/result", "/places", "/share", "/cancel",
        )
    },
}  # fmt: skip
SHARED = {
    "systems": "the catalogue of the installation, the same for every token",
    "systems/<str:slug>": "one entry of the catalogue",
    "flow-schema": "the form of definitions",
    "flow-templates": "ready flows of the release",
}


def _run(place: Place, route: Route) -> str:
    by_route = {"cancel": RunStatus.QUEUED, "review": RunStatus.NEEDS_REVIEW, "suspects": RunStatus.NEEDS_REVIEW}
    return shown("run", place.runs[by_route.get(route.path.rpartition("/")[2], RunStatus.COMPLETED)])


def _record(place: Place, route: Route) -> str:
    assert issubclass(route.view, RecordView), f"{route}: which record does <record_id> mean here?"
    described = route.view.entity.describes
    return shown(described.id_prefix, place.records[described.name][0])


def _operation(place: Place, route: Route) -> str:
    """One that failed to try again, one that needs a decision for the rest."""
    needs_decision, failed = place.operations
    return shown("op", failed if route.path.endswith("/retry") else needs_decision)


def _flow(place: Place, route: Route) -> str:
    """One with runs under way, which cannot be deleted, or one that rests."""
    return shown(
        "flow", place.flowing.resting if route.key == ("DELETE", "flows/<str:flow_id>") else place.flowing.flow
    )


def _flow_run(place: Place, route: Route) -> str:
    by_route = {"cancel": flowing.WAITING, "resolve": flowing.LOST}
    return shown("frun", place.flowing.runs[by_route.get(route.path.rpartition("/")[2], flowing.FAILED)])


OBJECTS: dict[str, Callable[[Place, Route], str]] = {
    "connection_id": lambda place, _: place.shown_id,
    "sync_id": lambda place, _: shown("syn", place.syncs["purchase_order"]),
    "run_id": _run,
    "token_id": lambda place, _: shown("tok", place.token),
    "record_id": _record,
    "operation_id": _operation,
    "audit_event_id": lambda place, _: shown("aud", place.audit_event),
}
OBJECTS["endpoint_id"] = lambda place, _: shown("whe", place.endpoint)
OBJECTS["delivery_id"] = lambda place, _: shown("whd", place.delivery)
OBJECTS["issue_id"] = lambda place, _: shown("iss", place.issue)
OBJECTS["session_id"] = lambda place, _: shown("lnk", place.link_session)
OBJECTS["flow_id"], OBJECTS["flow_run_id"] = _flow, _flow_run
PLAIN = {"slug": SLUG, "entity": "purchase_order", "action": "approve"}
PLAIN |= {"version": "1", "number": "1", "secret_name": flowing.SECRET, "step_name": flowing.STEP}

# --- bodies ------------------------------------------------------------------------------------------------------------

_ROWS = {"rows": [{"target": "notes", "source": "number"}]}
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "tokens"): {"name": "Made by the matrix", "scopes": ["records:read"]},
    ("POST", "tokens/<str:token_id>/rotate"): {"overlap_seconds": 3600},
    ("POST", "tokens/<str:token_id>/revoke"): None,
    ("POST", "connections"): {
        "system": SLUG,
        "name": "Made by the matrix",
        "config": {"base_url": ADDRESS},
        "secrets": {"api_key": KEY},
    },
    ("PATCH", "connections/<str:connection_id>"): {"name": "Renamed"},
    ("POST", "connections/<str:connection_id>/check"): None,
    ("POST", "connections/<str:connection_id>/pause"): None,
    ("POST", "connections/<str:connection_id>/resume"): None,
    ("POST", "connections/<str:connection_id>/disconnect"): None,
    ("POST", "connections/<str:connection_id>/hook-address"): {"signing_secrets": ["made by the matrix"]},
    ("PATCH", "connections/<str:connection_id>/hook-address"): {"signing_secrets": ["made by the matrix"]},
    ("DELETE", "connections/<str:connection_id>/hook-address"): None,
    ("POST", "connections/<str:connection_id>/reconnect"): {"secrets": {"api_key": KEY}},
    ("DELETE", "connections/<str:connection_id>"): None,
    ("PUT", "connections/<str:connection_id>/capabilities/overrides"): {
        "overrides": [{"entity": "purchase_order", "operation": "update"}]
    },
    ("POST", "connections/<str:connection_id>/tokens"): {"name": "Made by the matrix", "scopes": ["records:read"]},
    ("PUT", "connections/<str:connection_id>/mappings/<str:entity>"): _ROWS,
    ("DELETE", "connections/<str:connection_id>/mappings/<str:entity>"): None,
    ("POST", "connections/<str:connection_id>/mappings/<str:entity>/preview"): _ROWS,
    ("POST", "connections/<str:connection_id>/mappings/<str:entity>/trial"): _ROWS,
    ("POST", "connections/<str:connection_id>/mappings/<str:entity>/versions/<int:version>/restore"): {},
    ("POST", "link-sessions"): {"name": "Made by the matrix", "entities": {"purchase_order": "read"}},
    ("POST", "link-sessions/<str:session_id>/cancel"): None,
    ("POST", "link-sessions/exchange"): {"code": "the matrix' own code"},
    ("POST", "webhook-endpoints"): {"url": "https://listener.example/hooks", "event_types": ["sync.completed"]},
    ("PATCH", "webhook-endpoints/<str:endpoint_id>"): {"description": "Renamed"},
    ("DELETE", "webhook-endpoints/<str:endpoint_id>"): None,
    **{("POST", f"webhook-endpoints/<str:endpoint_id>/{state}"): None for state in ("pause", "resume", "enable")},
    ("POST", "webhook-endpoints/<str:endpoint_id>/rotate-secret"): {"overlap_seconds": 3600},
    ("POST", "webhook-endpoints/<str:endpoint_id>/test"): {"type": "sync.completed"},
    ("POST", "webhook-endpoints/<str:endpoint_id>/recover"): {"since": "2026-10-05T00:00:00Z"},
    ("POST", "webhook-deliveries/<str:delivery_id>/resend"): None,
    ("POST", "issues/<str:issue_id>/acknowledge"): None,
    ("POST", "flows"): {"name": "Made by the matrix", "definition": flowing.definition_of("matrix")},
    ("POST", "flows/validate"): {"definition": flowing.definition_of("matrix")},
    ("PATCH", "flows/<str:flow_id>"): {"description": "Renamed"},
    ("DELETE", "flows/<str:flow_id>"): None,
    **{("POST", f"flows/<str:flow_id>/{state}"): None for state in ("publish", "pause", "resume")},
    ("PUT", "flows/<str:flow_id>/secrets/<str:secret_name>"): {"value": "made by the matrix"},
    ("DELETE", "flows/<str:flow_id>/secrets/<str:secret_name>"): None,
    ("POST", "flows/<str:flow_id>/hook"): {"signing_secret": "made by the matrix"},
    ("PATCH", "flows/<str:flow_id>/hook"): {"signing_secret": "made by the matrix"},
    ("DELETE", "flows/<str:flow_id>/hook"): None,
    ("POST", "flows/<str:flow_id>/runs"): {"body": {"made": "by the matrix"}},
    ("POST", "flows/<str:flow_id>/dry-run"): {"input": {"kind": "api", "body": {}}},
    ("POST", "flows/<str:flow_id>/steps/<str:step_name>/test"): {"input": {}},
    **{("POST", f"flow-runs/<str:flow_run_id>/{act}"): None for act in ("cancel", "retry", "rerun")},
    ("POST", "flow-runs/<str:flow_run_id>/resolve"): {"outcome": "failed"},
    ("PATCH", "syncs/<str:sync_id>"): {"interval_seconds": 300},
    ("POST", "syncs/<str:sync_id>/pause"): None,
    ("POST", "syncs/<str:sync_id>/resume"): None,
    ("POST", "syncs/<str:sync_id>/runs"): {"mode": "full"},
    ("POST", "sync-runs/<str:run_id>/cancel"): None,
    ("POST", "sync-runs/<str:run_id>/review"): {"decision": "delete"},
    ("PATCH", "systems/<str:slug>/settings"): {"oauth_client_id": "made-by-the-matrix"},
    ("POST", "passthrough"): {"method": "GET", "path": "/meters"},
    ("POST", "operations/<str:operation_id>/retry"): None,
    ("POST", "operations/<str:operation_id>/resolve"): {"outcome": "not_done"},
}
_NUMBER = {"number": "Made by the matrix"}
for _slug in (entity.describes.slug for entity in ENTITIES.values()):
    BODIES |= {
        ("POST", _slug): _NUMBER,
        ("POST", f"{_slug}/bulk"): {"items": [{"operation": "create", "body": _NUMBER}]},
        ("PATCH", f"{_slug}/<str:record_id>"): _NUMBER,
        ("DELETE", f"{_slug}/<str:record_id>"): None,
        ("POST", f"{_slug}/<str:record_id>/refresh"): None,
        ("POST", f"{_slug}/<str:record_id>/actions/<str:action>"): None,
    }


def _disconnected(place: Place) -> None:
    """As the row stands after a disconnect; the tokens stay, so that all callers are told by the route itself."""
    with scopes_disabled():
        Connection.objects.filter(pk=place.connection.pk).update(health=ConnectionStatus.DISCONNECTED)


def _finished(place: Place) -> None:
    """As the row stands once the customer has finished, with a code that does not end."""
    with scopes_disabled():
        LinkSession.objects.filter(pk=place.link_session.pk).update(
            status=LinkStatus.FINISHED,
            connection=place.connection,
            code_digest=digest("code", BODIES["POST", "link-sessions/exchange"]["code"]),
            code_expires_at=datetime(2100, 1, 1, tzinfo=UTC),
        )


PREPARED: dict[tuple[str, str], Callable[[Place], None]] = {
    ("POST", "link-sessions/exchange"): _finished,
    ("POST", "connections/<str:connection_id>/reconnect"): _disconnected,
}
"""Routes that need their object in a state of its own."""
REFUSED = {
    **{
        (("GET", path), caller): 403
        for path in ("audit-events", "audit-events/export")
        for caller in ("own connection", "other connection", "other environment")
    },
    (("GET", "link-sessions"), "own connection"): 403,
    (("GET", "link-sessions"), "other connection"): 403,
    (("POST", "link-sessions"), "own connection"): 403,
    (("POST", "link-sessions"), "other connection"): 403,
    (("POST", "link-sessions/exchange"), "own connection"): 403,
    (("POST", "link-sessions/exchange"), "other connection"): 403,
    (("POST", "link-sessions/exchange"), "stranger"): 404,
    (("POST", "link-sessions/exchange"), "other environment"): 404,
    **{
        (key, caller): 403
        for key in (
            ("GET", "webhook-endpoints"),
            ("POST", "webhook-endpoints"),
            ("GET", "webhook-deliveries"),
            ("GET", "flows"),
            ("POST", "flows"),
            ("POST", "flows/validate"),
            ("GET", "flow-runs"),
        )
        for caller in ("own connection", "other connection")
    },
    (("POST", "connections"), "own connection"): 403,
    (("POST", "connections"), "other connection"): 403,
    (("GET", "systems/<str:slug>/settings"), "own connection"): 403,
    (("GET", "systems/<str:slug>/settings"), "other connection"): 403,
    (("PATCH", "systems/<str:slug>/settings"), "own connection"): 403,
    (("PATCH", "systems/<str:slug>/settings"), "other connection"): 403,
}
"""What the API documents as refused to a caller who may otherwise call the route: a connection token makes none."""

WORKSPACE_ONLY = {
    "audit-events/<str:audit_event_id>",
    "link-sessions/<str:session_id>",
    "link-sessions/<str:session_id>/cancel",
    "webhook-endpoints/<str:endpoint_id>",
    *(
        f"webhook-endpoints/<str:endpoint_id>/{last}"
        for last in ("pause", "resume", "enable", "rotate-secret", "test", "recover")
    ),
    "webhook-deliveries/<str:delivery_id>",
    "webhook-deliveries/<str:delivery_id>/resend",
    "flows/<str:flow_id>",
    *(
        f"flows/<str:flow_id>/{rest}"
        for rest in (
            "export", "publish", "pause", "resume", "versions", "versions/<int:number>", "secrets",
            "secrets/<str:secret_name>", "hook", "messages", "runs", "dry-run", "steps/<str:step_name>/test",
        )
    ),
    "flow-runs/<str:flow_run_id>",
    *(f"flow-runs/<str:flow_run_id>/{rest}" for rest in ("steps", "cancel", "retry", "rerun", "resolve")),
}  # fmt: skip
"""Objects that connection tokens do not see, whatever connection they are about."""

# --- query parameters -------------------------------------------------------------------------------------------------

LATE = "2026-01-01T00:00:00Z"
PARAMETERS: dict[str, Callable[[Place], str]] = {
    "limit": lambda _: "5",
    "after": lambda _: "0",
    "against": lambda _: "0",
    "type": lambda _: "sync.completed",
    "system": lambda _: SLUG,
    "mode": lambda _: "full",
    "op": lambda _: "update",
    "entity": lambda _: "purchase_order",
    "include": lambda _: "raw",
    "include_deleted": lambda _: "true",
    "created_after": lambda _: LATE,
    "created_before": lambda _: "2100-01-01T00:00:00Z",
    "modified_after": lambda _: LATE,
    "remote_modified_after": lambda _: LATE,
    "remote_created_after": lambda _: LATE,
    "connection": lambda place: place.shown_id,
    "sync": lambda place: shown("syn", place.syncs["purchase_order"]),
    "run": lambda place: shown("run", place.runs[RunStatus.COMPLETED]),
    "operation": lambda place: f"op_{place.operation_id.hex}",
    "kind": lambda _: "create",
    "state": lambda _: "open",
    "record": lambda place: shown("po", place.records["purchase_order"][0]),
    "batch": lambda place: f"bat_{place.operations[0].batch_id.hex}",
    "customer_reference": lambda place: place.connection.customer_reference,
    "q": lambda place: place.word,
    "remote_id": lambda place: f"{place.word}-1",
    "action": lambda place: place.audit_event.action,
    "object": lambda place: place.shown_id,
    "actor": lambda place: place.audit_event.actor,
    "outcome": lambda _: "done",
    "since": lambda _: LATE,
    "until": lambda _: "2100-01-01T00:00:00Z",
    "format": lambda _: "csv",
    "wait": lambda _: "0",
    "endpoint": lambda place: shown("whe", place.endpoint),
    "event": lambda place: f"evt_{place.event_ids[0].hex}",
    "trigger": lambda _: "api",
    "dry": lambda _: "false",
    "scope": lambda place: str(place.flowing.steps[0].scope),
    "flow": lambda place: shown("flow", place.flowing.flow),
}
IDS = {
    "connection": "con", "sync": "syn", "run": "run", "operation": "op", "record": "po", "batch": "bat",
    "endpoint": "whe", "event": "evt", "flow": "flow",
}  # fmt: skip
TELLING = {*IDS, "customer_reference", "q"}
"""Parameters by which the owner must find the plant. Every one of a list of records must do so."""
STATES = {
    "connections": "active",
    "link-sessions": "open",
    "operations": "needs_review",
    "sync-runs": "needs_review",
    "sync-status": "failed",
    "syncs": "needs_review",
    "webhook-deliveries": "pending",
    "flows": "active",
    "flow-runs": "failed",
    "flows/<str:flow_id>/runs": "failed",
    "flows/<str:flow_id>/messages": "started",
    "flow-runs/<str:flow_run_id>/steps": "succeeded",
}
EMPTY_INSTEAD_OF_404 = {
    ("events", "connection"): "the feed's room does not know connections; an unknown id finds nothing either",
    ("operations", "record"): "a filter, not an address: an unknown id finds nothing either",
    ("operations", "batch"): "a filter, not an address: an unknown id finds nothing either",
    ("sync-runs", "sync"): "a filter, not an address: an unknown id finds nothing either",
    ("webhook-deliveries", "endpoint"): "a filter, not an address: an unknown id finds nothing either",
    ("webhook-deliveries", "event"): "a filter, not an address: an unknown id finds nothing either",
    ("flow-runs", "flow"): "a filter, not an address: an unknown id finds nothing either",
    ("upstream-calls", "run"): "the log's room does not know runs; an unknown id finds nothing either",
    ("upstream-calls", "operation"): "the log's room does not know operations; an unknown id finds nothing either",
}


def value_of(route: Route, name: str, place: Place) -> str:
    """A value of a query parameter that means rows of the place, wherever it can."""
    if issubclass(route.view, RecordView):
        found = _value_of_entity(route.view.entity, name, place)
        if found is not None:
            return found
    if name == "status":
        assert route.path in STATES, f"{route}: add a value of ?status to STATES in tests/tenancy/routes.py."
        return STATES[route.path]
    if (route.path, name) == ("issues", "kind"):
        return str(place.issue.kind)
    assert name in PARAMETERS, f"{route}: add a value of ?{name} to PARAMETERS in tests/tenancy/routes.py."
    return PARAMETERS[name](place)


def _value_of_entity(entity: Any, name: str, place: Place) -> str | None:
    """Filters of records follow from the entity's declaration."""
    record = place.records[entity.describes.name][0]
    for spec in entity.spec().filterable:
        if name == f"{spec.name}_remote_id" and spec.kind == "reference":
            return f"{place.word}-1"
        if name in (spec.name, f"{spec.name}_from", f"{spec.name}_to"):
            return str(record.filters[spec.name])
    if name == "expand":
        return next(spec.name for spec in entity.spec().fields if spec.kind == "reference")
    return None


def headers_of(route: Route, place: Place, *, token: Any) -> Mapping[str, str]:
    """The connection named, where the caller's token does not imply it. Nobody works here, so nothing is waited for."""
    named = {"X-Connection-Id": place.shown_id} if route.names_connection and token.connection_id is None else {}
    return named if route.method == "GET" else {**named, "Prefer": "wait=0"}
