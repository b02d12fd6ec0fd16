"""What a person may decide about a run: cancel, retry, run again, and say how a lost step ended."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import ConflictError, FieldError, ValidationFailedError
from core.parameters import check_body_fields
from flows.api import examples
from flows.api.runs import started_answer
from flows.api.visible import RUN_TAGS, FlowView
from flows.bodies import run_detail
from flows.models import FlowRun, StepRun
from flows.run_answers import FlowRunDetailSerializer
from flows.serializers import ResolveStepSerializer
from flows.services import controlling
from workspaces.choices import Scope

_DETAIL = {**examples.RUN, "input": examples.INPUT}


class _Decide(FlowView):
    """A decision, answered with the run as it stands then."""

    scopes = {"POST": Scope.FLOWS_RUN}

    def told(self, flow_run_id: str) -> Response:
        return Response(run_detail(self.run(flow_run_id)))


class CancelFlowRun(_Decide):
    """An end before the end."""

    @extend_schema(
        operation_id="cancelFlowRun",
        tags=RUN_TAGS,
        summary="Cancel a run",
        description=(
            "At once when it is queued or waits, else after the step it is in. What its steps did stays done. 409 when it"
            " has ended."
        ),
        request=None,
        responses=FlowRunDetailSerializer,
        examples=[OpenApiExample("Cancelled", {**_DETAIL, "status": "cancelled"}, response_only=True)],
    )
    def post(self, request: Request, flow_run_id: str) -> Response:
        run = self.run(flow_run_id)
        check_body_fields(request.data, ())
        controlling.cancel_run(run, by=str(request.user))
        return self.told(flow_run_id)


class RetryFlowRun(_Decide):
    """A failed run, taken up again."""

    @extend_schema(
        operation_id="retryFlowRun",
        tags=RUN_TAGS,
        summary="Retry a run from its failed step",
        description="The same run goes on in the same version: steps that succeeded are not done again. 409 unless it failed.",
        request=None,
        responses=FlowRunDetailSerializer,
        examples=[OpenApiExample("Goes on", {**_DETAIL, "status": "queued"}, response_only=True)],
    )
    def post(self, request: Request, flow_run_id: str) -> Response:
        run = self.run(flow_run_id)
        check_body_fields(request.data, ())
        controlling.retry_run(run, by=str(request.user))
        return self.told(flow_run_id)


class RerunFlowRun(FlowView):
    """A new run of the same input."""

    scopes = {"POST": Scope.FLOWS_RUN}

    @extend_schema(
        operation_id="rerunFlowRun",
        tags=RUN_TAGS,
        summary="Run again on the latest version",
        description="A new run with the same input, from the start: every step is done again, writes too.",
        request=None,
        responses={202: FlowRunDetailSerializer},
        examples=[
            OpenApiExample(
                "Started",
                {**examples.QUEUED, "rerun_of": examples.RUN["id"], "input": examples.INPUT},
                response_only=True,
                status_codes=["202"],
            )
        ],
    )
    def post(self, request: Request, flow_run_id: str) -> Response:
        run = self.run(flow_run_id)
        check_body_fields(request.data, ())
        return started_answer(controlling.rerun(run, by=str(request.user)))


class ResolveFlowRun(_Decide):
    """A decision about a step whose outcome nobody can tell."""

    @extend_schema(
        operation_id="resolveFlowRun",
        tags=RUN_TAGS,
        summary="Say how a lost step ended",
        description=(
            "For a run that waits for a person: a request was begun whose outcome was lost, and may not be sent blindly"
            " again. Look at the other system, then say `succeeded` (with the output that later steps need), `failed`, or"
            " `repeat`. 409 when the run waits for no such decision."
        ),
        request=ResolveStepSerializer,
        responses=FlowRunDetailSerializer,
        examples=[
            OpenApiExample("It was done", {"outcome": "succeeded", "output": {"status": 200}}, request_only=True),
            OpenApiExample("Goes on", {**_DETAIL, "status": "queued"}, response_only=True),
        ],
    )
    def post(self, request: Request, flow_run_id: str) -> Response:
        run = self.run(flow_run_id)
        serializer = ResolveStepSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked: dict[str, Any] = serializer.validated_data
        if "output" in asked and asked["outcome"] != "succeeded":
            detail = "An output belongs to `succeeded` alone."
            raise ValidationFailedError(detail, errors=(FieldError("/output", "NOT_ALLOWED", detail),))
        step = _step(run, asked.get("step") or run.current_step)
        controlling.resolve_step(step, outcome=asked["outcome"], output=asked.get("output"), by=str(request.user))
        return self.told(flow_run_id)


def _step(run: FlowRun, path: str) -> StepRun:
    """Errors: ConflictError when the run is at no such step."""
    found: StepRun | None = StepRun.objects.filter(run_id=run.pk, path=path).first()
    if found is None:
        raise ConflictError("The run waits for no decision about this step.", code="STEP_NOT_WAITING")
    return found
