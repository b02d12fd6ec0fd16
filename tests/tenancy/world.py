"""Two workspaces with rows of every kind, and words by which each part is recognised wherever it should not be seen.

Every text of a place holds its word, every row its id: whoever may not see a place must find neither in any answer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any
from uuid import UUID

import orjson
from django.db import connection as database
from django.db.models import Model
from django.test import Client
from django_scopes import scopes_disabled

from connections.choices import ConnectionStatus
from connections.models import (
    CapabilityOverride,
    CapabilityOverrideHistory,
    Connection,
    ConnectionHistory,
    Credential,
    Grant,
    LinkSecret,
    LinkSession,
    Mapping,
    MappingField,
    SystemSecret,
    SystemSettings,
    SystemSettingsHistory,
    UpstreamCall,
)
from connections.services import ensure_default_mapping, set_mapping
from console.models import ActivityCursor, ActivityHour
from core import ids
from core.ids import derived_id, namespace_of, new_id
from flows.models import (
    Flow,
    FlowHookAddress,
    FlowHookMessage,
    FlowRun,
    FlowSecret,
    FlowVersion,
    StepRun,
    WaitCursor,
)
from integrations.entities import ENTITIES, sample
from syncs.choices import Mode, RunStatus, Trigger
from syncs.models import (
    Issue,
    Operation,
    QuarantinedRecord,
    Record,
    RecordDictionary,
    Reread,
    RunPage,
    Suspect,
    Sync,
    SyncHistory,
    SyncRun,
)
from syncs.packing import Packer
from syncs.services import ensure_syncs
from tests.clients import browser_of
from tests.tenancy.flowing import give_flows
from tests.tenancy.plant import ADDRESS, KEY, SLUG
from tests.tenancy.told import give_activity, give_delivery, give_endpoint, give_hook, give_issue
from tests.tenancy.trust import give_audit_event, give_grant, give_keys, give_link_session, give_system_settings
from tests.tenants import emit_now, make_person, make_token, make_workspace
from webhooks.models import (
    Delivery,
    DeliveryAttempt,
    HookAddress,
    InboundHook,
    WebhookEndpoint,
    WebhookSecret,
)
from workspaces.choices import Role
from workspaces.models import (
    ApiToken,
    AuditEvent,
    DataKey,
    Event,
    Feed,
    Membership,
    MembershipHistory,
    SecretPrefix,
    Workspace,
    WorkspaceHistory,
)
from workspaces.secrets import seal

START = datetime(2026, 10, 5, 8, 0, tzinfo=UTC)
ROWS = 2
"""Of everything that is listed: enough for a second page of one row."""
PACKER = Packer(None)
ERROR = {"code": "MAPPING_FAILED", "category": "validation", "who_must_act": "operator", "retryable": False}


@dataclass
class Place:
    """One connection with all that hangs on it, and the token that sees it alone."""

    word: str
    connection: Connection
    token: ApiToken
    clear: str
    syncs: dict[str, Sync] = field(default_factory=dict)
    runs: dict[str, SyncRun] = field(default_factory=dict)
    records: dict[str, list[Record]] = field(default_factory=dict)
    quarantined: list[QuarantinedRecord] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)
    calls: list[UpstreamCall] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    operation_id: UUID = field(default_factory=new_id)
    rows: list[Any] = field(default_factory=list)
    event_ids: list[UUID] = field(default_factory=list)
    link_session: Any = None
    audit_event: Any = None
    endpoint: Any = None
    delivery: Any = None
    hook: Any = None
    issue: Any = None
    flowing: Any = None

    @property
    def shown_id(self) -> str:
        return f"con_{self.connection.pk.hex}"

    @cached_property
    def traces(self) -> frozenset[str]:
        """What gives the place away in an answer: its word, and its ids in both ways of writing them."""
        every: list[Any] = [self.connection, self.token, *self.syncs.values(), *self.runs.values(), *self.quarantined]
        every += [
            *self.calls,
            *self.operations,
            self.link_session,
            self.audit_event,
            self.endpoint,
            self.delivery,
            self.hook,
            self.issue,
            *self.flowing.rows,
            *(record for records in self.records.values() for record in records),
        ]
        pks = [*(row.pk for row in every), *self.event_ids]
        return frozenset({self.word, *(pk.hex for pk in pks), *(str(pk) for pk in pks)})


@dataclass
class Side:
    """One workspace: its places, its people by role, and its tokens by environment."""

    word: str
    workspace: Workspace
    people: dict[str, Any]
    tokens: dict[str, tuple[ApiToken, str]]
    places: dict[str, Place] = field(default_factory=dict)

    @cached_property
    def traces(self) -> frozenset[str]:
        """Of the workspace, all its places, tokens and people."""
        pks = [self.workspace.pk, *(token.pk for token, _ in self.tokens.values())]
        names = {person.username for person in self.people.values()}
        own = frozenset({self.word, *names, *(pk.hex for pk in pks), *(str(pk) for pk in pks)})
        return own.union(*(place.traces for place in self.places.values()))


@dataclass
class World:
    """`mine` is looked at by everybody else. Its `plant` is the connection whose rows all addresses name."""

    mine: Side
    theirs: Side
    nobody: Any  # a person who may enter the admin and belongs to no workspace
    browsers: dict[Any, Client] = field(default_factory=dict)  # by person, signed in

    @property
    def plant(self) -> Place:
        return self.mine.places["plant"]


def build() -> World:
    """About 150 rows, within a transaction that is rolled back afterwards."""
    with scopes_disabled():
        ensure_default_mapping(SLUG, "purchase_order")
        mine = _side("amsel", plant=("zaunkoenig", "live"), other=("dompfaff", "live"), trial=("kleiber", "test"))
        theirs = _side("rotkehlchen", plant=("goldammer", "live"))
        world = World(mine, theirs, make_person())
    for person in (*mine.people.values(), *theirs.people.values(), world.nobody):
        world.browsers[person.pk] = browser_of(person)
    return world


def _side(word: str, **places: tuple[str, str]) -> Side:
    workspace = make_workspace(word.capitalize())
    people = {role: _person(word, role, workspace) for role in Role.values}
    tokens = {
        environment: make_token(workspace, name=f"{word} {environment}", environment=environment)
        for environment in ("live", "test")
    }
    side = Side(word, workspace, people, tokens)
    give_keys(word, workspace)
    for name, (place_word, environment) in places.items():
        side.places[name] = _place(place_word, workspace, environment)
    return side


def _person(word: str, role: str, workspace: Workspace) -> Any:
    person = make_person(role, workspace, email=f"{role}@{word}.example")
    person.username = f"{role}-{word}"
    person.save(update_fields=["username"])
    return person


def _place(word: str, workspace: Workspace, environment: str) -> Place:
    connection = Connection(
        workspace=workspace,
        system=SLUG,
        environment=environment,
        name=f"{word} works",
        customer_reference=f"{word}-4711",
        metadata={"region": word},
        config={"base_url": f"{ADDRESS}/{word}"},
        health=ConnectionStatus.ACTIVE,
        account=f"{word} account",
        error={**ERROR, "message": f"{word} error", "action": "Mend it."},
    )
    connection.save(force_insert=True)
    facts = {"environment": environment, "connection_id": connection.pk}
    token, clear = make_token(workspace, name=f"{word} token", **facts)
    make_token(workspace, name=f"{word} second token", **facts)
    place = Place(word, connection, token, clear)
    place.syncs = {sync.entity: sync for sync in ensure_syncs(connection)}
    _credential(place)
    set_mapping(connection, "purchase_order", [{"target": "notes", "source": word}], by=word)
    _runs(place)
    _records(place)
    _set_aside(place)
    _operations(place)
    _calls(place)
    _forbids(place)
    give_grant(connection)
    give_system_settings(word, workspace, environment, SLUG)
    place.link_session = give_link_session(word, connection)
    place.audit_event = give_audit_event(word, connection)
    for number in range(ROWS):
        data = {"entity": "vendor", "ids": [], "note": f"{word} {number}"}
        place.event_ids.append(
            emit_now(workspace, environment=environment, connection_id=connection.pk, data=data, reason="full")
        )
    place.endpoint = give_endpoint(word, connection)
    place.delivery = give_delivery(place.endpoint, place.event_ids[0])
    place.hook, place.issue = give_hook(word, connection), give_issue(word, connection)
    place.flowing = give_flows(word, connection)
    give_activity(connection, START)
    return place


def _credential(place: Place) -> None:
    connection = place.connection
    credential = Credential(workspace=connection.workspace, connection=connection, name="api_key")
    seal(credential, KEY)
    credential.save(force_insert=True)


def _runs(place: Place) -> None:
    """One that ended well, one that waits for a worker, and one that holds deletions, each of another entity."""
    for entity, status in (
        ("purchase_order", RunStatus.COMPLETED),
        ("vendor", RunStatus.QUEUED),
        ("work_order", RunStatus.NEEDS_REVIEW),
    ):
        sync = place.syncs[entity]
        place.runs[status] = SyncRun.objects.create(
            workspace_id=sync.workspace_id,
            connection_id=sync.connection_id,
            sync=sync,
            mode=Mode.FULL,
            trigger=Trigger.COMMAND,
            triggered_by=f"{place.word} operator",
            status=status,
            started_at=None if status == RunStatus.QUEUED else START + timedelta(hours=1),
            error={**ERROR, "message": f"{place.word} run error", "action": "Mend it."},
        )


def _records(place: Place) -> None:
    keys = {name: namespace_of(place.connection.pk, name) for name in ENTITIES}
    remote = {name: [f"{place.word}-{number}" for number in range(1, ROWS + 1)] for name in ENTITIES}
    for name in ENTITIES:
        place.records[name] = [_record(place, name, remote_id, keys) for remote_id in remote[name]]
    Record.objects.bulk_create(record for records in place.records.values() for record in records)


def _record(place: Place, name: str, remote_id: str, keys: dict[str, bytes]) -> Record:
    """As the engine would store it: every text field that can be filtered holds the word, every reference leads here."""
    entity, pk = ENTITIES[name], derived_id(keys[name], remote_id)
    body = {key: value for key, value in sample(entity).items() if key not in ("changed_at", "deleted_at", "version")}
    prefix = entity.describes.id_prefix
    body |= {"id": f"{prefix}_{pk.hex}", "connection_id": place.shown_id, "remote_id": remote_id}
    filters: dict[str, Any] = {}
    for spec in entity.spec().filterable:
        if spec.kind == "string":
            body[spec.name] = f"{place.word} {spec.name}"
        if spec.kind == "reference":
            target = ENTITIES[spec.target or ""].describes
            own = derived_id(keys[target.name], f"{place.word}-1")
            body[spec.name] = {
                "id": f"{target.id_prefix}_{own.hex}", "remote_id": f"{place.word}-1", "name": place.word,
            }  # fmt: skip
        filters[spec.name] = body[spec.name]["id"] if spec.kind == "reference" else body[spec.name]
    text = orjson.dumps(body)
    return Record(
        id=pk,
        workspace_id=place.connection.workspace_id,
        connection_id=place.connection.pk,
        entity=name,
        remote_id=remote_id,
        changed_at=START + timedelta(minutes=1),
        written_at=START + timedelta(minutes=1),
        remote_created_at=START,
        remote_updated_at=START,
        body=PACKER.pack([text])[0],
        raw=PACKER.pack([orjson.dumps({"id": remote_id, "note": place.word})])[0],
        unified_digest=hashlib.sha256(text).digest(),
        filters=filters,
        last_change="created",
        run_id=place.runs[RunStatus.COMPLETED].pk,
    )


def _set_aside(place: Place) -> None:
    """Objects in quarantine, and records held back for review."""
    sync, held = place.syncs["purchase_order"], place.runs[RunStatus.NEEDS_REVIEW]
    place.quarantined = QuarantinedRecord.objects.bulk_create(
        QuarantinedRecord(
            workspace_id=sync.workspace_id,
            sync=sync,
            record_id=new_id(),
            remote_id=f"{place.word}-bad-{number}",
            raw=place.word.encode(),
            code="BAD_VALUE",
            detail=f"{place.word} detail",
        )
        for number in range(ROWS)
    )
    suspected = place.records["work_order"]
    place.suspects = Suspect.objects.bulk_create(
        Suspect(run=held, record_id=record.pk, remote_id=record.remote_id) for record in suspected
    )
    held_back = suspected[0]
    Reread.objects.create(
        workspace_id=sync.workspace_id, sync=held.sync, record_id=held_back.pk, remote_id=held_back.remote_id
    )
    RunPage.objects.create(run=held, page_no=1, record_ids=[record.pk for record in suspected])
    RecordDictionary.objects.create(
        id=place.connection.pk.int % 2**31,
        workspace_id=sync.workspace_id,
        connection=place.connection,
        entity="meter",  # of no entity there is: a record packed with these words could not be read
        data=place.word.encode(),
    )


def _operations(place: Place) -> None:
    """One whose outcome a person must tell, with a look-alike, and one that failed."""
    record = place.records["purchase_order"][0]
    call: dict[str, Any] = {
        "method": "POST",
        "url": f"{ADDRESS}/{place.word}",
        "body": None,
        "headers": {},
        "purpose": place.word,
    }
    error = {**ERROR, "message": f"{place.word} refused", "action": "Mend it."}
    waiting: dict[str, Any] = {
        "id": place.operation_id, "kind": "create", "status": "needs_review", "stage": "sending", "sent_at": START,
        "candidates": [{"remote_id": record.remote_id, "why": place.word}],
    }  # fmt: skip
    failed: dict[str, Any] = {
        "kind": "update", "status": "failed", "stage": "ended", "record_id": record.pk, "remote_id": record.remote_id,
    }  # fmt: skip
    place.operations = Operation.objects.bulk_create(
        Operation(
            workspace_id=place.connection.workspace_id,
            connection=place.connection,
            entity="purchase_order",
            request={"notes": place.word},
            calls=[call],
            error=error,
            requested_by=f"{place.word} operator",
            idempotency_key=f"{place.word}-{facts['kind']}",
            batch_id=new_id(),
            done_at=START,
            **facts,
        )
        for facts in (waiting, failed)
    )


def _forbids(place: Place) -> None:
    """Something that no body of the matrix sends."""
    CapabilityOverride.objects.create(
        workspace_id=place.connection.workspace_id,
        connection=place.connection,
        entity="vendor",
        operation="update",
        field="email",
        reason=place.word,
        created_by=f"{place.word} operator",
    )


def _calls(place: Place) -> None:
    """Of a run, of an operation, and by passthrough."""
    owners: list[dict[str, Any]] = [
        {"run_id": place.runs[RunStatus.COMPLETED].pk},
        {"operation_id": place.operation_id},
        {"triggered_by": f"{place.word} operator"},
    ]
    place.calls = UpstreamCall.objects.bulk_create(
        UpstreamCall(
            workspace_id=place.connection.workspace_id,
            connection=place.connection,
            position=1,
            method="GET",
            url=f"{ADDRESS}/{place.word}",
            status=200,
            started_at=START,
            elapsed_ms=12.0,
            request_bytes=100,
            response_bytes=100,
            response_body=place.word,
            **owner,
        )
        for owner in owners
    )


OWNED: dict[type[Model], str] = {
    Workspace: "pk",
    Membership: "workspace",
    ApiToken: "workspace",
    Feed: "workspace",
    Event: "workspace",
    Connection: "workspace",
    Credential: "workspace",
    Mapping: "workspace",
    MappingField: "mapping__workspace",
    CapabilityOverride: "workspace",
    UpstreamCall: "workspace",
    Sync: "workspace",
    SyncRun: "workspace",
    RunPage: "run__workspace",
    Record: "workspace",
    RecordDictionary: "workspace",
    QuarantinedRecord: "workspace",
    Reread: "workspace",
    Suspect: "run__workspace",
    Operation: "workspace",
    DataKey: "workspace",
    SecretPrefix: "workspace",
    AuditEvent: "workspace",
    Grant: "workspace",
    LinkSession: "workspace",
    LinkSecret: "workspace",
    SystemSettings: "workspace",
    SystemSecret: "workspace",
    WorkspaceHistory: "pgh_obj",
    MembershipHistory: "workspace",
    ConnectionHistory: "workspace",
    SystemSettingsHistory: "workspace",
    CapabilityOverrideHistory: "workspace",
    SyncHistory: "workspace",
    WebhookEndpoint: "workspace",
    WebhookSecret: "workspace",
    Delivery: "workspace",
    DeliveryAttempt: "workspace",
    HookAddress: "workspace",
    InboundHook: "workspace",
    Issue: "workspace",
    Flow: "workspace",
    FlowVersion: "workspace",
    FlowRun: "workspace",
    StepRun: "workspace",
    WaitCursor: "workspace",
    FlowHookAddress: "workspace",
    FlowHookMessage: "workspace",
    FlowSecret: "workspace",
    ActivityHour: "workspace",
    ActivityCursor: "workspace",
}
"""Every table with rows of workspaces, and the way to the workspace."""


def state_of(side: Side) -> dict[str, str]:
    """A digest of all rows of a workspace by table, to see that nothing was written.

    When a token was last used is no matter here.
    """
    with database.cursor() as cursor:
        cursor.execute(*_digests(side.workspace.pk))
        return dict(cursor.fetchall())


@cache
def _digests(workspace_id: UUID) -> tuple[str, list[Any]]:
    """The statement for a workspace, made once: every test asks twice for it."""
    parts, values = [], list[Any]()
    with scopes_disabled():
        for model, path in OWNED.items():
            names = [f.attname for f in model._meta.concrete_fields if f.attname != "last_used_at"]
            rows: Any = model._default_manager.filter(**{path: workspace_id}).order_by("pk").values_list(*names)
            sql, parameters = rows.query.sql_with_params()
            parts.append(f"SELECT '{model.__name__}', md5(string_agg(r::text, E'\\n')) FROM ({sql}) r")
            values += parameters
    return " UNION ALL ".join(parts), values


def shown(prefix: str, row: Any) -> str:
    text = ids.show(prefix, row.pk)
    assert text
    return text
