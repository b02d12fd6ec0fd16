"""Addresses of this room below /api/v1/."""

from django.urls import path

from connections.api import (
    calls,
    capabilities,
    connections,
    link_sessions,
    mapping_versions,
    mappings,
    passthrough,
    states,
    system_settings,
    systems,
    tokens,
)

urlpatterns = [
    path("systems", systems.Systems.as_view()),
    path("systems/<str:slug>", systems.OneSystem.as_view()),
    path("systems/<str:slug>/settings", system_settings.OneSystemSettings.as_view()),
    path("connections", connections.Connections.as_view()),
    path("connections/<str:connection_id>", connections.OneConnection.as_view()),
    path("connections/<str:connection_id>/check", connections.CheckConnection.as_view()),
    path("connections/<str:connection_id>/pause", states.PauseConnection.as_view()),
    path("connections/<str:connection_id>/resume", states.ResumeConnection.as_view()),
    path("connections/<str:connection_id>/disconnect", states.DisconnectConnection.as_view()),
    path("connections/<str:connection_id>/reconnect", states.ReconnectConnection.as_view()),
    path("connections/<str:connection_id>/health", connections.ConnectionHealth.as_view()),
    path("connections/<str:connection_id>/capabilities", capabilities.ConnectionCapabilities.as_view()),
    path("connections/<str:connection_id>/capabilities/overrides", capabilities.CapabilityOverrides.as_view()),
    path("connections/<str:connection_id>/tokens", tokens.ConnectionTokens.as_view()),
    path("connections/<str:connection_id>/mappings", mappings.Mappings.as_view()),
    path("connections/<str:connection_id>/mappings/<str:entity>", mappings.OneMapping.as_view()),
    path("connections/<str:connection_id>/mappings/<str:entity>/preview", mappings.PreviewMapping.as_view()),
    path("connections/<str:connection_id>/mappings/<str:entity>/export", mapping_versions.ExportMapping.as_view()),
    path("connections/<str:connection_id>/mappings/<str:entity>/versions", mapping_versions.MappingVersions.as_view()),
    path(
        "connections/<str:connection_id>/mappings/<str:entity>/versions/<int:version>",
        mapping_versions.OneMappingVersion.as_view(),
    ),
    path(
        "connections/<str:connection_id>/mappings/<str:entity>/versions/<int:version>/restore",
        mapping_versions.RestoreMappingVersion.as_view(),
    ),
    path("link-sessions", link_sessions.LinkSessions.as_view()),
    path("link-sessions/exchange", link_sessions.ExchangeCode.as_view()),
    path("link-sessions/<str:session_id>", link_sessions.OneLinkSession.as_view()),
    path("link-sessions/<str:session_id>/cancel", link_sessions.CancelLinkSession.as_view()),
    path("upstream-calls", calls.UpstreamCalls.as_view()),
    path("passthrough", passthrough.Passthrough.as_view()),
]
