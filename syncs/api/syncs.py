"""Standing orders: seen, changed, paused, resumed, run now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from core.pagination import cursor_from, encode_cursor, filters_of, limit_from
from core.parameters import choice_from
from integrations.entities import ENTITIES
from syncs import services
from syncs.api import examples
from syncs.api.serializers import (
    ChangeSyncSerializer,
    RequestedRunSerializer,
    RequestRunSerializer,
    SyncListSerializer,
    SyncSerializer,
)
from syncs.api.visible import asked_connection, find_run, find_sync, syncs_of
from syncs.bodies import run_body, sync_body
from syncs.choices import Mode, SyncState, Trigger
from syncs.models import Sync, SyncRun
from syncs.states import SYNC_STATE, as_expression
from workspaces.choices import Scope
from workspaces.models import ApiToken
from workspaces.views import ApiView

_EXAMPLE = OpenApiExample("Sync", examples.SYNC, response_only=True)


class Syncs(ApiView):
    """The syncs of the token's environment."""

    scopes = {"GET": Scope.SYNCS_READ}
    parameters = {"GET": {"limit", "cursor", "connection", "entity", "status"}}

    @extend_schema(
        operation_id="listSyncs",
        tags=["syncs"],
        summary="List syncs",
        description="One for each entity of each connection, oldest first.",
        parameters=[
            OpenApiParameter("limit", int, description="1 to 500, 100 when absent"),
            OpenApiParameter("cursor", str, description="`next_cursor` of the page before"),
            OpenApiParameter("connection", str, description="Only those of this connection (`con_...`)"),
            OpenApiParameter("entity", str, enum=list(ENTITIES)),
            OpenApiParameter("status", str, enum=SyncState.values),
        ],
        responses=SyncListSerializer,
        examples=[OpenApiExample("Page", {"data": [examples.SYNC], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        limit, after = limit_from(request), cursor_from(request, (UUID,), purpose="syncs")
        wanted = {
            "connection_id": asked_connection(self.token, request),
            "entity": choice_from(request, "entity", list(ENTITIES)),
            "state": choice_from(request, "status", SyncState.values),
            "pk__gt": after[0] if after else None,
        }
        rows = with_state(syncs_of(self.token)).filter(**{name: v for name, v in wanted.items() if v is not None})
        page = list(rows.order_by("pk")[: limit + 1])
        more, page = len(page) > limit, page[:limit]
        cursor = encode_cursor((page[-1].pk,), purpose="syncs", filters=filters_of(request)) if more else None
        return Response({"data": [sync_body(sync, sync.state) for sync in page], "next_cursor": cursor})


class OneSync(ApiView):
    """One sync."""

    scopes = {"GET": Scope.SYNCS_READ, "PATCH": Scope.SYNCS_WRITE}

    @extend_schema(
        operation_id="getSync", tags=["syncs"], summary="See a sync", responses=SyncSerializer, examples=[_EXAMPLE]
    )
    def get(self, request: Request, sync_id: str) -> Response:
        return Response(_shown(self.token, find_sync(self.token, sync_id)))

    @extend_schema(
        operation_id="changeSync",
        tags=["syncs"],
        summary="Change a sync",
        description="What is left out stays. A changed sync is due at once, so that a shorter interval holds from now on.",
        request=ChangeSyncSerializer,
        responses=SyncSerializer,
        examples=[OpenApiExample("Every five minutes", {"interval_seconds": 300}, request_only=True), _EXAMPLE],
    )
    def patch(self, request: Request, sync_id: str) -> Response:
        sync = find_sync(self.token, sync_id)
        serializer = ChangeSyncSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        if serializer.validated_data:
            services.update_sync(sync, **serializer.validated_data)
        return Response(_shown(self.token, sync))


class _Change(ApiView):
    """A change without a body."""

    scopes = {"POST": Scope.SYNCS_WRITE}
    change: ClassVar[Callable[[Sync], None]]

    def post(self, request: Request, sync_id: str) -> Response:
        sync = find_sync(self.token, sync_id)
        type(self).change(sync)
        return Response(_shown(self.token, sync))


@extend_schema_view(
    post=extend_schema(
        operation_id="pauseSync",
        tags=["syncs"],
        summary="Pause a sync",
        description="No scheduled or triggered runs until it is resumed; one under way is asked to stop.",
        request=None,
        responses=SyncSerializer,
        examples=[OpenApiExample("Paused", {**examples.SYNC, "status": "paused", "paused": True}, response_only=True)],
    )
)
class PauseSync(_Change):
    """No more runs until resumed."""

    change = services.pause_sync


@extend_schema_view(
    post=extend_schema(
        operation_id="resumeSync",
        tags=["syncs"],
        summary="Resume a sync",
        description="It is due at once.",
        request=None,
        responses=SyncSerializer,
        examples=[_EXAMPLE],
    )
)
class ResumeSync(_Change):
    """Runs go on."""

    change = services.resume_sync


class RequestRun(ApiView):
    """A run wanted now."""

    scopes = {"POST": Scope.SYNCS_WRITE}

    @extend_schema(
        operation_id="requestSyncRun",
        tags=["syncs"],
        summary="Sync now",
        description=(
            "`incremental` reads what changed, `full` reads everything and finds deletions, `remap` maps the stored"
            " objects again without asking the system. While a run is active the answer is that run (`is_new` false),"
            " and yours follows when it ends; of several wishes the strongest: full, remap, incremental. 409 when the"
            " sync or its connection is paused, 424 when the customer must sign in again."
        ),
        request=RequestRunSerializer,
        responses={202: RequestedRunSerializer},
        examples=[
            OpenApiExample("Full", {"mode": "full"}, request_only=True),
            OpenApiExample("Run", {**examples.RUN, "is_new": True}, response_only=True, status_codes=["202"]),
        ],
    )
    def post(self, request: Request, sync_id: str) -> Response:
        sync = find_sync(self.token, sync_id)
        serializer = RequestRunSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        mode = Mode(serializer.validated_data["mode"])
        requested = services.request_run(sync, mode, trigger=Trigger.API, by=str(request.user))
        body = run_body(find_run(self.token, f"{SyncRun.PREFIX}_{requested.run.pk.hex}"))
        headers = {"Location": f"/api/v1/sync-runs/{body['id']}"}
        return Response({**body, "is_new": requested.is_new}, status=202, headers=headers)


def with_state(rows: Any) -> Any:
    """Annotate `state`, as sync status says it."""
    return rows.annotate(state=as_expression(SYNC_STATE))


def _shown(token: ApiToken, sync: Sync) -> dict[str, Any]:
    """The sync as it is now."""
    fresh = with_state(syncs_of(token)).get(pk=sync.pk)
    return sync_body(fresh, fresh.state)
