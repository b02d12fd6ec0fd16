"""Every address of the platform, and the plain list that it is measured beside."""

from __future__ import annotations

from django.urls import path

from benchmarks.plain_api import PlainOrders
from config.urls import handler400, handler403, handler404, handler500, urlpatterns

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns = [*urlpatterns, path("api/v1/plain-orders", PlainOrders.as_view())]
