"""Writes over REST: POST to the list, PATCH and DELETE at the object, actions at their own paths, all as declared."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote, unquote, urlencode, urlsplit

from core.errors import (
    BadAnswerError,
    BusinessRuleError,
    LineshaftError,
    NotSupportedError,
    RateLimitedError,
    SourceAnswer,
    TransientError,
)
from core.http import Request, Response
from integrations.protocols.rest_marks import RestMarks, put_mark
from integrations.sdk.answers import error_of
from integrations.sdk.declarations import Jobs, Resource, Write
from integrations.sdk.paths import compile_key, compile_path
from integrations.sdk.unmapping import CannotSayError, Unmapping
from integrations.sdk.writes import Change, JobState, Sent, WriteCall

ACCEPTED, NO_CONTENT, REQUEST_TIMEOUT, UNAVAILABLE = 202, 204, 408, 503
SAFE_INTEGER = 2**53


class RestWrites(RestMarks):
    """`integer_ids`: ids and references travel as JSON integers. `jobs`: how accepted writes are asked for; without it a
    202 leaves the outcome unknown. `refused_503`: a 503 with Retry-After surely did nothing."""

    integer_ids: ClassVar[bool] = False
    jobs: ClassVar[Jobs | None] = None
    refused_503: ClassVar[bool] = False

    # --- planned ------------------------------------------------------------------------------------------------

    def plan(self, resource: Resource, change: Change, unmapping: Unmapping) -> list[WriteCall]:
        if change.operation == "create":
            return [self._create(resource, change, unmapping)]
        if change.operation == "action":
            return [self._act(resource, change)]
        write = self._declared(resource, change)
        is_update = change.operation == "update"
        return [
            self._call(
                resource,
                change,
                write.method or ("PATCH" if is_update else "DELETE"),
                write.path or resource.detail,
                self.body_of(resource, change, unmapping) if is_update else None,
            )
        ]

    def body_of(self, resource: Resource, change: Change, unmapping: Unmapping) -> dict[str, Any]:
        """The body of a create or update, without the mark."""
        body = unmapping.body(change.values)
        if change.operation == "update" and any(_takes_away(value) for value in body.values()):
            raise NotSupportedError(f"The connector of {self.title} removes no lines.")
        return body

    def etag_of(self, resource: Resource, change: Change) -> str | None:
        """The ETag of `change.before`, where the connector knows it: then only that version is changed."""
        return None

    def write_parameters(self, resource: Resource, change: Change) -> Mapping[str, str]:
        """Query parameters of each write."""
        return {}

    def _create(self, resource: Resource, change: Change, unmapping: Unmapping) -> WriteCall:
        write = self._declared(resource, change)
        body = self.body_of(resource, change, unmapping)
        if write.resolve == "mark" and write.mark and change.mark:
            put_mark(body, write.mark.split("."), change.mark)
        return self._call(resource, change, write.method or "POST", write.path or resource.path, body)

    def _act(self, resource: Resource, change: Change) -> WriteCall:
        action = resource.action(change.action)
        if action is None:
            raise NotSupportedError(f"{self.title} has no action {change.action} for {resource.spec.title.lower()}s.")
        known = {parameter.name: parameter for parameter in action.parameters}
        given = {
            known[name].source or name: None if value is None else self.encode(known[name].kind, value)
            for name, value in change.values.items()
        }
        path = action.path or f"{resource.detail}/{action.name}"
        return self._call(resource, change, action.method or "POST", path, {**action.body, **given})

    def _call(
        self, resource: Resource, change: Change, method: str, path: str, body: Mapping[str, Any] | None
    ) -> WriteCall:
        url = self.url(self.place(path, change.remote_id) if change.remote_id else path)
        parameters = self.write_parameters(resource, change)
        etag = self.etag_of(resource, change) if change.remote_id else None
        return WriteCall(
            method,
            f"{url}?{urlencode(parameters, quote_via=quote)}" if parameters else url,
            body,
            {"If-Match": etag} if etag else {},
            purpose=f"{change.action or change.operation} the {resource.spec.title.lower()}",
            creates=change.operation == "create",
            repeatable=change.operation != "create",
        )

    def _declared(self, resource: Resource, change: Change) -> Write:
        """The write for the object's status, as it was a moment ago."""
        write = resource.write(change.operation, _status_of(resource, change.before))
        if write is None:
            noun = resource.spec.title.lower()
            raise NotSupportedError(f"The connector of {self.title} does not {change.operation} such a {noun}.")
        return write

    def encode(self, kind: str, value: Any) -> Any:
        if kind == "reference" and self.integer_ids:
            if not str(value).isdecimal():
                raise CannotSayError(f"{value!r} is no id of {self.title}: these are whole numbers.")
            return int(value)
        if isinstance(value, Decimal) and abs(value) < SAFE_INTEGER and value == value.to_integral_value():
            return int(value)
        return value

    # --- sent ---------------------------------------------------------------------------------------------------

    def send_call(self, resource: Resource, call: WriteCall, *, not_after: float | None = None) -> Sent:
        content = call.content()
        kind = {} if content is None else {"Content-Type": "application/json"}
        request = Request(
            method=call.method,
            url=call.url,
            headers={**self.headers, **kind, **call.headers},
            content=content,
            total_timeout=self.call_seconds,
            is_write=True,
            not_after=not_after,
        )
        response = self.send_signed(request)
        if not 200 <= response.status < 300:
            raise self._refusal(response)
        if response.status == ACCEPTED:
            return Sent(job=self._job(response))
        body = self._answer(response)
        return Sent(self.created_id(resource, response, body) if call.creates else None)

    def created_id(self, resource: Resource, response: Response, body: Mapping[str, Any]) -> str:
        """The remote id of what was made: in the answer, else the last part of its Location.

        Errors: BadAnswerError when neither tells it; it may have been made.
        """
        inside = body.get(resource.item) if resource.item else None
        for found in (body, inside):
            try:
                return compile_key(resource.id)(found if isinstance(found, Mapping) else {})
            except KeyError:
                continue
        last = unquote(urlsplit(response.headers.get("Location", "")).path.rstrip("/").rpartition("/")[2])
        if not last:
            raise BadAnswerError("The system does not tell the id of what it made.", source=_source(response))
        return last

    def _answer(self, response: Response) -> Mapping[str, Any]:
        """The answer's object; empty where the status says that there is none. What is neither is no sign of success."""
        if response.status == NO_CONTENT:
            return {}
        body = response.json()
        if not isinstance(body, dict):
            raise BadAnswerError("The answer to the write is not an object.", source=_source(response))
        return body

    def _refusal(self, response: Response) -> LineshaftError:
        """Told apart: what was surely not done, and what may have been."""
        error = error_of(response, message=self.message_of(response))
        unsure = {REQUEST_TIMEOUT} if self.refused_503 else {REQUEST_TIMEOUT, UNAVAILABLE}
        if response.status in unsure and not isinstance(error, TransientError):
            # A proxy may say so after the system has begun.
            return TransientError(error.detail, source=error.source, retry_after=_wait_of(error))
        return error

    def _job(self, response: Response) -> Mapping[str, Any]:
        if self.jobs is None:
            raise BadAnswerError(
                "The system accepted the write and does not tell what became of it.", source=_source(response)
            )
        job_id = compile_path(self.jobs.id)(self._answer(response))
        if job_id in (None, ""):
            raise BadAnswerError("The system accepted the write and names no job to ask for.", source=_source(response))
        return {"id": str(job_id)}

    def poll(self, resource: Resource, job: Mapping[str, Any]) -> JobState:
        if self.jobs is None:
            return super().poll(resource, job)
        response = self.get(self.url(self.jobs.path.format(id=quote(str(job["id"]), safe=""))), {})
        body = self._answer(response)
        status = str(compile_path(self.jobs.status)(body))
        if status in self.jobs.done:
            made = compile_path(self.jobs.result)(body)
            return JobState("done", None if made is None else str(made))
        if status not in self.jobs.failed:
            return JobState("running")
        words = response.clean(str(compile_path(self.jobs.error)(body) or ""))[:500]
        detail = f"The system did not do it.{f' It says: {words}' if words else ''}"
        source = SourceAnswer(status=response.status, code=status, message=words or None)
        return JobState("failed", error=BusinessRuleError(detail, source=source))


def _takes_away(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(line, dict) and "_delete" in line for line in value)


def _status_of(resource: Resource, before: Any) -> str | None:
    row = next((row for row in resource.fields if row.target == "remote_status"), None)
    if before is None or row is None or not row.source:
        return None
    found = compile_path(row.source)(before)
    return None if found is None else str(found)


def _source(response: Response) -> SourceAnswer:
    return SourceAnswer(status=response.status)


def _wait_of(error: LineshaftError) -> float | None:
    return error.retry_after if isinstance(error, RateLimitedError) else None
