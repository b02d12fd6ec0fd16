"""What a token sees of this room: flows of its workspace and environment, and what hangs on them.

A flow may work with every connection, so for a connection token there are none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from core import ids
from core.api_errors import ForbiddenError, NotFoundHereError
from core.pagination import cursor_from, encode_cursor, filters_of, limit_from
from flows.bodies import Body
from flows.models import Flow, FlowRun
from flows.services.demands import TRIGGER, Demand
from workspaces.permissions import MissingScopeError
from workspaces.scopes import grants
from workspaces.views import ApiView

FLOW_TAGS, RUN_TAGS = ["flows"], ["flow-runs"]
LIMIT = OpenApiParameter("limit", int, description="1 to 500, 100 when absent")
CURSOR = OpenApiParameter("cursor", str, description="`next_cursor` of the page before")
PAGING = [LIMIT, CURSOR]


class FlowView(ApiView):
    """For workspace tokens: a connection token manages and sees none of this."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.token.connection_id is not None and not kwargs:
            raise ForbiddenError("Flows may work with every connection of the workspace: use a workspace token.")

    def flows(self) -> QuerySet[Flow]:
        """Those of the token's environment."""
        rows: QuerySet[Flow] = Flow.objects.filter(**self._mine())
        return rows if self.token.connection_id is None else rows.none()

    def runs(self) -> QuerySet[FlowRun]:
        """Those of the token's environment."""
        rows: QuerySet[FlowRun] = FlowRun.objects.filter(**self._mine()).select_related("version")
        return rows if self.token.connection_id is None else rows.none()

    def flow(self, shown_id: str) -> Flow:
        """The visible flow with this id, else 404."""
        found: Flow = find(self.flows().select_related("version"), Flow.PREFIX, shown_id, "flow")
        return found

    def run(self, shown_id: str) -> FlowRun:
        """The visible run with this id, else 404."""
        found: FlowRun = find(self.runs().select_related("flow"), FlowRun.PREFIX, shown_id, "run of a flow")
        return found

    def demand(self, demands: Iterable[Demand]) -> None:
        """Refuse a token that lets a flow do what it may not do itself. Errors: MissingScopeError naming the step."""
        for one in demands:
            if not grants(self.token.scopes, one.scope):
                who = "The trigger" if one.by == TRIGGER else f"The step {one.by}"
                raise MissingScopeError(
                    f"{who} needs the scope {one.scope}, which the token that sets it to work must hold too.",
                    extra={"required_scope": one.scope, "step": one.by},
                )

    def _mine(self) -> dict[str, Any]:
        return {"workspace_id": self.token.workspace_id, "environment": self.token.environment}


def find(rows: Any, prefix: str, shown_id: str, what: str) -> Any:
    """The row with a shown id. Errors: NotFoundHereError."""
    value = ids.read(prefix, shown_id)
    found = rows.filter(pk=value).first() if value else None
    if found is None:
        raise NotFoundHereError(f"There is no such {what}.")
    return found


def page_of(request: Request, rows: Any, *, purpose: str, is_newest_first: bool = True) -> tuple[list[Any], str | None]:
    """The rows of the page that is asked for, by id, and the cursor of the next."""
    limit, after = limit_from(request), cursor_from(request, (UUID,), purpose=purpose)
    if after:
        rows = rows.filter(**{"pk__lt" if is_newest_first else "pk__gt": after[0]})
    page = list(rows.order_by("-pk" if is_newest_first else "pk")[: limit + 1])
    shown = page[:limit]
    more = len(page) > limit
    return shown, encode_cursor((shown[-1].pk,), purpose=purpose, filters=filters_of(request)) if more else None


def page_body(bodies: list[Body], cursor: str | None) -> Body:
    return {"data": bodies, "next_cursor": cursor}
