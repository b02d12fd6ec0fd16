"""Tests: one step alone, and a whole flow without effect."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import FieldError, ValidationFailedError
from flows.api import examples
from flows.api.runs import started_answer
from flows.api.visible import FLOW_TAGS, FlowView, find
from flows.models import Flow, FlowRun
from flows.run_answers import FlowRunDetailSerializer, StepTestSerializer
from flows.serializers import DryRunSerializer, TestStepSerializer
from flows.services.demands import demands_of
from flows.services.drafts import read_draft
from flows.services.locking import lock_flow
from flows.services.starting import definition_of
from flows.services.testing import dry_run, test_step
from workspaces.choices import Scope


class _Try(FlowView):
    """Whoever tries a flow must hold what it does, as if it were published: the input is the caller's to choose."""

    scopes = {"POST": Scope.FLOWS_RUN}

    def demand_use(self, flow: Flow, use: str) -> None:
        """Errors: MissingScopeError. A version that is not there is the services' to tell of."""
        if use == "draft":
            self.demand(demands_of(read_draft(flow.draft)))
        elif flow.version is not None:
            self.demand(demands_of(definition_of(flow.version)))


class TestFlowStep(_Try):
    """One step alone."""

    @extend_schema(
        operation_id="testFlowStep",
        tags=FLOW_TAGS,
        summary="Test a step",
        description=(
            "Does one step with the input you give, and nothing outside: reads are real, writes show what they would change,"
            " requests what would be sent. The same step of a run with the same input gives the same output. What fails is"
            " told in `error`. The token must hold what the flow does, as for publishing."
        ),
        request=TestStepSerializer,
        responses=StepTestSerializer,
        examples=[
            OpenApiExample("Request", {"input": {"trigger": examples.INPUT}, "use": "draft"}, request_only=True),
            OpenApiExample("Tested", examples.TESTED, response_only=True),
        ],
    )
    def post(self, request: Request, flow_id: str, step_name: str) -> Response:
        flow = self.flow(flow_id)
        serializer = TestStepSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked: dict[str, Any] = serializer.validated_data
        self.demand_use(flow, asked["use"])
        tested = test_step(flow, step_name, asked["input"], use=asked["use"])
        names = ("input", "output", "error", "call", "elapsed_ms", "is_skipped")
        return Response({name: getattr(tested, name) for name in names})


class DryRunFlow(_Try):
    """A whole flow."""

    @extend_schema(
        operation_id="dryRunFlow",
        tags=FLOW_TAGS,
        summary="Dry-run a flow",
        description=(
            "A run that changes nothing: writes answer what they would change, requests what would be sent, waits pass at"
            " once, nothing is emitted. Give `input`, or `of_run` to take the input of a run there was; with neither the"
            " definition's `example` is taken. See its steps for what would have happened. The token must hold what the flow"
            " does, as for publishing."
        ),
        request=DryRunSerializer,
        responses={202: FlowRunDetailSerializer},
        examples=[
            OpenApiExample("Request", {"of_run": examples.RUN["id"], "use": "draft"}, request_only=True),
            OpenApiExample(
                "Started",
                {**examples.QUEUED, "is_dry": True, "input": examples.INPUT},
                response_only=True,
                status_codes=["202"],
            ),
        ],
    )
    def post(self, request: Request, flow_id: str) -> Response:
        flow = self.flow(flow_id)
        serializer = DryRunSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked: dict[str, Any] = serializer.validated_data
        if "input" in asked and "of_run" in asked:
            detail = "Send an input or a run, not both."
            raise ValidationFailedError(detail, errors=(FieldError("/input", "NOT_ALLOWED", detail),))
        of_run = self._of(flow, asked["of_run"]) if "of_run" in asked else None
        with transaction.atomic():  # what is judged here is what is tried, whoever edits it meanwhile
            locked = lock_flow(flow)
            self.demand_use(locked, asked["use"])
            started = dry_run(locked, asked.get("input"), by=str(request.user), use=asked["use"], of_run=of_run)
        return started_answer(started)

    def _of(self, flow: Flow, shown_id: str) -> FlowRun:
        """Errors: NotFoundHereError."""
        found: FlowRun = find(self.runs().filter(flow_id=flow.pk), FlowRun.PREFIX, shown_id, "run of this flow")
        return found
