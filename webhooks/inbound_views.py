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
            hook = inbound.receive(address, headers_of(request), body_of(request, inbound.MAX_BODY_BYTES))
        except (LineshaftError, UnreadablePostError) as error:  # the latter: the sender hung up
            return refusal(error)
        status = HookStatus(hook.status)
        return private(JsonResponse({"status": status.value}, status=ANSWERS[status]))


def headers_of(request: HttpRequest) -> dict[str, str]:
    """By names in lower case."""
    return {name.lower(): value for name, value in request.headers.items()}


def body_of(request: HttpRequest, most: int) -> bytes:
    """As it came. Errors: BodyTooLargeError, before more than `most` bytes are read."""
    announced = str(request.META.get("CONTENT_LENGTH") or "")
    if announced.isdecimal() and int(announced) > most:
        raise _too_large(most)
    if not announced and request.META.get("wsgi.input_terminated"):
        # Sent in chunks: Django would take it for empty, while the server knows where it ends.
        stream: Any = request.META["wsgi.input"]
        body: bytes = stream.read(most + 1)
    else:
        body = request.body
    if len(body) > most:
        raise _too_large(most)
    return body


def refusal(error: LineshaftError | UnreadablePostError) -> HttpResponse:
    """What a sender is told whose message was not stored."""
    problem = problem_of(error)
    log.info("hook_refused", status=problem.status, code=problem.code)
    answer = JsonResponse({"status": "refused", "detail": problem.detail}, status=problem.status)
    for name, value in problem.headers.items():
        answer[name] = value
    return private(answer)


def private(answer: HttpResponse) -> HttpResponse:
    answer["Cache-Control"] = "no-store"
    answer._csp_exempt = True  # type: ignore[attr-defined]  # data runs no scripts
    return answer


def _too_large(most: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"The body has more than {most} bytes.")
