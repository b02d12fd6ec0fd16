"""The audit log."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.utils.safestring import SafeString
from unfold.decorators import display

from core import ids
from core.admin import HistoryAdmin, TenantAdmin, badge, where_allowed
from core.admin_texts import json_block, moment, two_lines
from workspaces import audit
from workspaces.audit_reading import FORMATS, export_response
from workspaces.choices import AUDIT_BADGES, AuditOutcome
from workspaces.models import ApiToken, AuditEvent

READING = "workspaces.view_auditevent"


@admin.register(AuditEvent)
class AuditEventAdmin(HistoryAdmin, TenantAdmin):
    """Who did what. Members see what belongs to their workspaces; only superusers what belongs to the installation."""

    list_display = ("shown_at", "shown_actor", "action", "shown_object", "outcome_badge", "address", "workspace")
    list_display_links = ("shown_at", "action")
    list_filter = ("at", "outcome", "actor_kind", "workspace")
    list_select_related = ("workspace",)
    list_before_template = "workspaces/audit_export.html"
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("object_id", "actor")
    search_help_text = "Id of an object (con_..., tok_...), an action (connection.paused), or who did it."
    fields = (
        "shown_id", "shown_at", "actor", "actor_kind", "shown_token", "action", "object_type", "object_id",
        "outcome_badge", "workspace", "address", "request_id", "shown_details",
    )  # fmt: skip
    readonly_fields = fields
    outcome_badge = badge("outcome", AUDIT_BADGES, dict(AuditOutcome.choices), description="Outcome")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        """A person may be an owner here and a developer there, where the log is not shown."""
        rows: QuerySet[AuditEvent] = super().get_queryset(request)
        return rows if request.user.is_superuser else rows.filter(workspace__in=where_allowed(request, READING))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent], search_term: str
    ) -> tuple[QuerySet[AuditEvent], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        token_id = ids.read(ApiToken.PREFIX, term)
        wanted = Q(object_id=term) | Q(actor__istartswith=term) | Q(action__startswith=term)
        return queryset.filter(wanted | Q(token_id=token_id) if token_id else wanted), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The list; with ?export= what it lists, all pages of it, as a file."""
        query = request.GET.copy()
        forms = query.pop("export", [])
        query.pop("p", None)
        if forms:
            request.GET = query  # type: ignore[assignment]  # of a request it is immutable
            return self._export(request, str(forms[-1]))
        links = []
        for name in FORMATS:
            query["export"] = name
            links.append((name.upper(), f"?{query.urlencode()}"))
        return super().changelist_view(request, {"export_links": links, **(extra_context or {})})

    def _export(self, request: HttpRequest, form: str) -> StreamingHttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if form not in FORMATS:
            raise Http404
        rows = self.get_changelist_instance(request).queryset
        for workspace_id in [None] if request.user.is_superuser else where_allowed(request, READING):
            audit.record("audit.exported", workspace_id=workspace_id, details={"format": form})
        return export_response(rows, form)

    @display(description="Time")
    def shown_at(self, event: AuditEvent) -> SafeString | str:
        return moment(event.at)

    @display(description="Who")
    def shown_actor(self, event: AuditEvent) -> SafeString:
        return two_lines(event.actor, event.get_actor_kind_display())

    @display(description="To what")
    def shown_object(self, event: AuditEvent) -> SafeString | str:
        return two_lines(event.object_type, event.object_id) if event.object_type else "—"

    @display(description="Id")
    def shown_id(self, event: AuditEvent) -> str | None:
        return ids.show(AuditEvent.PREFIX, event.pk)

    @display(description="Token")
    def shown_token(self, event: AuditEvent) -> str:
        return ids.show(ApiToken.PREFIX, event.token_id) or "—"

    @display(description="Details")
    def shown_details(self, event: AuditEvent) -> SafeString:
        return json_block(event.details)
