"""The authorization server under /o/, a sign-in page, the system's own API under /api/, and what tests steer it by."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import include, path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.models import AccessToken, Application, RefreshToken  # type: ignore[import-untyped]
from oauth2_provider.oauth2_backends import get_oauthlib_core  # type: ignore[import-untyped]
from oauth2_provider.views import TokenView  # type: ignore[import-untyped]

from tests.oauth.server import state
from tests.oauth.server.settings import CHOSEN


@csrf_exempt
def token(request: HttpRequest) -> HttpResponseBase:
    """The toolkit's token endpoint, one request at a time, with what tests make go wrong around it."""
    grant = request.POST.get("grant_type", "")
    fault = state.take_fault()
    if fault.get("kind") == "hang":
        state.stopping.wait(fault["seconds"])
    if fault.get("kind") in ("500", "503"):
        state.note(grant, int(fault["kind"]), "fault")
        return HttpResponse("out of order", status=int(fault["kind"]))
    if fault.get("kind") == "html":
        state.note(grant, 200, "fault")
        return HttpResponse("<!DOCTYPE html><html><body>Please stand by</body></html>")
    with state.lock:
        answer = TokenView.as_view()(request)
        body = json.loads(answer.content)
        state.note(grant, answer.status_code, body.get("error", ""))
    if fault.get("kind") == "answer_lost":
        return HttpResponse("the gateway lost it", status=502)
    return answer


@csrf_exempt
def login(request: HttpRequest) -> HttpResponse:
    """A sign-in by user and password that gives a session, as systems without OAuth have it."""
    given = json.loads(request.body)
    user = authenticate(username=given.get("user"), password=given.get("password"))
    state.note("session", 200 if user else 401)
    if user is None:
        return JsonResponse({"message": "Unknown user or password."}, status=401)
    return JsonResponse({"session": {"token": state.open_session()}})


def caller(request: HttpRequest) -> str | None:
    """Who calls the API: by an access token, or by a session."""
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind == "Session":
        return CHOSEN["username"] if state.is_session(value) else None
    valid, found = get_oauthlib_core().verify_request(request, scopes=["read"])
    if not valid:
        return None
    return found.user.get_username() if found.user else f"client {found.client.name}"


def api(request: HttpRequest, name: str) -> HttpResponse:
    who = caller(request)
    if who is None:
        return JsonResponse({"message": "The token is not (or no longer) good."}, status=401)
    if name == "me":
        return JsonResponse({"user": who, "version": "3.1"})
    rows = {"vendors": state.vendors, "orders": state.orders}.get(name)
    if rows is None:
        return JsonResponse({"message": "No such route."}, status=404)
    since = request.GET.get("updated_since", "")
    return JsonResponse({"items": [row for row in rows() if row.get("updated_at", since) >= since], "next": None})


def api_object(request: HttpRequest, name: str, remote_id: str) -> HttpResponse:
    if caller(request) is None:
        return JsonResponse({"message": "The token is not (or no longer) good."}, status=401)
    rows = {"vendors": state.vendors, "orders": state.orders}.get(name, list)()
    found = next((row for row in rows if row["id"] == remote_id), None)
    return JsonResponse(found) if found else JsonResponse({"message": "No such object."}, status=404)


# --- for the test alone -----------------------------------------------------------------------------------------------


@csrf_exempt
def control(request: HttpRequest, action: str) -> HttpResponse:
    given: dict[str, Any] = json.loads(request.body or b"{}")
    if action == "journal":
        with state.lock:
            return JsonResponse({"exchanges": list(state.exchanges)})
    if action == "forget":
        with state.lock:
            state.exchanges.clear()
    elif action == "fail":
        with state.lock:
            state.fault.clear()
            state.fault.update(given)
    elif action == "expire":  # access tokens and sessions end, refresh tokens stay good
        AccessToken.objects.update(expires=timezone.now() - timedelta(seconds=1))
        state.end_sessions()
    elif action == "revoke":  # the person withdraws the consent
        AccessToken.objects.all().delete()
        RefreshToken.objects.update(revoked=timezone.now() - timedelta(days=1))
    elif action == "client":
        Application.objects.filter(client_id=given["client_id"]).update(**given["changes"])
    elif action == "client_secret":
        app = Application.objects.get(client_id=given["client_id"])
        app.client_secret = given["client_secret"]
        app.save()
    else:
        return JsonResponse({"message": "no such control"}, status=404)
    return JsonResponse({})


urlpatterns = [
    path("o/token/", token),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("accounts/login/", LoginView.as_view()),
    path("session/login", login),
    path("api/<str:name>", api),
    path("api/<str:name>/<str:remote_id>", api_object),
    path("control/<str:action>", control),
]
