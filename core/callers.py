"""Where a request comes from."""

from __future__ import annotations

from typing import Any

from django.conf import settings


def address_of(request: Any) -> str | None:
    """The caller's IP address. Behind N proxies of the operator it is the Nth entry of X-Forwarded-For from the right.

    What stands further left was written by the caller and proves nothing. `request` is Django's or DRF's.
    """
    proxies = int(getattr(settings, "TRUSTED_PROXY_COUNT", 0))
    if not proxies:
        return request.META.get("REMOTE_ADDR") or None
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    return hops[-proxies] or None if len(hops) >= proxies else None
