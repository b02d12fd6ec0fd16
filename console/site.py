"""The admin site: the theme's, with our home page."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite

from console.home import home_context
from console.security import may_see, weaknesses


class AdminSite(UnfoldAdminSite):
    """The platform's admin."""

    site_header = "Lineshaft"
    site_title = "Lineshaft"
    index_title = "Sync status"
    index_template = "console/home.html"

    def extra_urls(self) -> list[URLPattern]:
        return [
            path("status/", never_cache(self.home_status), name="home_status"),
            path("security/", never_cache(self.admin_view(self.security)), name="security"),
        ]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        response: TemplateResponse = super().index(request, {**home_context(request), **(extra_context or {})})
        return response

    def security(self, request: HttpRequest) -> HttpResponse:
        """What is weak, and how to mend it."""
        if not may_see(request):
            raise PermissionDenied
        context = {**self.each_context(request), "title": "Security", "weaknesses": weaknesses(request)}
        return TemplateResponse(request, "console/security.html", context)

    def home_status(self, request: HttpRequest) -> HttpResponse:
        """The part of the home page that it asks for again every few seconds.

        Who was signed out meanwhile gets no sign-in page into the middle of another: the whole page is loaded anew.
        """
        if not self.has_permission(request):
            return HttpResponse(status=403, headers={"HX-Refresh": "true"})
        return TemplateResponse(request, "console/home_status.html", home_context(request))
