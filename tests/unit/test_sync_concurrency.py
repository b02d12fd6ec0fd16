"""Two workers, many requests and several ticks at once: each thing happens once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections as databases
from django_scopes import scopes_disabled

from core.leases import LeasedWork, claim, take_due_for_hint
from syncs import ticks
from syncs.choices import Mode, Trigger
from syncs.engine.run import execute_run
from syncs.models import Sync, SyncRun
from syncs.services import request_run
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import copy_of, record_events, sync_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]
MANY = 8


def at_once(act: Callable[[], Any], times: int = MANY) -> list[Any]:
    """The results of as many threads that begin together, each with a session of its own."""
    gate, results, lock = threading.Barrier(times), [], threading.Lock()

    def play() -> None:
        try:
            gate.wait(20)
            with scopes_disabled():
                found = act()
        except Exception as error:
            found = error
        finally:
            databases.close_all()
        with lock:
            results.append(found)

    threads = [threading.Thread(target=play) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


@pytest.fixture
def sync(erp_server: TestErpServer) -> Sync:
    erp_server.page_size = 10
    erp_server.add_orders(40)
    return sync_of(connect(erp_server, page_size=10))


def test_run_when_delivered_to_many_workers_then_one_does_it_and_nothing_is_doubled(sync: Sync) -> None:
    with scopes_disabled():
        run = request_run(sync, Mode.INCREMENTAL, trigger=Trigger.API).run
    assert at_once(lambda: execute_run(run.pk)) == [None] * MANY
    run.refresh_from_db()
    assert (run.status, run.fence, run.read_count) == ("completed", 1, 40)
    assert len(copy_of(sync).live) == 40 and set(record_events(sync).values()) == {1}


def test_claim_when_many_try_then_one_has_it(sync: Sync) -> None:
    with scopes_disabled():
        run = request_run(sync, Mode.INCREMENTAL, trigger=Trigger.API).run
    leases = at_once(lambda: claim(SyncRun, run.pk, seconds=30))
    assert sum(lease is not None for lease in leases) == 1


def test_requests_when_many_come_at_once_then_one_run_answers_all(sync: Sync) -> None:
    answers = at_once(lambda: request_run(sync, Mode.INCREMENTAL, trigger=Trigger.API))
    assert len({answer.run.pk for answer in answers}) == 1
    assert sum(answer.is_new for answer in answers) == 1


def test_ticks_when_several_run_then_each_due_sync_gets_one_run_and_each_run_one_hint(sync: Sync) -> None:
    assert sum(at_once(ticks.dispatch_due_syncs, 3)) == 2  # the orders and the vendors
    with scopes_disabled():
        assert SyncRun.objects.count() == 2
        SyncRun.objects.update(hinted_at=None)
    told = at_once(lambda: take_due_for_hint(SyncRun), 3)
    assert sorted(len(ids) for ids in told) in ([0, 0, 2], [0, 1, 1])
    assert issubclass(SyncRun, LeasedWork)


def test_syncs_when_made_by_several_ticks_then_there_is_one_for_each_entity(erp_server: TestErpServer) -> None:
    connection = connect(erp_server)
    at_once(ticks.make_missing_syncs, 3)
    with scopes_disabled():
        assert Sync.objects.filter(connection=connection).count() == 2
