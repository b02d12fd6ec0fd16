"""Admission: how many runs of a flow are under way, in the order they came."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from flows import ticks
from flows.choices import TriggerKind
from flows.engine.admission import NOT_ADMITTED, admit
from flows.models import Flow, FlowRun
from flows.services.starting import start_run
from tests.flow_triggers import change, fresh, make_flow, republish, runs_of

pytestmark = pytest.mark.django_db
ONE = {"mode": "one_at_a_time"}


def start(flow: Flow, **facts: Any) -> FlowRun:
    return start_run(flow, trigger=TriggerKind.MANUAL, input={"kind": "manual"}, by="tests", **facts).run


def end(run: FlowRun) -> None:
    change(run, status="succeeded", finished_at=Now())
    admit(run.flow_id)


def admitted(flow: Flow) -> list[bool]:
    return [run.admitted_at is not None for run in runs_of(flow)]


def test_run_when_there_is_a_place_then_it_is_due_at_once() -> None:
    run = start(make_flow())
    assert run.status == "queued" and run.admitted_at is not None
    assert run.due_at == run.admitted_at


def test_runs_beyond_the_limit_wait_and_come_in_the_order_they_were_started() -> None:
    flow = make_flow(queue={"mode": "parallel", "limit": 2})
    runs = [start(flow) for _ in range(4)]
    assert admitted(flow) == [True, True, False, False]
    assert fresh(runs[3]).due_at == NOT_ADMITTED

    end(runs[1])
    assert admitted(flow) == [True, True, True, False]
    end(runs[0])
    assert admitted(flow) == [True] * 4


def test_one_at_a_time_then_a_waiting_run_holds_the_place() -> None:
    flow = make_flow(queue=ONE)
    first, _ = start(flow), start(flow)
    change(first, status="waiting")
    assert admit(flow.pk) == 0
    assert admitted(flow) == [True, False]


def test_dry_runs_begin_at_once_and_take_no_place() -> None:
    flow = make_flow(queue=ONE)
    dry = start(flow, is_dry=True)
    assert dry.admitted_at is not None and dry.due_at == dry.admitted_at and dry.overdue_at is None
    assert start(flow).admitted_at is not None
    assert start(flow, is_dry=True).admitted_at is not None


def test_limit_when_it_is_raised_then_the_tick_lets_those_begin_that_wait() -> None:
    flow = make_flow(queue=ONE)
    for _ in range(3):
        start(flow)
    republish(flow, queue={"mode": "parallel", "limit": 5})
    assert admitted(flow) == [True, False, False]

    ticks._admitted.forget()
    assert ticks.admit_queued_runs() == 2
    assert admitted(flow) == [True] * 3


def test_flow_that_is_gone_admits_nothing() -> None:
    flow = make_flow()
    Flow.objects.with_scopes_disabled().filter(pk=flow.pk).delete()
    assert admit(flow.pk) == 0


@pytest.mark.django_db(transaction=True)
def test_many_at_once_never_admit_more_than_there_are_places() -> None:
    flow = make_flow(queue={"mode": "parallel", "limit": 3})

    def work() -> None:
        try:
            for _ in range(5):
                start(flow)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs_of(flow)) == 20
    assert sum(admitted(flow)) == 3


@pytest.mark.django_db(transaction=True)
def test_queued_run_that_somebody_holds_is_passed_by() -> None:
    flow = make_flow(queue=ONE)
    first, second, third = (start(flow) for _ in range(3))
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                FlowRun.objects.with_scopes_disabled().select_for_update().get(pk=second.pk)
                holding.set()
                done.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(20)
    try:
        end(first)
    finally:
        done.set()
        thread.join()
    assert admitted(flow) == [True, False, True]
    assert fresh(third).admitted_at is not None
