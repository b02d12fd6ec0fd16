"""Many writes of one entity in one call: each is checked and stored alone, then all are waited for once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from connections.models import Connection
from core import ids
from core.api_errors import BadRequestError
from core.errors import FieldError, LineshaftError, ValidationFailedError
from core.ids import derived_id, namespace_of, new_id
from core.json import pointer
from core.problem_mapping import Problem, problem_of
from core.problems import problem_body, request_id_of
from syncs.api import preferences, waiting
from syncs.api.operation_serializers import BulkSerializer
from syncs.api.presenting import problem_of_failed, status_of
from syncs.api.refusals import reasons_told
from syncs.api.writes import WriteView
from syncs.bodies import BATCH_PREFIX, operation_body
from syncs.choices import OperationKind, OperationStatus
from syncs.models import Operation
from syncs.services.writes import Wish, request_operation
from workspaces.choices import Scope

ACCEPTED = 202
# An item's key is this one, a colon and its index.
MOST_KEY_CHARACTERS = preferences.MAX_KEY_CHARACTERS - 3


class BulkWrite(WriteView):
    """Up to 100 writes."""

    scopes = {"POST": Scope.RECORDS_WRITE}

    def post(self, request: Request) -> Response:
        wait, key = preferences.wait_from(request), preferences.key_from(request, most=MOST_KEY_CHARACTERS)
        if "If-Match" in request.headers:
            raise BadRequestError("If-Match is about one record; give each item its if_match.", code="INVALID_HEADER")
        connection = self._writable()
        serializer = BulkSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        items: list[dict[str, Any]] = serializer.validated_data["items"]
        _refuse_incomplete(items)
        # A call that is repeated under its key is the same batch.
        batch_id = derived_id(namespace_of(connection.pk, "bulk"), key) if key else new_id()
        asked = [
            self._ask(connection, item, index, key=key, batch_id=batch_id, by=str(request.user))
            for index, item in enumerate(items)
        ]
        stored = [found.pk for found in asked if isinstance(found, Operation)]
        ended, waited = waiting.wait_for_all(stored, wait.seconds)
        return _answer(request, asked, ended, batch_id=batch_id, wait=wait, waited=waited)

    def _ask(
        self, connection: Connection, item: Mapping[str, Any], index: int, *, key: str | None, batch_id: UUID, by: str
    ) -> Operation | Problem:
        """The stored operation of an item, or why it is refused; pointers lead into the body of the call."""
        try:
            with reasons_told():
                wish = self._wish(item, index, key)
                return request_operation(connection, replace(wish, batch_id=batch_id, by=by)).operation
        except LineshaftError as error:
            problem = problem_of(error)
            return replace(
                problem, errors=tuple(_inside(error, index) for error in problem.errors), extra=_shown(problem)
            )

    def _wish(self, item: Mapping[str, Any], index: int, key: str | None) -> Wish:
        kind, own = OperationKind(item["operation"]), item.get("idempotency_key")
        made = f"{key}:{index}" if key else None
        return Wish(
            entity=self.entity.describes.name,
            kind=kind,
            body=item.get("body", {}),
            record_id=self.record_pk(item["id"]) if kind != OperationKind.CREATE else None,
            action=item.get("action", ""),
            expected_version=_version(item.get("if_match"), index),
            key=preferences.check_key(own, pointer("items", index, "idempotency_key")) if own is not None else made,
        )


def _refuse_incomplete(items: list[dict[str, Any]]) -> None:
    """What every item of its kind must have, and what it cannot."""
    errors = tuple(error for index, item in enumerate(items) for error in _incomplete(index, item))
    if errors:
        raise ValidationFailedError(f"{errors[0].pointer}: {errors[0].detail}", errors=errors)


def _incomplete(index: int, item: Mapping[str, Any]) -> list[FieldError]:
    kind = item["operation"]
    demanded = {"id": kind != OperationKind.CREATE, "action": kind == OperationKind.ACTION}
    found = [
        FieldError(pointer("items", index, name), "REQUIRED", f"Of {kind}, {name} must be given.")
        for name, needed in demanded.items()
        if needed and name not in item
    ]
    found += [
        FieldError(pointer("items", index, name), "NOT_ALLOWED", f"Of {kind}, there is no {name}.")
        for name in ([*(name for name, needed in demanded.items() if not needed), *_NOT_OF.get(kind, ())])
        if name in item
    ]
    if not isinstance(item.get("body", {}), dict):
        found.append(FieldError(pointer("items", index, "body"), "INVALID_VALUE", "Must be an object."))
    return found


_NOT_OF = {"create": ("if_match",)}


def _version(given: Any, index: int) -> int | None:
    where = pointer("items", index, "if_match")
    if isinstance(given, int) and not isinstance(given, bool) and given > 0:
        return given
    if isinstance(given, str):
        return preferences.version_of(given, where)
    if given is None:
        return None
    detail = "Give the record's version, or its ETag."
    raise BadRequestError(detail, errors=(FieldError(where, "INVALID_VALUE", detail),))


def _inside(error: FieldError, index: int) -> FieldError:
    """Pointers of an item's own body, led there from the call's."""
    if error.pointer.startswith(pointer("items", index)):
        return error
    return replace(error, pointer=f"{pointer('items', index, 'body')}{error.pointer}")


def _shown(problem: Problem) -> dict[str, Any]:
    return {name: problem.extra[name] for name in ("reason", "remote_status") if name in problem.extra}


def _answer(
    request: Request,
    asked: list[Operation | Problem],
    ended: list[Operation],
    *,
    batch_id: UUID,
    wait: preferences.Wait,
    waited: bool,
) -> Response:
    now, shown_batch = iter(ended), ids.show(BATCH_PREFIX, batch_id)
    data = [
        _outcome(request, index, next(now) if isinstance(found, Operation) else found)
        for index, found in enumerate(asked)
    ]
    headers = {"Preference-Applied": f"wait={wait.seconds}"} if wait.asked and waited else {}
    under_way = any(outcome["status"] == ACCEPTED for outcome in data)
    if under_way:
        headers |= {"Location": f"/api/v1/operations?batch={shown_batch}", "Retry-After": "1"}
    return Response({"batch_id": shown_batch, "data": data}, status=ACCEPTED if under_way else 200, headers=headers)


def _outcome(request: Request, index: int, found: Operation | Problem) -> dict[str, Any]:
    if isinstance(found, Problem):
        return {
            "index": index,
            "status": found.status,
            "operation": None,
            "problem": problem_body(found, request_id_of(request)),
        }
    failed = problem_of_failed(found) if found.status == OperationStatus.FAILED else None
    return {
        "index": index,
        "status": int(failed.status if failed else status_of(found)),
        "operation": operation_body(found),
        "problem": problem_body(failed, request_id_of(request)) if failed else None,
    }
