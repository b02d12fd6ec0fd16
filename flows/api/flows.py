"""Flows: seen, made, changed and deleted."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import FieldError, ValidationFailedError
from core.parameters import choice_from
from flows.api import examples
from flows.api.visible import FLOW_TAGS, PAGING, FlowView, page_body, page_of
from flows.bodies import ACTIVE, DRAFT, FLOW_STATES, PAUSED, flow_body, flow_detail
from flows.choices import TriggerKind
from flows.definitions.ready import READY
from flows.flow_answers import FlowDetailSerializer, FlowListSerializer
from flows.models import Flow
from flows.serializers import ChangeFlowSerializer, NewFlowSerializer
from flows.services.editing import change_flow, create_flow, delete_flow, import_flow, revision_of
from workspaces.choices import Scope

_STATES: dict[str, dict[str, Any]] = {
    DRAFT: {"version__isnull": True},
    ACTIVE: {"version__isnull": False, "is_paused": False},
    PAUSED: {"version__isnull": False, "is_paused": True},
}
_SOURCES = ("definition", "template", "export")


class Flows(FlowView):
    """The flows of the token's environment, and new ones."""

    scopes = {"GET": Scope.FLOWS_READ, "POST": Scope.FLOWS_WRITE}
    parameters = {"GET": {"limit", "cursor", "status", "trigger"}}

    @extend_schema(
        operation_id="listFlows",
        tags=FLOW_TAGS,
        summary="List flows",
        description="Newest first, without their definitions.",
        parameters=[
            OpenApiParameter("status", str, enum=list(FLOW_STATES)),
            OpenApiParameter("trigger", str, enum=TriggerKind.values, description="Of the published version"),
            *PAGING,
        ],
        responses=FlowListSerializer,
        examples=[OpenApiExample("Page", {"data": [examples.FLOW], "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        status, trigger = (
            choice_from(request, "status", FLOW_STATES),
            choice_from(request, "trigger", TriggerKind.values),
        )
        rows = self.flows().filter(**_STATES[status] if status else {}, **{"trigger_kind": trigger} if trigger else {})
        rows = rows.select_related("version").defer("draft", "version__definition")
        page, cursor = page_of(request, rows, purpose="flows")
        return Response(page_body([flow_body(flow) for flow in page], cursor))

    @extend_schema(
        operation_id="createFlow",
        tags=FLOW_TAGS,
        summary="Create a flow",
        description=(
            "From a definition, a ready template or an export: one of them. It is a draft that does nothing until it is"
            " published. Connections may be bound later. What is wrong in it is 422 with a pointer to each place, such as"
            " `/definition/steps/0/entity`; 409 `FLOW_NAME_TAKEN`, `TOO_MANY_FLOWS` (500 in each environment)."
        ),
        request=NewFlowSerializer,
        responses={201: FlowDetailSerializer},
        examples=[
            OpenApiExample("Request", examples.NEW, request_only=True),
            OpenApiExample("From a template", {"template": next(iter(READY))}, request_only=True),
            OpenApiExample("Created", examples.DRAFT, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        serializer = NewFlowSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        flow = self._made(dict(serializer.validated_data), by=str(request.user))
        body = flow_detail(flow)
        return Response(body, status=201, headers={"Location": f"/api/v1/flows/{body['id']}", "ETag": _tag(flow)})

    def _made(self, values: dict[str, Any], *, by: str) -> Flow:
        place = (self.workspace, self.token.environment)
        given = [name for name in _SOURCES if name in values]
        if len(given) != 1:
            raise _wrong(f"/{given[1] if given else 'definition'}", f"Send one of {', '.join(_SOURCES)}.")
        source = values.pop(given[0])
        if given[0] == "export":
            return import_flow(*place, source, by=by, **values)
        if given[0] == "template":
            if source not in READY:
                raise _wrong("/template", f"There is no such template; there are {', '.join(READY)}.")
            ready = READY[source]
            source = ready.definition
            values = {"name": ready.title, "description": ready.summary[:500], **values}
        values.setdefault("name", source.get("title") or "")
        return create_flow(*place, definition=source, by=by, **values)


class OneFlow(FlowView):
    """One flow."""

    scopes = {"GET": Scope.FLOWS_READ, "PATCH": Scope.FLOWS_WRITE, "DELETE": Scope.FLOWS_WRITE}

    @extend_schema(
        operation_id="getFlow",
        tags=FLOW_TAGS,
        summary="See a flow",
        description="With its draft. The `ETag` names what it is now, for `If-Match`.",
        responses=FlowDetailSerializer,
        examples=[OpenApiExample("Flow", examples.DETAIL, response_only=True)],
    )
    def get(self, request: Request, flow_id: str) -> Response:
        return answer(self.flow(flow_id))

    @extend_schema(
        operation_id="changeFlow",
        tags=FLOW_TAGS,
        summary="Change a flow",
        description=(
            "Each field that is sent, and no other. A definition is sent whole and changes the draft; what is published"
            " runs on until the draft is. With `If-Match` nothing is changed when somebody else did meanwhile: 412"
            " `PRECONDITION_FAILED`."
        ),
        parameters=[OpenApiParameter("If-Match", str, OpenApiParameter.HEADER, description="The flow's `ETag`")],
        request=ChangeFlowSerializer,
        responses=FlowDetailSerializer,
        examples=[
            OpenApiExample("Request", {"bindings": examples.NEW["bindings"]}, request_only=True),
            OpenApiExample("Changed", {**examples.DETAIL, "has_changes": True}, response_only=True),
        ],
    )
    def patch(self, request: Request, flow_id: str) -> Response:
        flow = self.flow(flow_id)
        serializer = ChangeFlowSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = dict(serializer.validated_data)
        return answer(change_flow(flow, by=str(request.user), if_revision=_revision_from(request), **values))

    @extend_schema(
        operation_id="deleteFlow",
        tags=FLOW_TAGS,
        summary="Delete a flow",
        description=(
            "With its versions, runs, messages, secrets and address. 409 `FLOW_HAS_RUNS` while runs are under way: pause"
            " it and cancel them, or wait."
        ),
        request=None,
        responses={204: None},
    )
    def delete(self, request: Request, flow_id: str) -> Response:
        delete_flow(self.flow(flow_id), by=str(request.user))
        return Response(status=204)


def answer(flow: Flow) -> Response:
    """One flow, with the tag that `If-Match` takes."""
    return Response(flow_detail(flow), headers={"ETag": _tag(flow)})


def _tag(flow: Flow) -> str:
    return f'"{revision_of(flow)}"'


def _revision_from(request: Request) -> str | None:
    """What `If-Match` names; None without the header, and for `*`."""
    tag = request.headers.get("If-Match", "*").strip()
    return None if tag == "*" else tag.removeprefix("W/").strip('"')


def _wrong(pointer: str, detail: str) -> ValidationFailedError:
    return ValidationFailedError(detail, errors=(FieldError(pointer, "INVALID_VALUE", detail),))
