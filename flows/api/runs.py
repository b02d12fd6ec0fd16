"""Runs: started, listed, and what each step did."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.parameters import boolean_from, choice_from, id_from, text_from
from flows.api import examples
from flows.api.visible import FLOW_TAGS, PAGING, RUN_TAGS, FlowView, page_body, page_of
from flows.bodies import run_body, run_detail, step_body
from flows.choices import FlowRunStatus, StepStatus, TriggerKind
from flows.models import Flow, FlowRun, StepRun
from flows.run_answers import FlowRunDetailSerializer, FlowRunListSerializer, StepRunListSerializer
from flows.serializers import StartRunSerializer
from flows.services.starting import run_by_hand, stored_key
from syncs.api.preferences import key_from
from syncs.operations.errors import KeyReusedError
from workspaces.choices import Scope

FILTERS = frozenset({"limit", "cursor", "status", "trigger", "dry"})
_PARAMETERS = [
    OpenApiParameter("status", str, enum=FlowRunStatus.values),
    OpenApiParameter("trigger", str, enum=TriggerKind.values),
    OpenApiParameter("dry", bool, description="true: dry runs only; false: none of them; both when absent"),
    *PAGING,
]
_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="A second request with the same starts no second run"
)
_PAGE = OpenApiExample("Page", {"data": [examples.RUN], "next_cursor": None}, response_only=True)


class RunsOfFlow(FlowView):
    """The runs of a flow, and new ones."""

    scopes = {"GET": Scope.FLOWS_READ, "POST": Scope.FLOWS_RUN}
    parameters = {"GET": FILTERS}

    @extend_schema(
        operation_id="listRunsOfFlow",
        tags=FLOW_TAGS,
        summary="List a flow's runs",
        description="Newest first, without their input. Ended runs are kept 90 days.",
        parameters=_PARAMETERS,
        responses=FlowRunListSerializer,
        examples=[_PAGE],
    )
    def get(self, request: Request, flow_id: str) -> Response:
        rows = self.runs().filter(flow_id=self.flow(flow_id).pk)
        return _page(request, rows, purpose=f"runs of {flow_id}")

    @extend_schema(
        operation_id="startFlowRun",
        tags=FLOW_TAGS,
        summary="Start a run",
        description=(
            "Of the published version, whatever its trigger: `trigger.body` is what is sent. 202 for a new run; 200 when"
            " the `Idempotency-Key`, or the flow's own `key`, names one that there is already. The same key with another"
            " body is 422 `IDEMPOTENCY_KEY_REUSED`; 409 `FLOW_NOT_PUBLISHED`, `FLOW_PAUSED`, `CONNECTION_DISCONNECTED`."
        ),
        parameters=[_KEY],
        request=StartRunSerializer,
        responses={200: FlowRunDetailSerializer, 202: FlowRunDetailSerializer},
        examples=[
            OpenApiExample("Request", {"body": examples.INPUT["body"]}, request_only=True),
            OpenApiExample(
                "Started", {**examples.QUEUED, "input": examples.INPUT}, response_only=True, status_codes=["202"]
            ),
        ],
    )
    def post(self, request: Request, flow_id: str) -> Response:
        flow, key = self.flow(flow_id), key_from(request)
        serializer = StartRunSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        body = serializer.validated_data["body"]
        started = run_by_hand(flow, body, by=str(request.user), kind=TriggerKind.API, key=key)
        is_by_key = key is not None and started.run.key == stored_key(f"{TriggerKind.API.value}:{key}")
        if is_by_key and started.run.input.get("body") != body:
            raise KeyReusedError("This Idempotency-Key was used for another body of this flow; use a new one.")
        return started_answer(started)


class FlowRuns(FlowView):
    """The runs of all flows."""

    scopes = {"GET": Scope.FLOWS_READ}
    parameters = {"GET": FILTERS | {"flow"}}

    @extend_schema(
        operation_id="listFlowRuns",
        tags=RUN_TAGS,
        summary="List runs of flows",
        description="Newest first, without their input. Ended runs are kept 90 days.",
        parameters=[OpenApiParameter("flow", str, description="Only those of this flow (flow_...)"), *_PARAMETERS],
        responses=FlowRunListSerializer,
        examples=[_PAGE],
    )
    def get(self, request: Request) -> Response:
        flow = id_from(request, "flow", Flow.PREFIX)
        rows = self.runs()
        return _page(request, rows if flow is None else rows.filter(flow_id=flow), purpose="flow runs")


class OneFlowRun(FlowView):
    """One run."""

    scopes = {"GET": Scope.FLOWS_READ}

    @extend_schema(
        operation_id="getFlowRun",
        tags=RUN_TAGS,
        summary="See a run of a flow",
        responses=FlowRunDetailSerializer,
        examples=[OpenApiExample("Failed", {**examples.FAILED, "input": examples.INPUT}, response_only=True)],
    )
    def get(self, request: Request, flow_run_id: str) -> Response:
        return Response(run_detail(self.run(flow_run_id)))


class FlowRunSteps(FlowView):
    """What the steps of a run did."""

    scopes = {"GET": Scope.FLOWS_READ}
    parameters = {"GET": {"limit", "cursor", "status", "scope"}}

    @extend_schema(
        operation_id="listFlowRunSteps",
        tags=RUN_TAGS,
        summary="List a run's steps",
        description=(
            "In the order they began, each with what went in and came out, its attempts, and the write or request it made."
        ),
        parameters=[
            OpenApiParameter("status", str, enum=StepStatus.values),
            OpenApiParameter("scope", str, description="Only those within this item of a for-each, `each[KEY]`"),
            *PAGING,
        ],
        responses=StepRunListSerializer,
        examples=[OpenApiExample("Page", {"data": [examples.STEP], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request, flow_run_id: str) -> Response:
        run, status = self.run(flow_run_id), choice_from(request, "status", StepStatus.values)
        asked: dict[str, Any] = {"status": status, "scope": text_from(request, "scope", max_length=600)}
        rows = StepRun.objects.filter(
            run_id=run.pk, **{name: value for name, value in asked.items() if value is not None}
        )
        page, cursor = page_of(request, rows, purpose=f"steps of {flow_run_id}", is_newest_first=False)
        return Response(page_body([step_body(step) for step in page], cursor))


def started_answer(started: Any) -> Response:
    """A run as it was just started, or as it stands when it is known."""
    run: FlowRun = started.run
    location = f"/api/v1/flow-runs/{ids.show(FlowRun.PREFIX, run.pk)}"
    return Response(run_detail(run), status=202 if started.is_new else 200, headers={"Location": location})


def _page(request: Request, rows: QuerySet[FlowRun], *, purpose: str) -> Response:
    """What was asked of them, without the inputs, which may be large."""
    asked: dict[str, Any] = {
        "status": choice_from(request, "status", FlowRunStatus.values),
        "trigger": choice_from(request, "trigger", TriggerKind.values),
        "is_dry": boolean_from(request, "dry") if "dry" in request.GET else None,
    }
    rows = rows.filter(**{name: value for name, value in asked.items() if value is not None})
    page, cursor = page_of(request, rows.defer("input", "version__definition"), purpose=purpose)
    return Response(page_body([run_body(run) for run in page], cursor))
