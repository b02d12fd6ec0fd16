"""Where others start flows: `/flow-hooks/{flow}/{secret}`. Neither token nor session: who knows the address may send.

Answers say no more than the sender must know.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from core.errors import LineshaftError
from flows.services import hooks
from webhooks.inbound_views import body_of, headers_of, private, refusal


@method_decorator(csrf_exempt, name="dispatch")
class FlowHooks(View):
    """POST of JSON, at most 256 KiB. 202 {status, run}: `started`, or `known` when the message came before."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, flow_id: str, secret: str) -> HttpResponse:
        try:
            address = hooks.admit(flow_id, secret)
            answer = hooks.receive(address, headers_of(request), body_of(request, hooks.MAX_BODY_BYTES))
        except (LineshaftError, UnreadablePostError) as error:  # the latter: the sender hung up
            return refusal(error)
        told = {"status": answer.status.value, "run": answer.run} if answer.run else _why(answer)
        return private(JsonResponse(told, status=answer.http_status))


def _why(answer: hooks.Answer) -> dict[str, str]:
    return {"status": answer.status.value, "detail": answer.detail}
