"""A simulated system without its network: requests in, answers out, everything journaled."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from integrations.simulators.kit.clock import text_of
from integrations.simulators.kit.faults import NOT_APPLIED, Fault, Faults
from integrations.simulators.kit.hooks import HookSender
from integrations.simulators.kit.jobs import Job, Jobs
from integrations.simulators.kit.journal import Journal
from integrations.simulators.kit.limits import Window
from integrations.simulators.kit.messages import Answer, RefusalError, Request, json_answer
from integrations.simulators.kit.settings import Settings
from integrations.simulators.kit.store import Change, Store, Transaction
from integrations.simulators.kit.tenant import Call, Route, Router, Tenant

_GARBAGE = Answer(200, b"<!DOCTYPE html><html><body><h1>Welcome</h1></body></html>", {}, "text/html; charset=utf-8")


class System:
    def __init__(self, tenant: Tenant, *, seed: int = 1, scale: float = 1.0, records: int | None = None) -> None:
        self.tenant = tenant
        self.seed_numbers = (seed, scale, records)
        self.api_key = f"simulator-{tenant.name}-{seed}"
        self.store = Store(tenant.entities)
        self.settings = Settings(tenant.settings)
        self.faults, self.jobs, self.journal = Faults(), Jobs(), Journal()
        self.hooks = HookSender(self.settings, self.store.clock)
        self.requests: Counter[str] = Counter()
        self._router = Router(tenant.routes())
        self._request_numbers = itertools.count(1)
        self._window = Window()
        tenant.seed(self.store, *self.seed_numbers)

    def read(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
        return Request.of(method, target, headers, body, f"req-{next(self._request_numbers)}")

    def reset(self) -> None:
        """As it was at the start: seeded anew, no faults, default settings, an empty journal."""
        with self.store.lock:
            self.faults.clear()
            self.settings.reset()
            self.jobs.clear()
            self.journal.clear()
            self.hooks.clear()
            self.requests.clear()
            self._window = Window()
            self.store.clear()
            self.tenant.seed(self.store, *self.seed_numbers)

    def catch_up(self) -> None:
        """Apply the jobs that are due. Needs the store's lock."""
        self.jobs.run_due(self.store.clock.now(), self._apply_job)

    def tell(self, request: Request, changes: list[Change]) -> None:
        """Queue what subscribers are told of the changes. Needs the store's lock."""
        self.hooks.add(self.tenant.messages(self.store, request, changes))

    def handle(self, request: Request) -> tuple[Answer | None, Fault | None]:
        """Judge and apply a request, with the fault it meets. No answer means that nothing is to be sent."""
        fault = self.faults.pick(request, self.tenant.cursor_parameter)
        with self.store.lock:
            self.catch_up()
            found = self._router.find(request)
            self.requests[f"{request.method} {found[0].shown if found else request.path}"] += 1
            limited = self._window.count(request.headers.get("authorization", ""), self.settings)
            refusal = self._refused(request, fault, limited)
            if refusal is not None or (fault and fault.kind in NOT_APPLIED):
                self._note_unapplied(request, found, fault, refusal)
                answer = refusal
            else:
                answer = self._answer(request, found, fault)
        if answer is not None:
            self._window.tell(answer, self.settings)
        return answer, fault

    def _refused(self, request: Request, fault: Fault | None, limited: int | None) -> Answer | None:
        """The answer of whatever stands before the system itself."""
        kind = fault.kind if fault else ""
        if kind == "garbage":
            return replace(_GARBAGE, headers={})
        if kind == "unauthorized":
            return self.tenant.error(401, "Invalid token")
        if kind == "rate_limit" or limited is not None:
            wait = int(fault.parameters["retry_after"]) if fault and kind == "rate_limit" else limited or 1
            return self._too_many(wait)
        if kind == "server_error" and fault:
            return self.tenant.error(int(fault.parameters["status"]), "Internal server error.")
        if kind == "expired_token":
            return self.tenant.error(400, "The cursor has expired.")
        return self.tenant.refused(request, self.api_key, self.settings)

    def _too_many(self, wait: int) -> Answer:
        answer = self.tenant.error(429, f"Too many requests. Please retry in {wait} seconds")
        limit = self.settings["rate_limit_per_minute"] or 100
        answer.headers |= {
            "Retry-After": str(wait),
            "X-Rate-Limit-Limit": str(limit),
            "X-Rate-Limit-Remaining": "0",
            "X-Rate-Limit-Reset": str(wait),
        }
        return answer

    def _note_unapplied(
        self, request: Request, found: tuple[Route, int | None] | None, fault: Fault | None, answer: Answer | None
    ) -> None:
        if not request.is_write:
            return
        self.journal.add(
            request,
            at=self.store.clock.text(),
            entity=found[0].entity if found else None,
            object_id=found[1] if found else None,
            fault=fault.kind if fault else None,
            status=None if fault and fault.kind in ("cut", "hang") else answer.status if answer else None,
        )

    def _answer(self, request: Request, found: tuple[Route, int | None] | None, fault: Fault | None) -> Answer:
        original = request
        if fault and fault.kind == "ignored_filter":
            names = set(fault.parameters["filters"]) or set(request.query) - self.tenant.paging_parameters
            request = request.without_parameters(names)
        if fault and fault.kind == "dropped_field":
            request = _without_fields(request, fault.parameters["fields"])
        if (job := self._job_asked(request)) is not None:
            return job
        if found and self._is_delayed(request, found[0].entity):
            answer = self._accept(request)
            self.journal.add(
                original,
                at=self.store.clock.text(),
                entity=found[0].entity,
                object_id=found[1],
                fault=fault.kind if fault else None,
                status=_told(answer, fault),
                job=answer.headers["Location"].rpartition("/")[2],
            )
        else:
            answer = self._perform(request, original, found, fault)
        return self._spoiled(answer, request, fault)

    def _perform(
        self, request: Request, original: Request, found: tuple[Route, int | None] | None, fault: Fault | None
    ) -> Answer:
        transaction = Transaction(self.store)
        try:
            answer = self._run(request, found, transaction)
        except RefusalError as refusal:
            transaction, answer = Transaction(self.store, transaction.now), refusal.answer()
        if request.is_write:
            self._note(original, transaction, found, fault=fault.kind if fault else None, status=_told(answer, fault))
        return answer

    def _run(self, request: Request, found: tuple[Route, int | None] | None, transaction: Transaction) -> Answer:
        if not found:
            is_known = self._router.knows_path(request)
            return self.tenant.error(405, "Method Not Allowed") if is_known else self.tenant.error(404, "Not Found.")
        route, number = found
        call = Call(request, transaction, self.store, self.settings, route.entity, number)
        if not call.matches_version():
            raise RefusalError(412, {"error": "The object has changed: If-Match does not match."})
        answer = route.handler(call)
        self.tell(request, transaction.commit())
        self._tag(answer, route, number, transaction)
        return answer

    def _tag(self, answer: Answer, route: Route, number: int | None, transaction: Transaction) -> None:
        made = next((one for entity, one, effect in transaction.effects if effect == "created"), None)
        subject = number if number is not None else made
        row = None if subject is None else self.store.row(route.entity, subject)
        if self.settings["etags"] and row and answer.status in (200, 201):
            answer.headers["ETag"] = f'"{row.version}"'

    def _note(
        self,
        request: Request,
        transaction: Transaction,
        found: tuple[Route, int | None] | None,
        *,
        fault: str | None = None,
        status: int | None = None,
        job: str | None = None,
    ) -> int | None:
        """Journal a write: the object it addressed first, then what else changed with it."""
        entity, number = (found[0].entity, found[1]) if found else (None, None)
        main = (entity, number, "none")
        others = list(transaction.effects)
        for effect in transaction.effects:
            if effect[0] == entity and number in (None, effect[1]):
                main = effect
                others.remove(effect)
                break
        for place, (kind, one, effect_name) in enumerate([main, *others]):
            self.journal.add(
                request, at=transaction.now, entity=kind, object_id=one, effect=effect_name, fault=fault,
                status=status, side_effect=place > 0, job=job,
            )  # fmt: skip
        return main[1]

    def _is_delayed(self, request: Request, entity: str) -> bool:
        asked: dict[str, Any] | None = self.settings["asynchronous"]
        if not asked or not request.is_write or request.method not in asked["methods"]:
            return False
        return asked["entities"] is None or entity in asked["entities"]

    def _accept(self, request: Request) -> Answer:
        asked = self.settings["asynchronous"]
        job = self.jobs.add(request, self.store.clock.now(), asked["delay_seconds"], asked["outcome"])
        return json_answer(202, {"jobId": job.id}, location=f"{self.tenant.prefix}/jobs/{job.id}")

    def _job_asked(self, request: Request) -> Answer | None:
        if request.method != "GET" or not request.path.startswith(f"{self.tenant.prefix}/jobs/"):
            return None
        job = self.jobs.get(request.path.rpartition("/")[2])
        if job is None:
            return self.tenant.error(404, "Not Found.")
        return json_answer(200, job.described(self.store.clock.now()))

    def _apply_job(self, job: Job) -> int | None:
        transaction = Transaction(self.store, text_of(job.due))
        found = self._router.find(job.request)
        try:
            answer = self._run(job.request, found, transaction)
        except RefusalError as refusal:
            unapplied = Transaction(self.store, transaction.now)
            self._note(job.request, unapplied, found, status=refusal.status, job=job.id)
            raise
        return self._note(job.request, transaction, found, status=answer.status, job=job.id)

    def _spoiled(self, answer: Answer, request: Request, fault: Fault | None) -> Answer:
        if fault and fault.kind == "apply_then_error":
            return self.tenant.error(int(fault.parameters["status"]), "Internal server error.")
        if fault and fault.kind == "repeated_page":
            if request.path not in fault.pages and answer.status == 200:
                fault.pages[request.path] = self.tenant.endless(answer, request).body
            if page := fault.pages.get(request.path):
                return Answer(200, page)
        return answer


def _told(answer: Answer, fault: Fault | None) -> int | None:
    """The status a client gets to see."""
    if fault and fault.kind == "apply_then_hang":
        return None
    return int(fault.parameters["status"]) if fault and fault.kind == "apply_then_error" else answer.status


def _without_fields(request: Request, names: list[str]) -> Request:
    body = request.shown_body()
    if not isinstance(body, dict):
        return request
    return replace(request, body=orjson.dumps({name: value for name, value in body.items() if name not in names}))
