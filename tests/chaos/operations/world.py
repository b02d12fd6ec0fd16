"""The connection that is written through, and what is seen of it afterwards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from connections.choices import ConnectionStatus
from connections.models import Connection, Credential
from connections.services import Card, card_of, open_connector
from core import ids
from core.errors import NotFoundError
from integrations.registry import get_connector
from syncs.choices import Mode, Trigger
from syncs.engine.run import execute_run
from syncs.models import Operation, Record, Sync
from syncs.operations.copying import Copier, jsonable
from syncs.packing import body_of
from syncs.services import ensure_syncs, request_run
from tests.chaos.operations.drive import Wanted
from tests.chaos.operations.faults import Upstream
from tests.chaos.operations.history import Copied, History, Wished
from tests.chaos.operations.plan import Existing, Form
from workspaces.models import Event, Workspace
from workspaces.secrets import seal

SYSTEM = "maintainx"
# What other writes change beside their own object: it comes with the next sync.
CHANGED_BESIDE = {"quantity_on_order"}


def make_connection(upstream: Upstream) -> Connection:
    """An active connection to the simulator, in a workspace of its own. Needs no scope, and leaves none."""
    workspace = Workspace(name="Chaos", slug=f"chaos-{upstream.base_url.rpartition(':')[2].partition('/')[0]}")
    workspace.save(force_insert=True)
    connection = Connection(
        workspace=workspace,
        system=SYSTEM,
        name="Simulated plant",
        config={"base_url": upstream.base_url},
        health=ConnectionStatus.ACTIVE,
    )
    connection.save(force_insert=True)
    (secret,) = [field.name for field in get_connector(SYSTEM).config if field.secret and field.required]
    credential = Credential(workspace=workspace, connection=connection, name=secret)
    seal(credential, upstream.api_key)
    credential.save(force_insert=True)
    return connection


def copy_all(connection: Connection) -> None:
    """A first sync of everything, here and now; no other sync runs afterwards."""
    for sync in ensure_syncs(connection):
        run = request_run(sync, Mode.INITIAL, trigger=Trigger.COMMAND).run
        execute_run(run.pk)
        run.refresh_from_db()
        if run.status != "completed":
            raise AssertionError(f"the first sync of {sync.entity} is {run.status}: {run.error}")
    Sync.objects.filter(connection=connection).update(paused=True)


def tables(connection: Connection) -> dict[str, str]:
    """Entity -> what the simulator calls it."""
    resources = get_connector(connection.system).resources()
    return {entity: resource.path.strip("/").rpartition("/")[2] for entity, resource in resources.items()}


def cards(connection: Connection, forms: Mapping[str, Form]) -> dict[str, Card]:
    return {entity: card_of(connection, entity) for entity in forms}


def existing(connection: Connection, forms: Mapping[str, Form], *, but: Sequence[str]) -> list[Existing]:
    """The records that may be updated as they are now, `but` those with these remote ids."""
    found = []
    for entity, form in forms.items():
        card = card_of(connection, entity)
        for record in Record.objects.filter(connection=connection, entity=entity, deleted_at=None):
            status = orjson.loads(body_of(record)).get("remote_status") or ""
            if record.remote_id not in but and card.field("update", form.text[0], status or None) is None:
                found.append(Existing(entity, record.pk, record.remote_id, status))
    return found


# --- afterwards -------------------------------------------------------------------------------------------------------


def history(connection: Connection, wanted: Sequence[Wanted], upstream: Upstream, facts: Mapping[str, Any]) -> History:
    """Everything there is to see, read from both sides."""
    names = tables(connection)
    operations = wished(connection, wanted, names)
    return History(
        operations=operations,
        journal=upstream.journal(),
        objects={names[entity]: upstream.objects(names[entity]) for entity in {one.entity for one in operations}},
        copy=copied(connection, operations),
        facts=facts,
    )


def wished(connection: Connection, wanted: Sequence[Wanted], names: Mapping[str, str]) -> list[Wished]:
    by_id = {one.operation_id: one for one in wanted}
    told = _told(connection)
    found = []
    for row in Operation.objects.filter(connection=connection):
        one = by_id.get(row.pk)
        # A row that nobody remembers wishing is found by having nothing to its name.
        answers = [str(pk) for pk in one.answers] if one else ["nobody wished it"]
        step = one.step if one else None
        found.append(
            Wished(
                id=str(row.pk),
                order=one.order if one else -1,
                entity=row.entity,
                table=names[row.entity],
                kind=row.kind,
                status=row.status,
                record=row.remote_id,
                marker=step.marker if step else "",
                at=step.at if step else "",
                action=row.action,
                leads_to=list(step.leads_to) if step else [],
                error=(row.error or {}).get("code", ""),
                answers=answers,
                told=told.get(str(row.pk), []),
            )
        )
    return found


def _told(connection: Connection) -> dict[str, list[str]]:
    """Operation id -> the types of the events about its end."""
    told: dict[str, list[str]] = defaultdict(list)
    events = Event.objects.filter(workspace_id=connection.workspace_id, type__startswith="operation.")
    for body in events.order_by("position").values_list("body", flat=True):
        event = orjson.loads(body)
        told[str(_id_of(event["data"]["operation"]))].append(event["type"])
    return told


def _id_of(shown: str) -> UUID | None:
    return ids.read(Operation.PREFIX, shown)


def copied(connection: Connection, operations: Sequence[Wished]) -> list[Copied]:
    """Every object that something was wished of, as it stands in the copy and, mapped, in the system."""
    found = []
    with open_connector(connection) as connector:
        there: Mapping[str, Any] | None
        for entity in sorted({one.entity for one in operations}):
            copier = Copier(connection, connector.resource(entity), connector)
            for remote_id in sorted({one.record for one in operations if one.entity == entity and one.record}):
                try:
                    unified = jsonable(copier.read(remote_id).unified)
                    there = {name: value for name, value in unified.items() if name not in CHANGED_BESIDE}
                except NotFoundError:
                    there = None
                found.append(Copied(entity, remote_id, _here(connection, copier.record_id(remote_id)), there))
    return found


def _here(connection: Connection, record_id: UUID) -> Mapping[str, Any] | None:
    record = Record.objects.filter(pk=record_id, connection=connection, deleted_at=None).first()
    return None if record is None else orjson.loads(body_of(record))
