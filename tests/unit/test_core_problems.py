"""Every failure becomes a problem document; none shows our inside or accuses the wrong token."""

import json
import logging
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404
from django.test import RequestFactory, override_settings
from rest_framework import exceptions as drf
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from core import api_errors, errors, problems
from core.problem_mapping import STATUS_BY_CATEGORY, TITLES, problem_of
from core.rendering import JsonRenderer, RawJson, StrictJsonParser

SOURCE = errors.SourceAnswer(status=401, code="E17", message="no")
MEMBERS = ["type", "title", "status", "code", "category", "detail", "request_id", "retryable", "who_must_act", "errors"]


class ProbeView(APIView):
    """Raises what the test gives it, or answers with what was sent."""

    authentication_classes = ()
    permission_classes = ()
    renderer_classes = (JsonRenderer,)
    parser_classes = (StrictJsonParser,)
    failure: BaseException | None = None

    def get_exception_handler(self):
        return problems.exception_handler

    def get(self, request):
        if self.failure is not None:
            raise self.failure
        return Response({"data": [RawJson('{"pre":  "rendered"}')]})

    def post(self, request):
        return Response({"got": request.data})


def identified(request):
    request.request_id = "req_test"
    return request


def ask(failure=None, method="get", **arguments):
    request = identified(getattr(APIRequestFactory(), method)("/api/v1/probe", **arguments))
    response = ProbeView.as_view(failure=failure)(request)
    return response.render()


def document(response):
    assert response["Content-Type"] == "application/problem+json"
    body = json.loads(response.content)
    assert [name for name in body if name in MEMBERS] == MEMBERS
    assert body["status"] == response.status_code
    assert body["request_id"] == "req_test"
    return body


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (errors.ConfigError("x"), 422, "CONFIGURATION_ERROR"),
        (errors.EgressDeniedError("x"), 422, "EGRESS_DENIED"),
        (errors.TlsError("x"), 422, "TLS_FAILED"),
        (errors.AuthError("x"), 424, "AUTHENTICATION_FAILED"),
        (errors.AuthError("x", source=SOURCE), 424, "AUTHENTICATION_FAILED"),
        (errors.PermissionDeniedError("x"), 403, "PERMISSION_DENIED"),
        (errors.PermissionDeniedError("x", source=SOURCE), 424, "PERMISSION_DENIED"),
        (errors.NotLicensedError("x", source=SOURCE), 424, "NOT_LICENSED"),
        (errors.RateLimitedError("x", source=SOURCE), 429, "RATE_LIMIT_EXCEEDED"),
        (errors.TransientError("x"), 503, "UPSTREAM_UNAVAILABLE"),
        (errors.UnreachableError("x"), 503, "HOST_UNREACHABLE"),
        (errors.BadAnswerError("x"), 503, "UNEXPECTED_ANSWER"),
        (errors.NotFoundError("x"), 404, "NOT_FOUND"),
        (errors.ValidationFailedError("x"), 422, "VALIDATION_FAILED"),
        (errors.BusinessRuleError("x"), 422, "BUSINESS_RULE"),
        (errors.ConflictError("x"), 409, "CONFLICT"),
        (errors.NotSupportedError("x"), 422, "OPERATION_NOT_SUPPORTED"),
        (errors.TimeoutUnknownError("x"), 504, "OUTCOME_UNKNOWN"),
        (errors.BugError("x"), 500, "INTERNAL_ERROR"),
        (api_errors.BadRequestError("x"), 400, "BAD_REQUEST"),
        (api_errors.NotAuthenticatedError("x"), 401, "AUTHENTICATION_FAILED"),
        (api_errors.ForbiddenError("x"), 403, "PERMISSION_DENIED"),
        (api_errors.NotFoundHereError("x"), 404, "NOT_FOUND"),
        (api_errors.GoneError("x"), 410, "GONE"),
        (api_errors.PreconditionFailedError("x"), 412, "PRECONDITION_FAILED"),
        (drf.ParseError(), 400, "BAD_REQUEST"),
        (drf.NotAuthenticated(), 401, "AUTHENTICATION_FAILED"),
        (drf.AuthenticationFailed(), 401, "AUTHENTICATION_FAILED"),
        (drf.PermissionDenied(), 403, "PERMISSION_DENIED"),
        (drf.NotFound(), 404, "NOT_FOUND"),
        (drf.MethodNotAllowed("PUT"), 405, "METHOD_NOT_ALLOWED"),
        (drf.NotAcceptable(), 406, "NOT_ACCEPTABLE"),
        (drf.UnsupportedMediaType("text/csv"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (drf.Throttled(wait=3), 429, "RATE_LIMIT_EXCEEDED"),
        (drf.ValidationError("x"), 422, "VALIDATION_FAILED"),
        (drf.APIException("secret inside"), 500, "INTERNAL_ERROR"),
        (Http404("No Row matches the given query."), 404, "NOT_FOUND"),
        (PermissionDenied(), 403, "PERMISSION_DENIED"),
        (SuspiciousOperation("x"), 400, "BAD_REQUEST"),
        (RequestDataTooBig("x"), 413, "BODY_TOO_LARGE"),
        (KeyError("secret inside"), 500, "INTERNAL_ERROR"),
    ],
    ids=lambda value: repr(value)[:60] if isinstance(value, BaseException) else None,
)
def test_each_failure_has_its_status_and_code(failure, status, code):
    response = ask(failure)
    body = document(response)
    assert (response.status_code, body["code"]) == (status, code)
    assert body["type"] == f"urn:lineshaft:problem:{code.lower()}"
    assert ("source" in body) == (getattr(failure, "source", None) is not None)
    assert "inside" not in response.content.decode() and "matches the given" not in response.content.decode()
    # 401 accuses the caller's own token, so it always says how to sign in, and nothing upstream becomes it.
    assert (response.status_code == 401) == response.has_header("WWW-Authenticate")


