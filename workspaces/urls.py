"""Addresses of this room below /api/v1/."""

from django.urls import path

from workspaces.api import audit, events, tokens

urlpatterns = [
    path("audit-events", audit.AuditEvents.as_view()),
    path("audit-events/export", audit.AuditExport.as_view()),
    path("audit-events/<str:audit_event_id>", audit.OneAuditEvent.as_view()),
    path("events", events.Events.as_view()),
    path("tokens", tokens.Tokens.as_view()),
    path("tokens/<str:token_id>", tokens.OneToken.as_view()),
    path("tokens/<str:token_id>/rotate", tokens.RotateToken.as_view()),
    path("tokens/<str:token_id>/revoke", tokens.RevokeToken.as_view()),
]
