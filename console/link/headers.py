"""Headers of the Link pages, set before the middleware would set those of the admin."""

from __future__ import annotations

from django.http import HttpResponseBase

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)


def guard(response: HttpResponseBase) -> HttpResponseBase:
    """Make an answer one of the Link pages': nothing inline, never framed, kept nowhere, found by no search engine.

    The address holds the link's token, so that no other site may learn it from a Referer. `no-referrer` would have
    browsers send `Origin: null` with our own forms, which the check against forged requests refuses; `same-origin` tells
    other sites as little. The popup must keep its opener to hand the code over: hence `unsafe-none`.
    """
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response["Referrer-Policy"] = "same-origin"
    response["Cross-Origin-Opener-Policy"] = "unsafe-none"
    response["X-Robots-Tag"] = "noindex, nofollow"
    response.headers.setdefault("Cache-Control", "no-store")
    return response
