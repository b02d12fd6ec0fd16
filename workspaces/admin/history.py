"""The page "History" of rows whose configuration the database keeps the history of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from core.admin_texts import moment
from workspaces.changes import MOST_ROWS, Source, read_changes


class HistoryPages:
    """Stands before TenantAdmin among the bases: "History" shows what was changed, by whom, and how it was before."""

    def history_sources(self, row: Any) -> Sequence[Source]:
        """What belongs to the history of a row."""
        raise NotImplementedError

    def history_search(self, row: Any) -> str:
        """What finds the row's events on the screen of the audit log."""
        raise NotImplementedError

    def history_view(
        self: Any, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        changes = read_changes(self.history_sources(row), self.workspace_id_of(row))
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {row}",
            "opts": self.opts,
            "original": row,
            "changes": [(change, moment(change.at)) for change in changes],
            "most": MOST_ROWS,
            "search": self.history_search(row),
            "audit_address": reverse("admin:workspaces_auditevent_changelist"),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "workspaces/history.html", context)
