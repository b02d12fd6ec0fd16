"""Playing the operations worker against the simulated CMMS: a connection, a wish, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import connection as database
from django_scopes import scope

from connections.choices import ConnectionStatus
from connections.models import Connection, Credential
from core.ids import new_id
from integrations.simulators import running
from integrations.simulators.kit.server import Simulator
from syncs.choices import UNFINISHED, OperationKind
from syncs.models import Operation, Record
from syncs.operations.copying import record_id_of
from syncs.operations.execute import execute_operation
from syncs.services.writes import Wish, request_operation
from workspaces.models import Workspace
from workspaces.secrets import seal

CREATE, UPDATE, DELETE, ACTION = OperationKind.CREATE, OperationKind.UPDATE, OperationKind.DELETE, OperationKind.ACTION


def connect_cmms(simulator: Simulator, *, workspace: Workspace | None = None, **values: Any) -> Connection:
    """An active connection to the simulator, stored without a check."""
    if workspace is None:
        workspace = Workspace(name="Acme", slug=f"acme-{new_id().hex[-12:]}")
        workspace.save(force_insert=True)
    config = {"base_url": simulator.base_url}
    values = {"name": "Plant 1", "environment": "test", "health": ConnectionStatus.ACTIVE, "config": config, **values}
    connection = Connection(workspace=workspace, system="maintainx", **values)
    connection.save(force_insert=True)
    credential = Credential(workspace=workspace, connection=connection, name="api_key")
    seal(credential, simulator.api_key)
    credential.save(force_insert=True)
    return connection


def wanted(connection: Connection, entity: str, kind: OperationKind, body: dict[str, Any], **more: Any) -> Operation:
    """The operation of a wish; `remote_id` names the record."""
    remote_id = more.pop("remote_id", None)
    record_id: UUID | None = record_id_of(connection.pk, entity, remote_id) if remote_id else None
    with scope(workspace=connection.workspace_id):
        return request_operation(connection, Wish(entity, kind, body, record_id=record_id, **more)).operation


def worked(operation: Operation, *, rounds: int = 1) -> Operation:
    """Execute it, `rounds` claims at the most; waiting is skipped in between."""
    for turn in range(rounds):
        if turn:
            due_now(operation)
        execute_operation(operation.pk)
        with scope(workspace=operation.workspace_id):
            operation.refresh_from_db()
        if operation.status not in UNFINISHED:
            break
    return operation


def due_now(operation: Operation, *, settled: bool = False) -> None:
    """Its time has come; with `settled` it was sent so long ago that "it is not there" counts."""
    back = "sent_at = sent_at - interval '1 hour', lost_at = lost_at - interval '1 hour', " if settled else ""
    with database.cursor() as cursor:
        cursor.execute(
            f"UPDATE syncs_operation SET {back}due_at = clock_timestamp() - interval '1 second' WHERE id = %s",
            [operation.pk],
        )


def record_of(operation: Operation) -> Record | None:
    with scope(workspace=operation.workspace_id):
        found: Record | None = Record.objects.filter(pk=operation.record_id or operation.pk).first()
        return found


@pytest.fixture
def cmms() -> Iterator[Simulator]:
    with running("maintainx", scale=0.1) as simulator:
        yield simulator


@pytest.fixture
def plant(cmms: Simulator, db: None) -> Connection:
    return connect_cmms(cmms)
