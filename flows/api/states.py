"""Flows published, paused and resumed; their versions; exports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from core.api_errors import NotFoundHereError
from flows.api import examples
from flows.api.flows import answer
from flows.api.visible import FLOW_TAGS, PAGING, FlowView, page_body, page_of
from flows.bodies import version_body, version_detail
from flows.flow_answers import (
    FlowDetailSerializer,
    FlowExportSerializer,
    FlowVersionDetailSerializer,
    FlowVersionListSerializer,
)
from flows.models import Flow, FlowVersion
from flows.services.demands import demands_of
from flows.services.drafts import read_draft
from flows.services.editing import export_flow, pause, publish, resume
from workspaces.choices import Scope


class PublishFlow(FlowView):
    """A draft becomes what runs."""

    scopes = {"POST": Scope.FLOWS_WRITE}

    @extend_schema(
        operation_id="publishFlow",
        tags=FLOW_TAGS,
        summary="Publish a flow",
        description=(
            "Freezes the draft and its bindings as a version. Runs under way keep the version they began with. A draft that"
            " is published already makes no new one. The token must itself hold what the flow does:"
            " `records.<entity>:read` for what reads records, `:write` for what writes them, `events:read` for what"
            " follows events; 403 `MISSING_SCOPE` names the step. Connections that are missing, ended or of another"
            " system are 422 with pointers such as `/bindings/erp`."
        ),
        request=None,
        responses=FlowDetailSerializer,
        examples=[OpenApiExample("Published", examples.DETAIL, response_only=True)],
    )
    def post(self, request: Request, flow_id: str) -> Response:
        flow = self.flow(flow_id)
        self.demand(demands_of(read_draft(flow.draft)))
        publish(flow, by=str(request.user), of_draft=flow.draft)
        return answer(self.flow(flow_id))


class _ChangeState(FlowView):
    """A change that needs no body. Who may stop runs may stop what starts them."""

    scopes = {"POST": Scope.FLOWS_RUN}
    change: ClassVar[Callable[..., Flow]]

    def post(self, request: Request, flow_id: str) -> Response:
        type(self).change(self.flow(flow_id), by=str(request.user))
        return answer(self.flow(flow_id))


_ANSWER: dict[str, Any] = {"request": None, "responses": FlowDetailSerializer, "tags": FLOW_TAGS}


@extend_schema_view(
    post=extend_schema(
        operation_id="pauseFlow",
        summary="Pause a flow",
        description="Its trigger starts nothing until it is resumed; runs under way go on. Pausing twice changes nothing.",
        examples=[OpenApiExample("Paused", {**examples.DETAIL, "status": "paused"}, response_only=True)],
        **_ANSWER,
    )
)
class PauseFlow(_ChangeState):
    """A rest."""

    change = staticmethod(pause)


@extend_schema_view(
    post=extend_schema(
        operation_id="resumeFlow",
        summary="Resume a flow",
        description=(
            "Its trigger starts runs again, from now on: times and events that fell into the pause are not made up for."
        ),
        examples=[OpenApiExample("Resumed", examples.DETAIL, response_only=True)],
        **_ANSWER,
    )
)
class ResumeFlow(_ChangeState):
    """The end of a rest."""

    change = staticmethod(resume)


class ExportFlow(FlowView):
    """A flow to carry elsewhere."""

    scopes = {"GET": Scope.FLOWS_READ}

    @extend_schema(
        operation_id="exportFlow",
        tags=FLOW_TAGS,
        summary="Export a flow",
        description=(
            "The draft without anything of this installation: no connections, no secrets. `POST /flows` with `export`"
            " makes a flow of it, here or elsewhere."
        ),
        responses=FlowExportSerializer,
        examples=[OpenApiExample("Export", examples.EXPORT, response_only=True)],
    )
    def get(self, request: Request, flow_id: str) -> Response:
        return Response(export_flow(self.flow(flow_id)))


class FlowVersions(FlowView):
    """What was published."""

    scopes = {"GET": Scope.FLOWS_READ}
    parameters = {"GET": {"limit", "cursor"}}

    @extend_schema(
        operation_id="listFlowVersions",
        tags=FLOW_TAGS,
        summary="List a flow's versions",
        description="Newest first, without what they say.",
        parameters=PAGING,
        responses=FlowVersionListSerializer,
        examples=[OpenApiExample("Page", {"data": [examples.VERSION], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request, flow_id: str) -> Response:
        rows = FlowVersion.objects.published().filter(flow_id=self.flow(flow_id).pk).defer("definition")
        page, cursor = page_of(request, rows, purpose=f"versions of {flow_id}")
        return Response(page_body([version_body(version) for version in page], cursor))


class OneFlowVersion(FlowView):
    """One that was published."""

    scopes = {"GET": Scope.FLOWS_READ}

    @extend_schema(
        operation_id="getFlowVersion",
        tags=FLOW_TAGS,
        summary="See a version of a flow",
        responses=FlowVersionDetailSerializer,
        examples=[
            OpenApiExample(
                "Version",
                {**examples.VERSION, "definition": examples.DEFINITION, "bindings": examples.NEW["bindings"]},
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, flow_id: str, number: int) -> Response:
        flow = self.flow(flow_id)
        found = FlowVersion.objects.filter(flow_id=flow.pk, number=number).first() if number < 2**31 else None
        if found is None:
            raise NotFoundHereError("The flow has no version of this number.")
        return Response(version_detail(found))
