"""Failures as `application/problem+json` (RFC 9457), inside DRF views and outside.

Which exception becomes which status is in core.problem_mapping. A problem looks like

{"type": "urn:lineshaft:problem:validation_failed", "title": "The request is not valid", "status": 422,
 "code": "VALIDATION_FAILED", "category": "validation", "detail": "/number: This field is required.",
 "request_id": "req_...", "retryable": false, "who_must_act": "developer",
 "errors": [{"pointer": "/number", "code": "REQUIRED", "detail": "This field is required."}],
 "source": {"status": 400, "code": "BMXAA4195E", "message": "..."}}

with `source` only when an upstream system refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from django.views import defaults
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import BugError, Category, LineshaftError, WhoMustAct
from core.json import dumps
from core.problem_mapping import INTERNAL_DETAIL, TITLES, Problem, problem_of
from core.redaction import redact_text

CONTENT_TYPE = "application/problem+json"
API_PREFIX = "/api/"

log = structlog.get_logger(__name__)


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's EXCEPTION_HANDLER: every exception of a view becomes a problem document.

    ATOMIC_REQUESTS is off, so there is no transaction of the request to roll back.
    """
    request = context.get("request")
    problem = problem_of(exc)
    _log(problem, exc, request)
    return Response(
        problem_body(problem, request_id_of(request)),
        status=problem.status,
        headers=dict(problem.headers),
        content_type=CONTENT_TYPE,
    )


def problem_response(request: HttpRequest, error: BaseException) -> HttpResponse:
    """The same outside DRF: in middleware, plain views and the handlers below."""
    problem = problem_of(error)
    _log(problem, error, request)
    return _response(problem, request)


def problem_body(problem: Problem, request_id: str) -> dict[str, Any]:
    """The members of the document, in the order people read them. Secrets are cut from every text."""
    body: dict[str, Any] = {
        "type": f"urn:lineshaft:problem:{problem.code.lower()}",
        "title": TITLES[problem.category],
        "status": problem.status,
        "code": problem.code,
        "category": problem.category.value,
        "detail": _shown(problem.detail),
        "request_id": request_id,
        "retryable": problem.retryable,
        "who_must_act": problem.who_must_act.value,
        "errors": [
            {"pointer": _shown(error.pointer), "code": error.code, "detail": _shown(error.detail)}
            for error in problem.errors
        ],
    }
    if problem.source is not None:
        body["source"] = {
            "status": problem.source.status,
            "code": _shown(problem.source.code),
            "message": _shown(problem.source.message),
        }
    return body | {name: value for name, value in problem.extra.items() if name not in body}


def request_id_of(request: HttpRequest | Request | None) -> str:
    """The id that RequestIdMiddleware gave the request; empty where it did not run."""
    return str(getattr(request, "request_id", "") or "")


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Root URLconf `handler400`: a problem below /api/, Django's page elsewhere. So are the three below."""
    return problem_response(request, exception) if _is_api(request) else defaults.bad_request(request, exception)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_response(request, exception) if _is_api(request) else defaults.permission_denied(request, exception)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_response(request, exception) if _is_api(request) else defaults.page_not_found(request, exception)


def handler500(request: HttpRequest) -> HttpResponse:
    if not _is_api(request):
        return defaults.server_error(request)
    # Django has logged the exception by now, with its traceback.
    return _response(problem_of(BugError(INTERNAL_DETAIL)), request)


def _response(problem: Problem, request: HttpRequest) -> HttpResponse:
    return HttpResponse(
        dumps(problem_body(problem, request_id_of(request))),
        status=problem.status,
        headers=dict(problem.headers),
        content_type=CONTENT_TYPE,
    )


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith(API_PREFIX)


def _shown(text: str | None) -> str | None:
    """Text that is safe to show and can be encoded (a vendor's message may hold half a character)."""
    return None if text is None else redact_text(str(text).encode("utf-8", "replace").decode("utf-8"))


def _log(problem: Problem, error: BaseException, request: HttpRequest | Request | None) -> None:
    facts: dict[str, Any] = {
        "request_id": request_id_of(request),
        "code": problem.code,
        "category": problem.category.value,
        "status": problem.status,
    }
    if isinstance(error, LineshaftError) and error.log_detail:
        facts["log_detail"] = error.log_detail
    if problem.category is Category.BUG:
        log.error("api.failed", **facts, detail=str(error), exc_info=error)
    else:
        log.info("api.refused", **facts, detail=problem.detail)


class FieldErrorSerializer(serializers.Serializer[Any]):
    """One wrong value."""

    pointer = serializers.CharField(help_text="JSON pointer into the body (RFC 6901), or `?name` for a query parameter")
    code = serializers.CharField(help_text="Stable, upper-case")
    detail = serializers.CharField()


class SourceAnswerSerializer(serializers.Serializer[Any]):
    """What the upstream system said."""

    status = serializers.IntegerField(allow_null=True, help_text="Its HTTP status, null when it gave none")
    code = serializers.CharField(allow_null=True)
    message = serializers.CharField(allow_null=True)


class ProblemSerializer(serializers.Serializer[Any]):
    """A failure (RFC 9457). Decide by `code` and `category`, never by the texts."""

    type = serializers.CharField(help_text="urn:lineshaft:problem: and the code in lower case")
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="Stable, upper-case, e.g. VALIDATION_FAILED")
    category = serializers.ChoiceField(choices=[category.value for category in Category])
    detail = serializers.CharField(help_text="What went wrong and what to do next")
    request_id = serializers.CharField(help_text="Names this request in the operator's log")
    retryable = serializers.BooleanField(help_text="Whether the same request may succeed later")
    who_must_act = serializers.ChoiceField(choices=[who.value for who in WhoMustAct])
    errors = FieldErrorSerializer(many=True)  # type: ignore[assignment]  # the metaclass takes fields out of the class
    source = SourceAnswerSerializer(required=False, help_text="Only when an upstream system refused")  # type: ignore[assignment]
