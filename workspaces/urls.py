"""Addresses of this room below /api/v1/."""

from django.urls import path

from workspaces import api

urlpatterns = [
    path("events", api.Events.as_view()),
    path("tokens", api.Tokens.as_view()),
    path("tokens/<str:token_id>", api.OneToken.as_view()),
    path("tokens/<str:token_id>/revoke", api.RevokeToken.as_view()),
]
