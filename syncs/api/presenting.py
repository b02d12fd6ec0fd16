"""What a write is answered with: one shape, whatever became of it.

{"operation": {...}, "record": {...} or null} is the body of 200, 201 and 202; a problem has the two beside its own members.
"""

from __future__ import annotations

import math
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.errors import Category, WhoMustAct
from core.json import RawJson
from core.problem_mapping import Problem, problem_of
from core.problems import CONTENT_TYPE, problem_body, request_id_of
from integrations.entities import ENTITIES
from syncs.api.preferences import Wait
from syncs.bodies import operation_body
from syncs.choices import OperationKind, OperationStatus
from syncs.models import Operation
from syncs.operations.errors import error_from
from syncs.records import Row, Selection, as_texts, read_records

LONGEST_RETRY_SECONDS = 60


def answer(request: Request, operation: Operation, *, wait: Wait, waited: bool, is_replay: bool) -> Response:
    """The answer to a write, by where its operation stands now."""
    row = row_of(operation)
    shown = operation_body(operation)
    members = {"operation": shown, "record": RawJson(as_texts([row])[0]) if row else None}
    headers = {"X-Operation-Id": shown["id"]}
    if row is not None:
        headers["ETag"] = f'"{row[3]}"'
    if is_replay:
        headers["Idempotency-Replayed"] = "true"
    if wait.asked and waited:
        headers["Preference-Applied"] = f"wait={wait.seconds}"
    if operation.status == OperationStatus.FAILED:
        problem = problem_of_failed(operation)
        body = problem_body(replace(problem, extra=members), request_id_of(request))
        return Response(body, status=problem.status, headers={**headers, **problem.headers}, content_type=CONTENT_TYPE)
    return Response(members, status=status_of(operation), headers=headers | _location(operation))


def status_of(operation: Operation) -> int:
    """The HTTP status of where the operation stands: 201, 200, 202, or what its failure means."""
    if operation.status == OperationStatus.FAILED:
        return problem_of_failed(operation).status
    if operation.status != OperationStatus.SUCCEEDED:
        return HTTPStatus.ACCEPTED
    return HTTPStatus.CREATED if operation.kind == OperationKind.CREATE else HTTPStatus.OK


def problem_of_failed(operation: Operation) -> Problem:
    """The failure as it would have been told at once."""
    stored: dict[str, Any] = operation.error or {}
    error = error_from(stored)
    problem = problem_of(error)
    if problem.category is Category.PERMISSION and error.source is None:
        # Known here, before anything was sent: refused as when the write is asked for, and not the caller's token's fault.
        problem = replace(problem, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return replace(
        problem,
        detail=stored.get("message", problem.detail),
        retryable=bool(stored.get("retryable", problem.retryable)),
        who_must_act=WhoMustAct(stored.get("who_must_act", problem.who_must_act)),
    )


def row_of(operation: Operation) -> Row | None:
    """The record the operation is about, as the copy has it now; None for one that is not copied, or gone."""
    if operation.record_id is None:
        return None
    rows = read_records(
        Selection(ids=[operation.record_id], if_shared=True),
        workspace_id=operation.workspace_id,
        connection_id=operation.connection_id,
        entity=operation.entity,
        limit=1,
    )
    return rows[0] if rows else None


def address_of(operation: Operation) -> str:
    """Where the operation can be asked for."""
    return f"/api/v1/operations/{ids.show(Operation.PREFIX, operation.pk)}"


def _location(operation: Operation) -> dict[str, str]:
    if operation.status == OperationStatus.SUCCEEDED:
        described = ENTITIES[operation.entity].describes
        made = operation.kind == OperationKind.CREATE and operation.record_id is not None
        if not made:
            return {}
        return {"Location": f"/api/v1/{described.slug}/{ids.show(described.id_prefix, operation.record_id)}"}
    headers = {"Location": address_of(operation)}
    # For a person to decide there is no time to name.
    return headers if operation.status == OperationStatus.NEEDS_REVIEW else headers | _retry_after(operation)


def _retry_after(operation: Operation) -> dict[str, str]:
    """When to ask again: in a second, or when it is looked at next."""
    seconds = (operation.due_at - timezone.now()).total_seconds()
    return {"Retry-After": str(max(1, min(math.ceil(seconds), LONGEST_RETRY_SECONDS)))}