def test_every_category_has_a_status_and_a_title():
    assert set(STATUS_BY_CATEGORY) == set(TITLES) == set(errors.Category)


def test_an_upstream_refusal_shows_what_the_source_said_without_its_secrets():
    source = errors.SourceAnswer(status=403, code="BMX", message="token lsh_live_abc_def at https://me:pw@erp/ \ud800")
    body = document(ask(errors.PermissionDeniedError("Grant it.", source=source, extra={"raw": "inside"})))
    assert body["source"] == {"status": 403, "code": "BMX", "message": "token lsh_live_[cut] at https://[cut]@erp/ ?"}
    assert (body["category"], body["who_must_act"], body["retryable"]) == ("permission", "customer", False)
    assert "raw" not in body


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        (errors.RateLimitedError("x", retry_after=1.2), "2"),
        (errors.TransientError("x", retry_after=0.0), "1"),
        (drf.Throttled(wait=9), "9"),
        (errors.TransientError("x"), None),
        (errors.ConflictError("x", retry_after=5), None),
    ],
    ids=repr,
)
def test_retry_after_is_whole_seconds_where_waiting_helps(failure, seconds):
    assert ask(failure).headers.get("Retry-After") == seconds


def test_extra_of_our_own_refusals_adds_members_and_replaces_none():
    current = RawJson('{"version": 3}')
    body = document(ask(api_errors.PreconditionFailedError("x", extra={"current": current, "status": 200})))
    assert (body["current"], body["status"]) == ({"version": 3}, 412)


class LineSerializer(serializers.Serializer[Any]):
    quantity = serializers.IntegerField()


class OrderSerializer(serializers.Serializer[Any]):
    number = serializers.CharField(max_length=3)
    lines = LineSerializer(many=True)
    tags = serializers.ListField(child=serializers.IntegerField())

    def validate(self, attrs):
        raise serializers.ValidationError("Never right.", code="never")


def test_nested_validation_errors_become_pointers():
    serializer = OrderSerializer(data={"number": "1234", "lines": [{"quantity": 1}, {}], "tags": [1, "x"]})
    assert not serializer.is_valid()
    body = document(ask(drf.ValidationError(serializer.errors)))
    assert [(error["pointer"], error["code"]) for error in body["errors"]] == [
        ("/number", "MAX_LENGTH"),
        ("/lines/1/quantity", "REQUIRED"),
        ("/tags/1", "INVALID"),
    ]


def test_an_error_of_the_whole_object_points_at_it():
    serializer = OrderSerializer(data={"number": "1", "lines": [], "tags": []})
    assert not serializer.is_valid()
    body = document(ask(drf.ValidationError(serializer.errors)))
    assert body["errors"] == [{"pointer": "", "code": "NEVER", "detail": "Never right."}]
    assert body["detail"] == "Never right."


def test_an_unexpected_failure_is_logged_with_its_request_id(caplog):
    with caplog.at_level(logging.ERROR):
        ask(ZeroDivisionError("boom"))
    assert "req_test" in caplog.text and "api.failed" in caplog.text


def test_prerendered_json_is_passed_through_unread():
    response = ask()
    assert response["Content-Type"] == "application/json"
    assert response.content == b'{"data":[{"pre":  "rendered"}]}'


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b'{"a": 1, "a": 2}', "application/json", 400, "INVALID_JSON"),
        (b"[" * 5000, "application/json", 400, "INVALID_JSON"),
        (b'"\\u0000"', "application/json; charset=utf-8", 400, "INVALID_JSON"),
        (b"[" + b" " * (2 * 1024 * 1024) + b"]", "application/json", 413, "BODY_TOO_LARGE"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", "", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
def test_a_bad_body_is_the_callers_fault(content, content_type, status, code):
    request = identified(RequestFactory().generic("POST", "/api/v1/probe", content, content_type=content_type))
    response = ProbeView.as_view()(request).render()
    assert (response.status_code, document(response)["code"]) == (status, code)


def test_a_good_body_and_no_body_are_read():
    assert json.loads(ask(method="post", data='{"a": [1]}', content_type="application/json").content) == {
        "got": {"a": [1]}
    }
    assert json.loads(ask(method="post").content) == {"got": {}}


def test_a_method_that_is_not_there_names_the_ones_that_are():
    response = ask(method="put")
    assert response.status_code == 405 and "GET" in response["Allow"]
    assert document(response)["code"] == "METHOD_NOT_ALLOWED"


HANDLERS = [
    (problems.handler400, (SuspiciousOperation("x"),), 400),
    (problems.handler403, (PermissionDenied(),), 403),
    (problems.handler404, (Http404(),), 404),
    (problems.handler500, (), 500),
]
PLAIN_TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]


@pytest.mark.parametrize(("handler", "arguments", "status"), HANDLERS)
def test_url_handlers_answer_problems_below_api_and_pages_elsewhere(handler, arguments, status):
    request = identified(RequestFactory().get("/api/v1/nothing"))
    response = handler(request, *arguments)
    assert response.status_code == document(response)["status"] == status
    with override_settings(TEMPLATES=PLAIN_TEMPLATES):
        page = handler(RequestFactory().get("/admin/nothing"), *arguments)
    assert (page.status_code, page["Content-Type"].partition(";")[0]) == (status, "text/html")


def test_the_serializer_describes_what_is_answered():
    shown = set(problems.problem_body(problem_of(errors.AuthError("x", source=SOURCE)), "req_test"))
    assert set(problems.ProblemSerializer().fields) == shown
