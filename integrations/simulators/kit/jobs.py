"""Writes that are accepted now and applied later."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from integrations.simulators.kit.messages import RefusalError, Request

OUTCOMES = ("done", "failed", "never")


@dataclass
class Job:
    id: str
    request: Request
    due: float
    runs_from: float
    outcome: str
    # What is told once it ended.
    status: str = ""
    result: dict[str, Any] | None = None
    error: str | None = None

    def described(self, now: float) -> dict[str, Any]:
        status = self.status or ("RUNNING" if now >= self.runs_from else "PENDING")
        return {"id": self.id, "status": status, "result": self.result, "error": self.error}


# Applies a request at a time and tells the id of its object; RefusalError when the system refuses.
Apply = Callable[[Job], int | None]


class Jobs:
    """Due jobs are applied before the next request is looked at, as of their due time, which nobody can tell from
    having been applied then. Needs the store's lock."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._jobs: dict[str, Job] = {}
        self._open: list[Job] = []

    def add(self, request: Request, now: float, delay: float, outcome: str) -> Job:
        number = f"job-{next(self._numbers)}"
        job = Job(number, request, due=now + delay, runs_from=now + delay / 2, outcome=outcome)
        self._jobs[number] = job
        self._open.append(job)
        return job

    def get(self, number: str) -> Job | None:
        return self._jobs.get(number)

    def run_due(self, now: float, apply: Apply) -> None:
        due = [job for job in self._open if job.due <= now and job.outcome != "never"]
        for job in sorted(due, key=lambda one: one.due):
            self._open.remove(job)
            self._finish(job, apply)

    def _finish(self, job: Job, apply: Apply) -> None:
        if job.outcome == "failed":
            job.status, job.error = "FAILED", "The job was aborted."
            return
        try:
            number = apply(job)
        except RefusalError as refusal:
            job.status, job.error = "FAILED", str(refusal.content)
            return
        job.status, job.result = "DONE", {"id": number}

    def clear(self) -> None:
        self._jobs.clear()
        self._open.clear()
