"""Runs: history, what went wrong in them, and what a person may decide about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.pagination import cursor_from, encode_cursor, filters_of, limit_from
from core.parameters import choice_from, datetime_from, id_from
from integrations.entities import ENTITIES
from syncs import services
from syncs.api import examples
from syncs.api.serializers import (
    ReviewSerializer,
    RunErrorsSerializer,
    RunListSerializer,
    RunSerializer,
    SuspectListSerializer,
)
from syncs.api.visible import asked_connection, find_run, runs_of
from syncs.bodies import quarantined_body, run_body, suspect_body
from syncs.choices import Mode, Review, RunStatus
from syncs.models import QuarantinedRecord, Suspect, Sync
from workspaces.choices import Scope
from workspaces.views import ApiView

_PAGING = [
    OpenApiParameter("limit", int, description="1 to 500, 100 when absent"),
    OpenApiParameter("cursor", str, description="`next_cursor` of the page before"),
]
_MOMENT = {"type": "string", "format": "date-time"}
_DECISIONS = {"release": Review.RELEASED, "delete": Review.DELETED}


class Runs(ApiView):
    """The history of runs, newest first."""

    scopes = {"GET": Scope.SYNCS_READ}
    parameters = {
        "GET": {
            "limit", "cursor", "sync", "connection", "entity", "status", "mode", "created_after", "created_before",
        }
    }  # fmt: skip

    @extend_schema(
        operation_id="listSyncRuns",
        tags=["syncs"],
        summary="List sync runs",
        description="Newest first. Ended runs are kept 90 days.",
        parameters=[
            *_PAGING,
            OpenApiParameter("sync", str, description="Only those of this sync (`syn_...`)"),
            OpenApiParameter("connection", str, description="Only those of this connection (`con_...`)"),
            OpenApiParameter("entity", str, enum=list(ENTITIES)),
            OpenApiParameter("status", str, enum=RunStatus.values),
            OpenApiParameter("mode", str, enum=Mode.values),
            OpenApiParameter("created_after", _MOMENT, description="Created after this time"),
            OpenApiParameter("created_before", _MOMENT, description="Created before this time"),
        ],
        responses=RunListSerializer,
        examples=[OpenApiExample("Page", {"data": [examples.RUN], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        limit, after = limit_from(request), cursor_from(request, (datetime, UUID), purpose="sync-runs")
        wanted = {
            "sync_id": id_from(request, "sync", Sync.PREFIX),
            "connection_id": asked_connection(self.token, request),
            "sync__entity": choice_from(request, "entity", list(ENTITIES)),
            "status": choice_from(request, "status", RunStatus.values),
            "mode": choice_from(request, "mode", Mode.values),
            "created_at__gt": datetime_from(request, "created_after"),
            "created_at__lt": datetime_from(request, "created_before"),
        }
        rows = runs_of(self.token).filter(**{name: value for name, value in wanted.items() if value is not None})
        if after:
            # The first condition is implied by the second; with it the index on created_at is entered at the cursor.
            rows = rows.filter(created_at__lte=after[0]).filter(Q(created_at__lt=after[0]) | Q(pk__lt=after[1]))
        page = list(rows.order_by("-created_at", "-pk")[: limit + 1])
        more, page = len(page) > limit, page[:limit]
        last = (page[-1].created_at, page[-1].pk) if more else None
        cursor = encode_cursor(last, purpose="sync-runs", filters=filters_of(request)) if last else None
        return Response({"data": [run_body(run) for run in page], "next_cursor": cursor})


class OneRun(ApiView):
    """One run."""

    scopes = {"GET": Scope.SYNCS_READ}

    @extend_schema(
        operation_id="getSyncRun",
        tags=["syncs"],
        summary="See a sync run",
        responses=RunSerializer,
        examples=[OpenApiExample("Run", examples.RUN, response_only=True)],
    )
    def get(self, request: Request, run_id: str) -> Response:
        return Response(run_body(find_run(self.token, run_id)))


class RunErrors(ApiView):
    """What went wrong."""

    scopes = {"GET": Scope.SYNCS_READ}
    parameters = {"GET": {"limit", "cursor", "include"}}

    @extend_schema(
        operation_id="listSyncRunErrors",
        tags=["syncs"],
        summary="See what went wrong in a run",
        description=(
            "`error` is why the run failed or waits. `data` are the objects of its sync that cannot be copied at"
            " present: each run tries them again, so they may be gone from here later."
        ),
        parameters=[
            *_PAGING,
            OpenApiParameter("include", str, enum=["raw"], description="`raw`: the objects as they came"),
        ],
        responses=RunErrorsSerializer,
        examples=[
            OpenApiExample(
                "Page", {"error": None, "data": [examples.QUARANTINED], "next_cursor": None}, response_only=True
            )
        ],
    )
    def get(self, request: Request, run_id: str) -> Response:
        run = find_run(self.token, run_id)
        raw = choice_from(request, "include", ["raw"]) is not None
        rows = QuarantinedRecord.objects.filter(sync_id=run.sync_id)
        page, cursor = _by_record(request, rows if raw else rows.defer("raw"), purpose=f"errors of {run.sync_id}")
        data = [quarantined_body(item, entity=run.sync.entity, raw=raw) for item in page]
        return Response({"error": run.error, "data": data, "next_cursor": cursor})


class Suspects(ApiView):
    """Held records."""

    scopes = {"GET": Scope.SYNCS_READ}
    parameters = {"GET": {"limit", "cursor"}}

    @extend_schema(
        operation_id="listSyncRunSuspects",
        tags=["syncs"],
        summary="See which records a run holds back",
        description="The records a complete list did not show, until somebody reviews the run. Empty afterwards.",
        parameters=_PAGING,
        responses=SuspectListSerializer,
        examples=[
            OpenApiExample(
                "Page",
                {"data": [{"record_id": examples.RECORD_ID, "remote_id": "1187"}], "next_cursor": None},
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, run_id: str) -> Response:
        run = find_run(self.token, run_id)
        page, cursor = _by_record(request, Suspect.objects.filter(run=run), purpose=f"suspects of {run.pk}")
        return Response({"data": [suspect_body(item, entity=run.sync.entity) for item in page], "next_cursor": cursor})


class CancelRun(ApiView):
    """The end of a run."""

    scopes = {"POST": Scope.SYNCS_WRITE}

    @extend_schema(
        operation_id="cancelSyncRun",
        tags=["syncs"],
        summary="Cancel a sync run",
        description="At once while it waits, at its next page while it works. 409 when it has ended.",
        request=None,
        responses=RunSerializer,
        examples=[
            OpenApiExample("Asked to stop", {**examples.RUN, "cancel_requested": True}, response_only=True),
        ],
    )
    def post(self, request: Request, run_id: str) -> Response:
        run = find_run(self.token, run_id)
        services.cancel_run(run, by=str(request.user))
        return Response(run_body(find_run(self.token, run_id)))


class ReviewRun(ApiView):
    """A decision about held records."""

    scopes = {"POST": Scope.SYNCS_WRITE}

    @extend_schema(
        operation_id="reviewSyncRun",
        tags=["syncs"],
        summary="Decide about held deletions",
        description=(
            "A run that missed unusually many records deletes none of them and waits for this. `release` keeps them,"
            " `delete` makes tombstones of them, but for those written meanwhile. 409 when there is nothing to decide."
        ),
        request=ReviewSerializer,
        responses=RunSerializer,
        examples=[
            OpenApiExample("Release", {"decision": "release"}, request_only=True),
            OpenApiExample("Held run", examples.HELD, response_only=True),
        ],
    )
    def post(self, request: Request, run_id: str) -> Response:
        run = find_run(self.token, run_id)
        serializer = ReviewSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        services.review_run(run, _DECISIONS[serializer.validated_data["decision"]], by=str(request.user))
        return Response(run_body(find_run(self.token, run_id)))


def _by_record(request: Request, rows: Any, *, purpose: str) -> tuple[list[Any], str | None]:
    """A page in order of record id, which both tables have an index for."""
    limit, after = limit_from(request), cursor_from(request, (UUID,), purpose=purpose)
    page = list((rows.filter(record_id__gt=after[0]) if after else rows).order_by("record_id")[: limit + 1])
    if len(page) <= limit:
        return page, None
    page = page[:limit]
    return page, encode_cursor((page[-1].record_id,), purpose=purpose, filters=filters_of(request))
