"""Where systems tell what happens: `/hooks/{connection}/{secret}`. Neither token nor session: who knows the address may send.

Answers say no more than the sender must know.
"""

from __future__ import annotations

from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from core.errors import LineshaftError
from core.json import BodyTooLargeError
from core.problem_mapping import problem_of
from webhooks.choices import HookStatus
from webhooks.services import inbound

ANSWERS = {
    HookStatus.RECEIVED: 202,
    HookStatus.REFUSED: 401,
    HookStatus.FAILED: 503,  # whether it is genuine could not be told: the system may send it again
}

log = structlog.get_logger(__name__)


@method_decorator(csrf_exempt, name="dispatch")
class InboundHooks(View):
    """POST of anything up to 1 MiB."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, connection_id: str, secret: str) -> HttpResponse:
        try:
            address = inbound.admit(connection_id, secret)
            hook = inbound.receive(address, _headers(request), _body(request))
        except (LineshaftError, UnreadablePostError) as error:  # the latter: the sender hung up
            return _refused(error)
        status = HookStatus(hook.status)
        return _private(JsonResponse({"status": status.value}, status=ANSWERS[status]))


def _headers(request: HttpRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _body(request: HttpRequest) -> bytes:
    """As it came. Errors: BodyTooLargeError, before more than that is read."""
    announced = str(request.META.get("CONTENT_LENGTH") or "")
    if announced.isdecimal() and int(announced) > inbound.MAX_BODY_BYTES:
        raise _too_large()
    if not announced and request.META.get("wsgi.input_terminated"):
        # Sent in chunks: Django would take it for empty, while the server knows where it ends.
        stream: Any = request.META["wsgi.input"]
        body: bytes = stream.read(inbound.MAX_BODY_BYTES + 1)
    else:
        body = request.body
    if len(body) > inbound.MAX_BODY_BYTES:
        raise _too_large()
    return body


def _too_large() -> BodyTooLargeError:
    return BodyTooLargeError(f"The body has more than {inbound.MAX_BODY_BYTES} bytes.")


def _refused(error: LineshaftError | UnreadablePostError) -> HttpResponse:
    problem = problem_of(error)
    log.info("hook_refused", status=problem.status, code=problem.code)
    answer = JsonResponse({"status": "refused", "detail": problem.detail}, status=problem.status)
    for name, value in problem.headers.items():
        answer[name] = value
    return _private(answer)


def _private(answer: HttpResponse) -> HttpResponse:
    answer["Cache-Control"] = "no-store"
    answer._csp_exempt = True  # type: ignore[attr-defined]  # data runs no scripts
    return answer
