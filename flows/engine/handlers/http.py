"""The step that asks anybody: one request through the door, at most once where sending it twice would do more.

Addresses are typed by developers, as those of webhooks are: https to public addresses, and in the environment `test` also
http and the operator's networks.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from django.conf import settings

from core.errors import BadAnswerError, LineshaftError, TimeoutUnknownError, ValidationFailedError
from core.http import (
    UNSET,
    CallRecord,
    Door,
    EgressPolicy,
    Request,
    Response,
    webhook_policy,
    webhook_policy_in_test,
)
from core.http.messages import check_header
from core.http.urls import parse_target
from core.redaction import CUT, is_secret_key, redact_text
from flows.definitions.model import HttpRequest
from flows.engine.handlers.answers import output_of, refusal_of
from flows.engine.header_secrets import demand_secret, header_value
from flows.engine.turn import Done, OutcomeLostError, Turn
from workspaces.choices import Environment

TOTAL_SECONDS, CONNECT_SECONDS = 30.0, 10.0
MAX_ANSWER_BYTES = 1024 * 1024
# Of what the lease lasts beyond the call, so much may pass before the first byte leaves.
START_SHARE = 0.5
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


def http_request(turn: Turn) -> Done:
    """Send the request. Output: {status, headers, body}; of a dry run the three empty, and `request`, unsent.

    An error of a call that was made carries what is told of it as `extra["call"]`.
    Errors: OutcomeLostError where it may have been done and must not be sent again; RateLimitedError, TransientError for
    what may work later; ConfigError for an address that may not be called, a header or a missing secret.
    """
    step: HttpRequest = turn.step
    if turn.is_dry:
        return Done(_unsent(turn))
    if turn.row.has_begun and not is_repeatable(step):
        raise OutcomeLostError(
            "The request may have been sent before, and its answer is not known.", code="OUTCOME_LOST"
        )
    secrets = {name: header_value(turn.run.flow, used.secret) for name, used in step.secret_headers.items()}
    headers = {name: step.secret_headers[name].before + secret for name, secret in secrets.items()}
    seconds = min(TOTAL_SECONDS, step.timeout_seconds or TOTAL_SECONDS)
    request = replace(_request(turn, headers), total_timeout=seconds)
    turn.begin()
    begun, margin = time.monotonic(), settings.SYNC_LEASE_MARGIN_SECONDS
    turn.lease.lasting(seconds + margin).renew()
    request = replace(request, not_after=begun + margin * START_SHARE)
    return _sent(turn, request, secrets)


def is_repeatable(step: HttpRequest) -> bool:
    """Whether it may be sent again after its outcome was lost."""
    return step.method in _REPEATABLE if step.is_idempotent is None else step.is_idempotent


def policy_of(environment: str) -> EgressPolicy:
    """Which addresses a flow of the environment may call."""
    if environment == Environment.TEST:
        return replace(webhook_policy_in_test(settings.EGRESS_ALLOWED_NETWORKS), name="flow")
    return replace(webhook_policy(), name="flow")


def _sent(turn: Turn, request: Request, secrets: Mapping[str, str]) -> Done:
    step: HttpRequest = turn.step
    seen = _Call()
    try:
        with Door(policy_of(turn.run.environment), secrets=secrets.values(), on_call=seen) as door:
            response = door.send(request)
    except TimeoutUnknownError as error:
        lost = OutcomeLostError(error.detail, code="OUTCOME_LOST", source=error.source)
        raise _with_call(lost, seen) from error
    except LineshaftError as error:
        raise _with_call(_final(error), seen) from error
    if not _is_well(step, response):
        raise _with_call(refusal_of(response, step.expect, is_repeatable=is_repeatable(step)), seen)
    return Done(output_of(response), call=seen.told)


def _is_well(step: HttpRequest, response: Response) -> bool:
    return response.status in step.expect if step.expect else 200 <= response.status < 300


def _final(error: LineshaftError) -> LineshaftError:
    """An answer that is too large is so the next time."""
    if isinstance(error, BadAnswerError) and error.code == "ANSWER_TOO_LARGE":
        limit = MAX_ANSWER_BYTES // 1024 // 1024
        return ValidationFailedError(f"The answer is larger than {limit} MiB: ask for less.", code=error.code)
    return error


def _with_call(error: LineshaftError, seen: _Call) -> LineshaftError:
    if seen.told is not None:
        error.extra["call"] = seen.told
    return error


@dataclass
class _Call:
    """What the run's log tells of the call, secrets cut."""

    told: dict[str, Any] | None = field(default=None)

    def __call__(self, record: CallRecord) -> None:
        self.told = {
            "method": record.method,
            "url": redact_text(record.url),
            "status": record.status,
            "elapsed_ms": round(record.elapsed_ms),
            "error": record.error_code or None,
            "request": record.request_body,
            "response": record.response_body,
        }


# --- what is sent -----------------------------------------------------------------------------------------------------


def _request(turn: Turn, secret_headers: Mapping[str, str]) -> Request:
    """The request of the step's values. Errors: ValidationFailedError naming the value that is none."""
    step: HttpRequest = turn.step
    values = turn.values
    url = values.get("url")
    if not isinstance(url, str) or not url:
        _refuse("url", "must be a text")
    body = values.get("body")
    return Request(
        method=step.method,
        url=url,
        params=_query(values.get("query") or {}),
        headers={**_headers(values.get("headers") or {}), **secret_headers},
        json=UNSET if body is None else body,
        total_timeout=TOTAL_SECONDS,
        connect_timeout=CONNECT_SECONDS,
        max_bytes=MAX_ANSWER_BYTES,
        is_write=not is_repeatable(step),
    )


def _query(values: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        each = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int | float | None) for item in each):
            _refuse(f"query.{name[:60]}", "must be a text, a number, true, false, null, or a list of these")
    return dict(values)


def _headers(values: Mapping[str, Any]) -> dict[str, str]:
    """As texts; null leaves one out."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            _refuse(f"headers.{name[:60]}", "must be a text or a number")
    return {name: str(value) for name, value in values.items() if value is not None}


def _refuse(name: str, what: str) -> NoReturn:
    raise ValidationFailedError(f"`{name}` of the request {what}.", code="INVALID_REQUEST")


def _unsent(turn: Turn) -> dict[str, Any]:
    """What would be sent, judged as far as that needs no call: not even the host's name is looked up."""
    step: HttpRequest = turn.step
    for used in step.secret_headers.values():
        demand_secret(turn.run.flow, used.secret)
    secret = {name: f"{used.before}{CUT}" for name, used in step.secret_headers.items()}
    request = _request(turn, secret)
    target = parse_target(request.url, request.params)
    policy_of(turn.run.environment).check_scheme(target.scheme, target.host)
    for name, value in request.headers.items():
        check_header(name, value)
    shown = {name: CUT if is_secret_key(name) else value for name, value in request.headers.items()}
    sent = {
        "method": request.method,
        "url": redact_text(target.url),
        "headers": shown | secret,
        "body": None if request.json is UNSET else request.json,
    }
    return {"status": None, "headers": {}, "body": None, "request": sent}
