"""Addresses of this room below /api/v1/."""

from django.urls import path

from workspaces.api import events, tokens

urlpatterns = [
    path("events", events.Events.as_view()),
    path("tokens", tokens.Tokens.as_view()),
    path("tokens/<str:token_id>", tokens.OneToken.as_view()),
    path("tokens/<str:token_id>/revoke", tokens.RevokeToken.as_view()),
]
