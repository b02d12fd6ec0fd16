"""Operations: what became of writes, and what a person may decide about them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Q
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import ids
from core.api_errors import NotFoundHereError
from core.errors import FieldError, ValidationFailedError
from core.pagination import cursor_from, encode_cursor, filters_of, limit_from
from core.parameters import check_body_fields, choice_from, id_from, text_from, wrong_parameter
from integrations.entities import ENTITIES
from syncs.api import operation_examples as examples
from syncs.api import preferences, waiting
from syncs.api.operation_serializers import (
    OperationDetailSerializer,
    OperationListSerializer,
    ResolveSerializer,
)
from syncs.api.visible import asked_connection
from syncs.bodies import BATCH_PREFIX, operation_body
from syncs.choices import OperationKind, OperationStatus
from syncs.models import Operation
from syncs.services import settling
from workspaces.choices import Scope
from workspaces.models import ApiToken
from workspaces.permissions import HasScope
from workspaces.scopes import entities_of, grants, scope_of_entity
from workspaces.views import ApiView

ENDED = (OperationStatus.SUCCEEDED, OperationStatus.FAILED)
PREFER = OpenApiParameter(
    "Prefer",
    str,
    OpenApiParameter.HEADER,
    description="`wait=N`: seconds to wait for the outcome, 10 when absent, 30 at most",
)


class HasScopeOrWrites(HasScope):
    """Who may write may see what became of it, without the scope that the view declares."""

    def needed(self, request: Request, view: APIView, method: str) -> str | None:
        declared = super().needed(request, view, method)
        other: Scope | None = getattr(view, "or_scopes", {}).get(method)
        token = request.auth
        if other is None or declared is None or not isinstance(token, ApiToken) or grants(token.scopes, declared):
            return declared
        writable = [scope_of_entity(other, entity) for entity in entities_of(token.scopes, "write")]
        return next((scope for scope in (other, *writable) if grants(token.scopes, scope)), declared)


class Operations(ApiView):
    """The writes of the token's environment, newest first."""

    permission_classes = [HasScopeOrWrites]
    scopes = {"GET": Scope.OPERATIONS_READ}
    or_scopes: ClassVar[Mapping[str, Scope]] = {"GET": Scope.RECORDS_WRITE}
    parameters = {"GET": {"limit", "cursor", "connection", "entity", "status", "kind", "record", "batch"}}

    @extend_schema(
        operation_id="listOperations",
        tags=["operations"],
        summary="List operations",
        description=(
            "Newest first; kept 90 days after they ended. A token with `records:write` may read them too;"
            " one with `records.<entity>:write` those of that entity."
        ),
        parameters=[
            OpenApiParameter("limit", int, description="1 to 500, 100 when absent"),
            OpenApiParameter("cursor", str, description="`next_cursor` of the page before"),
            OpenApiParameter("connection", str, description="Only those of this connection (`con_...`)"),
            OpenApiParameter("entity", str, enum=list(ENTITIES)),
            OpenApiParameter("status", str, enum=OperationStatus.values),
            OpenApiParameter("kind", str, enum=OperationKind.values),
            OpenApiParameter("record", str, description="Only those about this record (`po_...`)"),
            OpenApiParameter("batch", str, description="Only those of this bulk call (`bat_...`)"),
        ],
        responses=OperationListSerializer,
        examples=[OpenApiExample("Page", {"data": [examples.UPDATED], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        limit, after = limit_from(request), cursor_from(request, (datetime, UUID), purpose="operations")
        rows = _asked(self.token, request)
        if after:
            # The first condition is implied by the second; with it the index on created_at is entered at the cursor.
            rows = rows.filter(created_at__lte=after[0]).filter(Q(created_at__lt=after[0]) | Q(pk__lt=after[1]))
        page = list(rows.order_by("-created_at", "-pk")[: limit + 1])
        more, page = len(page) > limit, page[:limit]
        last = (page[-1].created_at, page[-1].pk) if more else None
        cursor = encode_cursor(last, purpose="operations", filters=filters_of(request)) if last else None
        return Response({"data": [operation_body(operation) for operation in page], "next_cursor": cursor})


class OneOperation(ApiView):
    """One write."""

    permission_classes = [HasScopeOrWrites]
    scopes = {"GET": Scope.OPERATIONS_READ}
    or_scopes: ClassVar[Mapping[str, Scope]] = {"GET": Scope.RECORDS_WRITE}

    @extend_schema(
        operation_id="getOperation",
        tags=["operations"],
        summary="See an operation",
        description="With the requests that were or will be sent. A token that may write the entity may read it too.",
        responses=OperationDetailSerializer,
        examples=[OpenApiExample("Operation", examples.DETAIL, response_only=True)],
    )
    def get(self, request: Request, operation_id: str) -> Response:
        return Response(operation_body(find_operation(self.token, operation_id), calls=True))


class RetryOperation(ApiView):
    """A failed write, tried again."""

    scopes = {"POST": Scope.OPERATIONS_WRITE}

    @extend_schema(
        operation_id="retryOperation",
        tags=["operations"],
        summary="Try a failed operation again",
        description=(
            "From its start: the object is read again, and judged by what it is now. 200 when it has ended within the"
            " wait, whatever its outcome, else 202. 409 `NOT_RETRYABLE` unless it has failed."
        ),
        parameters=[PREFER],
        request=None,
        responses={200: OperationDetailSerializer, 202: OperationDetailSerializer},
        examples=[OpenApiExample("Done now", examples.DETAIL, response_only=True, status_codes=["200"])],
    )
    def post(self, request: Request, operation_id: str) -> Response:
        wait, operation = preferences.wait_from(request), find_operation(self.token, operation_id)
        check_body_fields(request.data, ())
        settling.retry_operation(operation, by=str(request.user))
        return _told(operation, wait)


class ResolveOperation(ApiView):
    """A decision about a write whose outcome is not known."""

    scopes = {"POST": Scope.OPERATIONS_WRITE}

    @extend_schema(
        operation_id="resolveOperation",
        tags=["operations"],
        summary="Say how an operation ended",
        description=(
            "For `needs_review` and `unknown`. `done` reads the object and makes it the outcome; of a create, `remote_id`"
            " names it, perhaps one of `candidates`. `not_done` fails the operation, which may be tried again then."
            " `look_again` lets the platform look it up now. 200 when it has ended, else 202."
        ),
        parameters=[PREFER],
        request=ResolveSerializer,
        responses={200: OperationDetailSerializer, 202: OperationDetailSerializer},
        examples=[
            OpenApiExample("It made this one", {"outcome": "done", "remote_id": "1188"}, request_only=True),
            OpenApiExample("Decided", examples.DETAIL, response_only=True, status_codes=["200"]),
        ],
    )
    def post(self, request: Request, operation_id: str) -> Response:
        wait, operation = preferences.wait_from(request), find_operation(self.token, operation_id)
        serializer = ResolveSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked: dict[str, str] = serializer.validated_data
        outcome, remote_id = asked["outcome"], asked.get("remote_id", "")
        if remote_id and outcome != "done":
            detail = "An object's id belongs to `done` alone."
            raise ValidationFailedError(detail, errors=(FieldError("/remote_id", "NOT_ALLOWED", detail),))
        if outcome == "look_again":
            settling.look_again(operation)
            return _told(operation, wait)
        with waiting.upstream_place():
            settling.resolve_operation(operation, done=outcome == "done", remote_id=remote_id, by=str(request.user))
        return Response(operation_body(operation, calls=True))


def find_operation(token: ApiToken, shown_id: str) -> Operation:
    """The visible operation with this id."""
    value = ids.read(Operation.PREFIX, shown_id)
    found: Operation | None = operations_of(token).filter(pk=value).first() if value else None
    if found is None:
        raise NotFoundHereError("There is no such operation.")
    return found


def operations_of(token: ApiToken) -> Any:
    """The visible operations, with their connections: all that a token may see by its area, else its entities' own."""
    rows = Operation.objects.filter(
        workspace_id=token.workspace_id,
        connection__environment=token.environment,
        connection__purge_requested_at=None,
    )
    rows = rows.select_related("connection")
    if not any(grants(token.scopes, scope) for scope in (Scope.OPERATIONS_READ, Scope.RECORDS_WRITE)):
        rows = rows.filter(entity__in=entities_of(token.scopes, "write"))
    return rows if token.connection_id is None else rows.filter(connection_id=token.connection_id)


def _asked(token: ApiToken, request: Request) -> Any:
    wanted = {
        "connection_id": asked_connection(token, request),
        "entity": choice_from(request, "entity", list(ENTITIES)),
        "status": choice_from(request, "status", OperationStatus.values),
        "kind": choice_from(request, "kind", OperationKind.values),
        "record_id": _record_from(request),
        "batch_id": id_from(request, "batch", BATCH_PREFIX),
    }
    return operations_of(token).filter(**{name: value for name, value in wanted.items() if value is not None})


def _record_from(request: Request) -> UUID | None:
    """A record of whichever entity."""
    text = text_from(request, "record")
    if text is None:
        return None
    prefixes = [entity.describes.id_prefix for entity in ENTITIES.values()]
    found = next((value for prefix in prefixes if (value := ids.read(prefix, text))), None)
    if found is None:
        raise wrong_parameter("record", f"must be a record's id, which begins with {'_, '.join(prefixes)}_")
    return found


def _told(operation: Operation, wait: preferences.Wait) -> Response:
    """The operation once it has ended, or as it stands after the wait."""
    (found,), waited = waiting.wait_for_all([operation.pk], wait.seconds)
    headers = {"Preference-Applied": f"wait={wait.seconds}"} if wait.asked and waited else {}
    return Response(operation_body(found, calls=True), status=200 if found.status in ENDED else 202, headers=headers)
