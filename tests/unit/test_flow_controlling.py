"""What people do to runs: cancel, retry from the failed step, run again on the latest, decide a lost outcome."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection as database
from django_scopes import scopes_disabled

from core.errors import ConflictError, LineshaftError, ValidationFailedError
from flows.models import FlowRun, StepRun
from flows.services.controlling import cancel_run, rerun, resolve_step, retry_run
from syncs.models import Operation
from tests.connectors import TestErpServer, connect, erp_server  # noqa: F401
from tests.flow_stage import (
    drain,
    events_of,
    fresh,
    let_pass,
    lose_lease,
    make_flow,
    outputs_of,
    publish,
    start,
    statuses_of,
    steps_of,
    work,
)
from tests.http_peer import Peer, Received, message, peer
from tests.syncing import run_sync, sync_of
from tests.writes_stage import po, writes_to
from tests.writing import work_once, writing_erp  # noqa: F401
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db
LATER = {"name": "rest", "do": "wait", "seconds": 3600}


def a_map(name: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "do": "map", "value": value, **more}


class Partner:
    """Answers as the test says: by path the answers that come first, then 200. `lost` paths are cut off."""

    def __init__(self) -> None:
        self.answers: dict[str, list[str]] = {}
        self.server: Peer

    def __call__(self, request: Received, sock: socket.socket) -> bool:
        planned = self.answers.get(request.path, [])
        status = planned.pop(0) if planned else "200 OK"
        if status == "lost":
            return False
        sock.sendall(message(json.dumps({"path": request.path}).encode(), status))
        return True

    @property
    def asked(self) -> list[str]:
        return [request.path for request in self.server.received]

    def step(self, name: str, path: str = "/", **more: Any) -> dict[str, Any]:
        return {"name": name, "do": "http_request", "method": "POST", "url": self.server.url(path), **more}


@pytest.fixture
def partner(settings: Any) -> Iterator[Partner]:
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    found = Partner()
    with peer(found) as found.server:
        yield found


def flow_of(*steps: Any, **facts: Any) -> Any:
    return make_flow(*steps, environment="test", **facts)


def as_person(action: Any, row: Any, **facts: Any) -> Any:
    with scopes_disabled():
        return action(row, by="ann", **facts)


def refused(action: Any, row: Any, kind: type[LineshaftError] = ConflictError, **facts: Any) -> LineshaftError:
    with pytest.raises(kind) as caught:
        as_person(action, row, **facts)
    return caught.value


def told(run: FlowRun) -> list[str]:
    with scopes_disabled():
        found = AuditEvent.objects.filter(object_id=f"frun_{run.pk.hex}").order_by("id")
        return list(found.values_list("action", flat=True))


# --- cancel -----------------------------------------------------------------------------------------------------------


def test_a_run_that_waits_ends_at_once(partner: Partner) -> None:
    run = drain(start(flow_of(LATER, partner.step("ask"))))
    assert run.status == "waiting"
    ended = as_person(cancel_run, run)
    assert (ended.status, ended.waits_for, ended.error["code"]) == ("cancelled", "", "CANCELLED")
    assert ended.finished_at is not None
    assert statuses_of(run) == {"rest": "failed"}
    assert work(run).status == "cancelled"
    assert (partner.asked, events_of(run)) == ([], [])
    assert told(run) == ["flow_run.cancelled"]


def test_a_queued_run_gives_its_place_to_nobody_and_one_that_waits_gives_it_on() -> None:
    flow = flow_of(LATER, queue={"mode": "one_at_a_time"})
    first, second, third = start(flow), start(flow), start(flow)
    assert drain(first).status == "waiting"
    assert as_person(cancel_run, second).status == "cancelled"
    assert fresh(third).admitted_at is None
    as_person(cancel_run, first)
    assert fresh(third).admitted_at is not None


def test_a_run_that_a_worker_has_ends_before_its_next_step() -> None:
    run = drain(start(flow_of(LATER, a_map("after", 1))))
    lose_lease(run)
    noted = as_person(cancel_run, run)
    assert (noted.status, noted.cancel_requested) == ("running", True)
    assert work(run).status == "cancelled"
    assert "after" not in steps_of(run)


def test_what_has_ended_is_not_cancelled() -> None:
    run = drain(start(flow_of(a_map("one", 1))))
    assert refused(cancel_run, run).code == "RUN_ENDED"
    assert told(run) == []


# --- retry ------------------------------------------------------------------------------------------------------------


def test_a_failed_run_goes_on_from_the_step_it_failed_at(partner: Partner) -> None:
    partner.answers["/b"] = ["400 No"]
    run = drain(start(flow_of(partner.step("a", "/a"), partner.step("b", "/b"), partner.step("c", "/c"))))
    assert (run.status, run.current_step, run.error["code"]) == ("failed", "b", "HTTP_400")
    done = steps_of(run)["a"]
    again = as_person(retry_run, run)
    assert (again.status, again.error, again.finished_at) == ("queued", None, None)
    assert again.admitted_at is not None
    ended = drain(run)
    assert (ended.status, ended.error) == ("succeeded", None)
    assert partner.asked == ["/a", "/b", "/b", "/c"]
    row = steps_of(run)["b"]
    assert (row.retry, row.status, len(row.attempts)) == (1, "succeeded", 1)
    assert (row.attempts[0]["error"]["code"], row.attempts[0]["call"]["status"]) == ("HTTP_400", 400)
    assert steps_of(run)["a"].finished_at == done.finished_at
    assert [event["type"] for event in events_of(run)] == ["flow.failed", "flow.succeeded"]
    assert told(run) == ["flow_run.retried"]


def test_a_retry_has_all_attempts_of_the_policy_again_and_its_whole_time(partner: Partner) -> None:
    partner.answers["/b"] = ["500 No"] * 3
    retry = {"attempts": 2, "seconds": 0}
    run = drain(start(flow_of(partner.step("b", "/b", retry=retry, timeout_seconds=60))))
    assert (run.status, len(partner.asked)) == ("failed", 2)
    let_pass(run, 3600)
    as_person(retry_run, run)
    assert drain(run).status == "succeeded"
    row = steps_of(run)["b"]
    assert ([attempt["retry"] for attempt in row.attempts], row.retry) == ([0, 1, 2], 3)


def test_of_a_for_each_only_the_failed_items_are_done_again(partner: Partner) -> None:
    each = {
        "name": "each",
        "do": "for_each",
        "items": "trigger.body",
        "key": "item",
        "on_item_error": "fail",
        "steps": [
            {**partner.step("first"), "url": {"$": f"join('', ['{partner.server.url('/1')}', item])"}},
            {**partner.step("second"), "url": {"$": f"join('', ['{partner.server.url('/2')}', item])"}},
        ],
    }
    partner.answers["/2b"] = ["400 No"]
    run = drain(start(flow_of(each, a_map("after", {"$": "steps.each.succeeded"})), ["a", "b", "c"]))
    assert run.status == "failed"
    as_person(retry_run, run)
    assert drain(run).status == "succeeded"
    assert partner.asked == ["/1a", "/2a", "/1b", "/2b", "/2b", "/1c", "/2c"]
    assert outputs_of(run)["after"] == 3
    rows = steps_of(run)
    assert [rows[path].retry for path in ("each", "each[a]", "each[b]", "each[b].first", "each[b].second")] == [
        1,
        0,
        1,
        0,
        1,
    ]


def test_what_an_on_error_dealt_with_is_not_done_again(partner: Partner) -> None:
    """Neither a failure that may be, nor one with steps of its own, nor items of a for-each that went on."""
    each = {
        "name": "each",
        "do": "for_each",
        "items": "trigger.body",
        "steps": [partner.step("in_each", "/each")],
    }
    partner.answers |= {path: ["400 No"] for path in ("/may", "/dealt", "/each", "/instead", "/bad")}
    instead = {"steps": [partner.step("instead", "/instead", on_error="continue"), partner.step("more", "/more")]}
    run = drain(
        start(
            flow_of(
                partner.step("may", "/may", on_error="continue"),
                partner.step("dealt", "/dealt", on_error=instead),
                each,
                partner.step("bad", "/bad"),
            ),
            ["x"],
        )
    )
    assert (run.status, run.current_step) == ("failed", "bad")
    before = partner.asked
    as_person(retry_run, run)
    assert drain(run).status == "succeeded"
    assert partner.asked == [*before, "/bad"]
    assert statuses_of(run)["each[0].in_each"] == "failed"


def test_steps_in_branches_and_in_on_error_are_retried_where_they_stand(partner: Partner) -> None:
    partner.answers |= {"/first": ["400 No"], "/second": ["400 No"]}
    branch = {
        "name": "choose",
        "do": "condition",
        "if": "trigger.body",
        "then": [a_map("seen", 1), partner.step("first", "/first")],
        "else": [partner.step("never", "/never")],
        "on_error": {"steps": [partner.step("second", "/second")]},
    }
    plain = {name: value for name, value in branch.items() if name != "on_error"}
    for step, again in ((plain, ["/first", "/first"]), (branch, ["/first", "/second", "/second"])):
        partner.answers |= {"/first": ["400 No"], "/second": ["400 No"]}
        known = len(partner.asked)
        run = drain(start(flow_of(step), True))
        assert run.status == "failed"
        as_person(retry_run, run)
        assert drain(run).status == "succeeded", fresh(run).error
        assert partner.asked[known:] == again
        assert outputs_of(run)["seen"] == 1


def test_an_input_that_could_not_be_made_is_made_anew() -> None:
    run = drain(start(flow_of(a_map("bad", {"$": "length(trigger.body)"})), 5))
    assert run.status == "failed"
    with scopes_disabled():
        FlowRun.objects.filter(pk=run.pk).update(input={"body": [1, 2]})
    as_person(retry_run, run)
    assert drain(run).status == "succeeded"
    assert outputs_of(run)["bad"] == 2


def test_only_a_run_that_failed_is_retried() -> None:
    ended = drain(start(flow_of(a_map("one", 1))))
    assert refused(retry_run, ended).code == "RUN_NOT_FAILED"
    waiting = drain(start(flow_of(LATER)))
    assert refused(retry_run, waiting).code == "RUN_NOT_FAILED"
    as_person(cancel_run, waiting)
    assert "cancelled" in refused(retry_run, waiting).detail


def test_a_retried_run_waits_for_a_place(partner: Partner) -> None:
    partner.answers["/b"] = ["400 No"]
    flow = flow_of(partner.step("b", "/b"), LATER, queue={"mode": "one_at_a_time"})
    run = drain(start(flow))
    other = drain(start(flow))
    assert (run.status, other.status) == ("failed", "waiting")
    as_person(retry_run, run)
    assert fresh(run).admitted_at is None
    as_person(cancel_run, other)
    assert fresh(run).admitted_at is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("writing_erp")
def test_a_write_whose_outcome_is_open_is_asked_after_and_not_done_again(erp_server: TestErpServer) -> None:
    plant = connect(erp_server, environment="test")
    erp_server.add_orders(1, first=1)
    assert run_sync(sync_of(plant)).status == "completed"
    put = {"name": "put", "do": "update_record", "connection": "erp", "entity": "purchase_order"}
    step = {**put, "id": po(plant), "body": {"notes": "Gate 4"}, "timeout_seconds": 5}
    run = drain(start(flow_of(step, erp=plant)), operations=False)
    assert run.waits_for == "operation"
    let_pass(run, 10)
    failed = drain(run, operations=False)
    assert (failed.status, failed.error["code"]) == ("failed", "STEP_TIMED_OUT")
    as_person(retry_run, run)
    with scopes_disabled():
        work_once()
    assert drain(run).status == "succeeded"
    with scopes_disabled():
        assert Operation.objects.filter(connection=plant).count() == 1
    assert writes_to(erp_server) == ["PATCH /orders/1"]
    assert steps_of(run)["put"].retry == 0


@pytest.mark.django_db(transaction=True)
def test_a_write_that_failed_is_asked_for_anew(erp_server: TestErpServer, writing_erp: Any) -> None:
    plant = connect(erp_server, environment="test")
    erp_server.add_orders(1, first=1, status="draft")
    assert run_sync(sync_of(plant)).status == "completed"
    act = {"name": "act", "do": "act_on_record", "connection": "erp", "entity": "purchase_order", "action": "approve"}
    run = start(flow_of({**act, "id": po(plant)}, erp=plant))
    erp_server.change("orders", "1", status="done")
    assert drain(run).status == "failed"
    erp_server.change("orders", "1", status="draft")
    assert run_sync(sync_of(plant)).status == "completed"
    as_person(retry_run, run)
    assert drain(run).status == "succeeded"
    row = steps_of(run)["act"]
    assert (row.retry, row.attempts[0]["operation"][:3]) == (1, "op_")
    with scopes_disabled():
        assert Operation.objects.filter(connection=plant).count() == 2


# --- rerun ------------------------------------------------------------------------------------------------------------


def test_running_again_takes_the_latest_version_and_the_same_input() -> None:
    flow = flow_of(a_map("one", {"$": "trigger.body"}), key="trigger.body")
    first = drain(start(flow, "same", key="same"))
    publish(flow, steps=[a_map("two", {"$": "trigger.body"})])
    started = as_person(rerun, first)
    assert started.is_new
    second = drain(started.run)
    assert (second.status, second.key, second.rerun_of_id) == ("succeeded", None, first.pk)
    assert outputs_of(second) == {"two": "same"}
    assert second.input == first.input
    assert told(first) == ["flow_run.rerun"]


# --- resolve ----------------------------------------------------------------------------------------------------------


def lost(partner: Partner, **more: Any) -> tuple[FlowRun, StepRun]:
    partner.answers["/ask"] = ["lost"]
    run = drain(start(flow_of(partner.step("ask", "/ask", **more), a_map("after", {"$": "steps.ask"}))))
    assert (run.status, run.waits_for) == ("waiting", "person")
    row = steps_of(run)["ask"]
    assert (row.status, row.error["code"], row.call["status"]) == ("waiting", "OUTCOME_LOST", None)
    return run, row


def test_a_step_that_was_done_has_the_output_a_person_gives(partner: Partner) -> None:
    run, row = lost(partner)
    assert as_person(resolve_step, row, outcome="succeeded", output={"status": 200, "body": 7}).status == "succeeded"
    assert drain(run).status == "succeeded"
    assert outputs_of(run)["after"] == {"status": 200, "body": 7}
    assert partner.asked == ["/ask"]
    assert told(run) == ["flow_run.step_resolved"]


def test_a_step_that_was_not_done_fails_as_its_on_error_says(partner: Partner) -> None:
    run, row = lost(partner)
    as_person(resolve_step, row, outcome="failed")
    ended = drain(run)
    assert (ended.status, ended.error["code"], ended.error["step"]) == ("failed", "NOT_DONE", "ask")
    as_person(retry_run, run)
    assert drain(run).status == "succeeded"
    run, row = lost(partner, on_error="continue")
    as_person(resolve_step, row, outcome="failed")
    assert drain(run).status == "succeeded"
    assert outputs_of(run)["after"]["error"]["code"] == "NOT_DONE"


def test_a_step_is_done_again_when_a_person_says_so(partner: Partner) -> None:
    run, row = lost(partner)
    as_person(resolve_step, row, outcome="repeat")
    assert drain(run).status == "succeeded"
    assert partner.asked == ["/ask", "/ask"]
    again = steps_of(run)["ask"]
    assert (again.retry, again.attempts[0]["error"]["code"]) == (1, "NOT_DONE")


def test_only_what_waits_for_a_person_is_decided(partner: Partner) -> None:
    run = drain(start(flow_of(LATER)))
    assert refused(resolve_step, steps_of(run)["rest"], outcome="repeat").code == "STEP_NOT_WAITING"
    _, row = lost(partner)
    large = refused(resolve_step, row, ValidationFailedError, outcome="succeeded", output="x" * 300_000)
    assert large.code == "STEP_OUTPUT_TOO_LARGE"
    as_person(resolve_step, row, outcome="succeeded")
    assert refused(resolve_step, row, outcome="repeat").code == "STEP_NOT_WAITING"


def test_a_lost_outcome_whose_time_is_over_stays_lost_when_retried(partner: Partner) -> None:
    run, _ = lost(partner, timeout_seconds=60)
    let_pass(run, 3600)
    failed = drain(run)
    assert (failed.status, failed.error["code"]) == ("failed", "STEP_TIMED_OUT")
    as_person(retry_run, run)
    assert drain(run).waits_for == "person"
    assert partner.asked == ["/ask"]


# --- at once ----------------------------------------------------------------------------------------------------------


def at_once(*actions: Any) -> list[str]:
    """Each in a session of its own. Answers `done`, or the code of what refused it."""
    ready, found = threading.Barrier(len(actions)), []

    def act(action: Any) -> None:
        try:
            ready.wait(10)
            with scopes_disabled():
                action()
            found.append("done")
        except LineshaftError as error:
            found.append(error.code)
        finally:
            database.close()

    threads = [threading.Thread(target=act, args=[action]) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return sorted(found)


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_is_refused(partner: Partner) -> None:
    partner.answers["/b"] = ["400 No"]
    run = drain(start(flow_of(partner.step("b", "/b"), LATER)))
    assert at_once(*[lambda: retry_run(run, by="ann")] * 2) == ["RUN_NOT_FAILED", "done"]
    assert drain(run).status == "waiting"
    assert steps_of(run)["b"].retry == 1
    assert at_once(*[lambda: cancel_run(run, by="ann")] * 2) == ["RUN_ENDED", "done"]
    run, row = lost(partner)
    decided = at_once(
        lambda: resolve_step(row, outcome="repeat", by="ann"),
        lambda: resolve_step(row, outcome="failed", by="ann"),
        lambda: cancel_run(run, by="ann"),
    )
    assert decided.count("done") >= 1
    assert decided.count("STEP_NOT_WAITING") >= 1
