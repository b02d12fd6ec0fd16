"""Where everything answers."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from core import health
from flows.hook_views import FlowHooks
from webhooks.inbound_views import InboundHooks

API = [
    path("", include("workspaces.urls")),
    path("", include("connections.urls")),
    path("", include("webhooks.urls")),
    path("", include("syncs.urls")),
    path("", include("flows.urls")),
    path("", include("console.urls")),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/", admin.site.urls),
    path("link/", include("console.link.urls")),
    path("hooks/<str:connection_id>/<str:secret>", InboundHooks.as_view(), name="inbound-hooks"),
    path("flow-hooks/<str:flow_id>/<str:secret>", FlowHooks.as_view(), name="flow-hooks"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("healthz/worker", health.worker, name="healthz-worker"),
    path("api/v1/", include(API)),
    path(
        "api/schema",
        SpectacularAPIView.as_view(renderer_classes=[OpenApiJsonRenderer2, OpenApiJsonRenderer]),
        name="schema",
    ),
    # The split view keeps scripts out of the page, so that a stricter content security policy would do as well.
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
]

handler400 = "core.problems.handler400"
handler403 = "core.problems.handler403"
handler404 = "core.problems.handler404"
handler500 = "core.problems.handler500"
