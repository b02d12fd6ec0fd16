"""Addresses of this room below /api/v1/."""

from django.urls import path

from connections.api import calls, capabilities, connections, mappings, passthrough, system_settings, systems, tokens

urlpatterns = [
    path("systems", systems.Systems.as_view()),
    path("systems/<str:slug>", systems.OneSystem.as_view()),
    path("systems/<str:slug>/settings", system_settings.OneSystemSettings.as_view()),
    path("connections", connections.Connections.as_view()),
    path("connections/<str:connection_id>", connections.OneConnection.as_view()),
    path("connections/<str:connection_id>/check", connections.CheckConnection.as_view()),
    path("connections/<str:connection_id>/pause", connections.PauseConnection.as_view()),
    path("connections/<str:connection_id>/resume", connections.ResumeConnection.as_view()),
    path("connections/<str:connection_id>/disconnect", connections.DisconnectConnection.as_view()),
    path("connections/<str:connection_id>/health", connections.ConnectionHealth.as_view()),
    path("connections/<str:connection_id>/capabilities", capabilities.ConnectionCapabilities.as_view()),
    path("connections/<str:connection_id>/capabilities/overrides", capabilities.CapabilityOverrides.as_view()),
    path("connections/<str:connection_id>/tokens", tokens.ConnectionTokens.as_view()),
    path("connections/<str:connection_id>/mappings", mappings.Mappings.as_view()),
    path("connections/<str:connection_id>/mappings/<str:entity>", mappings.OneMapping.as_view()),
    path("connections/<str:connection_id>/mappings/<str:entity>/preview", mappings.PreviewMapping.as_view()),
    path("upstream-calls", calls.UpstreamCalls.as_view()),
    path("passthrough", passthrough.Passthrough.as_view()),
]
