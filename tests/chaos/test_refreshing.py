"""Many workers that need a new token at once make one exchange, whoever of them is killed or frozen on the way.

The server is real (django-oauth-toolkit), rotates its refresh tokens, and revokes everything when a used one comes again;
it counts the exchanges itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection as database

from connections.choices import ConnectionStatus
from connections.models import Connection
from connections.services import renewing
from connections.services.opening import open_connector
from core.errors import LineshaftError
from tests.chaos import processes
from tests.oauth.connecting import (
    connect,
    connect_service,
    connect_session,
    grant_of,
    health_of,
    let_token_end,
    oauth_connectors,  # noqa: F401
)
from tests.oauth.connector import OAuthErp
from tests.oauth.running import OAuthServer, oauth, oauth_server  # noqa: F401
from tests.syncing import events_of, run_sync, sync_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("oauth_connectors", "short_leases")]
WORKERS = 20


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewing, "LEASE_MARGIN_SECONDS", 1.0)
    monkeypatch.setattr(OAuthErp, "call_seconds", 4.0)  # a claim lasts five seconds


def ask_at_once(connection: Connection, count: int = WORKERS) -> list[str]:
    """So many workers, each with a database session of its own, open their connectors and then call together. What each
    got: the account's name, or the code of its error."""
    results: list[str] = []
    together = threading.Barrier(count)

    def work() -> None:
        try:
            with open_connector(connection) as connector:
                together.wait(60)
                results.append(connector.check().account)
        except LineshaftError as error:
            results.append(error.code)
        finally:
            database.close()

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@contextmanager
def team(connection: Connection, workers: int, *point: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of workers that wait to be told."""
    command = [sys.executable, "-m", "tests.chaos.renewing_worker", str(connection.pk), str(workers), *point]
    process = subprocess.Popen(
        command,
        cwd=processes.ROOT,
        env=processes.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        yield process
    finally:
        processes.end(process)
        process.stdin.close()
        process.stdout.close()


def wait_until_ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"


def go(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    process.stdin.flush()


def results_of(process: subprocess.Popen[bytes]) -> list[str]:
    assert process.stdout is not None
    return list(json.loads(process.stdout.readline()))


def refreshes(server: OAuthServer) -> list[str]:
    """The outcome of each refresh that reached the server."""
    return [each["error"] or "done" for each in server.attempts() if each["grant_type"] == "refresh_token"]


# --- at once --------------------------------------------------------------------------------------------------------


def test_twenty_workers_in_processes_when_the_token_ended_then_one_exchange(oauth: OAuthServer) -> None:
    connection = connect(oauth)
    let_token_end(connection)
    with ExitStack() as stack:
        teams = [stack.enter_context(team(connection, 4)) for _ in range(5)]
        for process in teams:
            wait_until_ready(process)
        for process in teams:
            go(process)
        results = [result for process in teams for result in results_of(process)]
    assert results == ["integration"] * WORKERS
    assert refreshes(oauth) == ["done"] and grant_of(connection).generation == 2


@pytest.mark.parametrize("ended", [let_token_end, None], ids=["by-our-clock", "by-refusal"])
def test_twenty_workers_when_the_token_ended_then_one_exchange(
    oauth: OAuthServer, ended: Callable[[Connection], None] | None
) -> None:
    connection = connect(oauth)
    for generation in (2, 3):  # the second time with the rotated refresh token
        if ended:
            ended(connection)
        else:
            oauth.expire()
        assert ask_at_once(connection) == ["integration"] * WORKERS
        assert grant_of(connection).generation == generation
    assert refreshes(oauth) == ["done", "done"]


def test_twenty_workers_when_a_session_ended_then_one_sign_in(oauth: OAuthServer) -> None:
    connection = connect_session(oauth)
    assert ask_at_once(connection) == ["integration"] * WORKERS
    oauth.expire()
    assert ask_at_once(connection) == ["integration"] * WORKERS
    assert oauth.journal() == {"session": 2}


def test_twenty_workers_when_a_client_has_no_token_then_one_exchange(oauth: OAuthServer) -> None:
    connection = connect_service(oauth)
    assert ask_at_once(connection) == ["client plant"] * WORKERS
    assert oauth.journal() == {"client_credentials": 1}


# --- killed and frozen ----------------------------------------------------------------------------------------------


def test_twenty_workers_when_the_one_who_claimed_is_killed_then_one_exchange(oauth: OAuthServer) -> None:
    connection = connect(oauth)
    let_token_end(connection)
    with team(connection, 1, "claimed", "SIGKILL") as victim:
        wait_until_ready(victim)
        go(victim)
        assert victim.wait(30) == -signal.SIGKILL
    assert refreshes(oauth) == [] and grant_of(connection).lease_until is not None
    assert ask_at_once(connection, WORKERS - 1) == ["integration"] * (WORKERS - 1)
    assert refreshes(oauth) == ["done"]


def test_worker_when_killed_with_the_answer_and_the_server_is_patient_then_the_others_recover() -> None:
    with oauth_server(grace_seconds=120) as server:
        connection = connect(server)
        let_token_end(connection)
        _kill_with_the_answer(connection)
        assert refreshes(server) == ["done"] and grant_of(connection).generation == 1
        assert ask_at_once(connection, 5) == ["integration"] * 5
        assert refreshes(server) == ["done", "done"]  # the second gave again what the first had given


def test_worker_when_killed_with_the_answer_and_the_server_is_strict_then_needs_reauth_once(oauth: OAuthServer) -> None:
    connection = connect(oauth)
    let_token_end(connection)
    _kill_with_the_answer(connection)
    sync = sync_of(connection)
    run = run_sync(sync, rounds=5)
    assert run.status == "failed" and health_of(connection) == ConnectionStatus.NEEDS_REAUTH
    assert run.error["code"] == "GRANT_REFUSED" and "Sign in again" in run.error["message"]
    assert refreshes(oauth) == ["done", "invalid_grant"]  # no loop
    assert [event["type"] for event in events_of(sync)].count("connection.needs_reauth") == 1


def _kill_with_the_answer(connection: Connection) -> None:
    with team(connection, 1, "answered", "SIGKILL") as victim:
        wait_until_ready(victim)
        go(victim)
        assert victim.wait(30) == -signal.SIGKILL


def test_worker_when_frozen_after_its_claim_then_it_sends_nothing_later(oauth: OAuthServer) -> None:
    connection = connect(oauth)
    let_token_end(connection)
    with team(connection, 1, "sending", "SIGSTOP") as frozen:
        wait_until_ready(frozen)
        go(frozen)
        processes.until(lambda: processes.is_stopped(frozen), seconds=30, what="frozen")
        assert ask_at_once(connection, 5) == ["integration"] * 5  # once its lease has run out
        os.kill(frozen.pid, signal.SIGCONT)
        assert results_of(frozen) == ["integration"]  # it looks at the row again
    assert refreshes(oauth) == ["done"] and grant_of(connection).generation == 2


# --- trouble --------------------------------------------------------------------------------------------------------


def test_twenty_workers_when_the_token_address_is_out_of_order_then_it_is_hardly_asked(oauth: OAuthServer) -> None:
    connection = connect(oauth)
    let_token_end(connection)
    oauth.fail("500")
    results = ask_at_once(connection)
    assert set(results) <= {"UPSTREAM_UNAVAILABLE", "RENEWAL_FAILED"} and len(results) == WORKERS
    assert len(oauth.attempts()) < WORKERS and health_of(connection) == ConnectionStatus.ACTIVE
    oauth.heal()
    assert ask_at_once(connection) == ["integration"] * WORKERS
    assert refreshes(oauth).count("done") == 1


def test_exchange_when_it_takes_long_then_no_row_is_locked_and_no_transaction_open(oauth: OAuthServer) -> None:
    connection = connect(oauth)
    let_token_end(connection)
    oauth.fail("hang", times=1, seconds=2)
    with team(connection, 1) as process:
        wait_until_ready(process)
        go(process)
        processes.until(lambda: grant_of(connection).lease_until is not None, seconds=30, what="claimed")
        assert _open_transactions() == []
        with psycopg.connect(**_database()) as session:
            for table in ("connections_grant", "connections_connection"):
                session.execute(f"SELECT 1 FROM {table} FOR UPDATE NOWAIT")
        assert results_of(process) == ["integration"]


def _open_transactions() -> list[Any]:
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT pid, query FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%'"
        )
        return list(cursor.fetchall())


def _database() -> dict[str, Any]:
    at = database.settings_dict
    return {
        "host": at["HOST"],
        "port": at["PORT"],
        "user": at["USER"],
        "password": at["PASSWORD"],
        "dbname": at["NAME"],
    }
