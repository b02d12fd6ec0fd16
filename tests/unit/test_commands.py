"""What a person at the terminal gets: sync, sync_status, doctor."""

from __future__ import annotations

import io
import json
import threading
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.db.models.functions import Now
from django_scopes import scopes_disabled

from connections.models import Connection, Credential
from console.management import checkup
from core.models import TickBeat
from syncs.choices import RunStatus
from syncs.engine.run import execute_run
from syncs.models import SyncRun
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import api, make_token

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]


@pytest.fixture
def connection(erp_server: TestErpServer) -> Connection:
    return connect(erp_server)


def con(connection: Connection) -> str:
    return f"con_{connection.pk.hex}"


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def runs_of(*arguments: str) -> list[dict[str, Any]]:
    return json.loads(run("sync", *arguments, "--json"))["data"]


# --- sync ------------------------------------------------------------------------------------------------------------


def test_sync_when_inline_then_every_entity_is_copied_here(connection, erp_server):
    erp_server.add_orders(3)
    erp_server.add_vendors(2)
    runs = runs_of(con(connection), "--inline")
    assert [(r["entity"], r["mode"], r["status"], r["counts"]["created"]) for r in runs] == [
        ("purchase_order", "initial", "completed", 3),
        ("vendor", "initial", "completed", 2),
    ]
    assert {r["trigger"] for r in runs} == {"command"} and {r["triggered_by"] for r in runs} == {"manage.py sync"}


def test_sync_when_named_with_an_entity_and_mode_then_only_that(connection, erp_server):
    erp_server.add_vendors(2)
    run_sync(sync_of(connection, "vendor"))
    (only,) = runs_of("Plant 1", "--entity", "vendor", "--mode", "full", "--inline")
    assert (only["entity"], only["mode"], only["status"], only["counts"]["unchanged"]) == (
        "vendor", "full", "completed", 2,
    )  # fmt: skip


def test_sync_when_only_requested_then_the_runs_are_queued(connection):
    text = run("sync", con(connection))
    assert "purchase_order" in text and "queued" in text and "run_" in text
    assert {r["status"] for r in runs_of(con(connection))} == {"queued"}  # the same runs again


def test_sync_when_waiting_then_until_the_worker_is_done(connection, erp_server):
    erp_server.add_orders(2)
    answers: list[list[dict[str, Any]]] = []

    def wait() -> None:
        try:
            answers.append(runs_of(con(connection), "--entity", "purchase_order", "--wait"))
        finally:
            database.close()

    waiting = threading.Thread(target=wait)
    waiting.start()
    pause, deadline = threading.Event(), 200
    with scopes_disabled():
        while (queued := SyncRun.objects.filter(connection=connection).first()) is None and deadline:
            deadline -= 1
            pause.wait(0.05)
    assert queued is not None and waiting.is_alive()
    execute_run(queued.pk)
    waiting.join(timeout=30)
    assert [(r["status"], r["counts"]["created"]) for r in answers[0]] == [("completed", 2)]


def test_sync_when_a_run_fails_then_exit_code_1_and_the_reason(connection, erp_server):
    erp_server.fail("http_403", on="/orders")
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 of 2 runs did not complete"):
        call_command("sync", con(connection), "--inline", stdout=out)
    assert "failed" in out.getvalue() and "completed" in out.getvalue()


def test_sync_when_it_cannot_be_then_the_reason(connection, erp_server):
    with pytest.raises(CommandError, match="no connection 'Nowhere'"):
        run("sync", "Nowhere")
    with pytest.raises(CommandError, match="test-erp has no asset"):
        run("sync", con(connection), "--entity", "asset")
    twin = connect(erp_server, name="Plant 1")
    with pytest.raises(CommandError, match=f"Several connections.*{con(twin)}"):
        run("sync", "Plant 1")
    with scopes_disabled():
        Connection.objects.update(paused=True)
    with pytest.raises(CommandError, match="paused"):
        run("sync", con(connection))


def test_sync_when_on_a_terminal_then_bars_move_beside_the_work(connection, erp_server, monkeypatch, capsys):
    erp_server.add_orders(30)
    erp_server.page_size = 10
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    run("sync", con(connection), "--inline")
    drawn = capsys.readouterr().err
    assert "purchase_order" in drawn and "30/30" in drawn and "completed" in drawn


# --- sync_status -----------------------------------------------------------------------------------------------------


def test_sync_status_when_json_then_what_the_api_answers(connection, erp_server):
    erp_server.add_orders(2)
    run_sync(sync_of(connection))
    client = api(make_token(connection.workspace)[1])
    of_one = client.get(f"/api/v1/connections/{con(connection)}/sync-status").json()
    assert json.loads(run("sync_status", "Plant 1", "--json")) == of_one
    of_all = client.get("/api/v1/sync-status").json()
    assert json.loads(run("sync_status", "--workspace", connection.workspace.slug, "--json")) == of_all
    assert json.loads(run("sync_status", "--json"))["data"] == of_all["data"]
    with pytest.raises(CommandError, match="no workspace nowhere"):
        run("sync_status", "--workspace", "nowhere")


def test_sync_status_when_shown_then_a_row_for_each_entity(connection, erp_server):
    erp_server.fail("http_403", on="/vendors")
    for entity in ("purchase_order", "vendor"):
        run_sync(sync_of(connection, entity))
    connect(erp_server, workspace=connection.workspace, name="Plant [2]")
    text = run("sync_status")
    for expected in ("Plant 1", "purchase_order", "completed", "vendor", "failed", "Plant [2]", "never_synced"):
        assert expected in text


# --- doctor ----------------------------------------------------------------------------------------------------------


def examined() -> dict[str, tuple[str, str]]:
    return {finding.name: (finding.status, finding.detail) for finding in checkup.examine()}


def beat(settings: Any, **facts: Any) -> None:
    for name in settings.TICKS:
        TickBeat.objects.update_or_create(name=name, defaults={"last_at": Now(), "elapsed_ms": 1, **facts})


def test_doctor_when_all_is_well_then_it_says_so(settings, connection):
    beat(settings)
    report = json.loads(run("doctor", "--json"))
    by_name = {check["name"]: check for check in report["checks"]}
    assert report["ok"] is True
    assert list(by_name) == [
        "settings", "egress", "keys", "pepper", "redis", "queues", "worker", "database", "migrations", "secrets",
        "tick", "due work", "clock",
    ]  # fmt: skip
    assert {check["status"] for name, check in by_name.items() if name != "worker"} == {"ok"}
    assert by_name["database"]["detail"].startswith("PostgreSQL 1")
    assert "127.0.0.0/8" in by_name["egress"]["detail"]


def test_doctor_when_something_is_wrong_then_exit_code_1_and_what_to_do(settings, connection):
    beat(settings)
    TickBeat.objects.all().delete()
    out = io.StringIO()
    with pytest.raises(SystemExit) as stopped:
        call_command("doctor", stdout=out)
    assert stopped.value.code == 1 and "manage.py tick" in out.getvalue() and "fail" in out.getvalue()


def test_doctor_when_a_duty_breaks_then_its_problem(settings):
    beat(settings, problem="OperationalError: no")
    status, detail = examined()["tick"]
    assert status == "fail" and "OperationalError: no" in detail


def test_doctor_when_runs_wait_then_it_asks_for_workers(settings, connection):
    beat(settings)
    sync = sync_of(connection)
    with scopes_disabled():
        waiting = SyncRun.objects.create(
            sync=sync, connection=connection, workspace=connection.workspace, mode="full", status=RunStatus.QUEUED
        )
        with database.cursor() as cursor:
            cursor.execute(
                "UPDATE syncs_syncrun SET due_at = now() - interval '10 minutes' WHERE id = %s", [waiting.pk]
            )
    assert examined()["due work"][0] == "fail"


def test_doctor_when_a_secret_does_not_open_then_it_names_the_key_ring(settings, connection):
    beat(settings)
    with scopes_disabled():
        Credential.objects.update(ciphertext=b"\x01other:damaged")
    status, detail = examined()["secrets"]
    assert status == "fail" and "1 of 1" in detail


def test_doctor_when_redis_is_away_then_the_rest_is_still_checked(settings):
    beat(settings)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = examined()
    assert found["redis"][0] == "fail" and found["database"][0] == "ok" and "queues" not in found


def test_doctor_when_nobody_listens_then_a_warning_and_when_one_does_then_ok(settings):
    client = redis.Redis.from_url(settings.REDIS_URL)
    queue = settings.REDIS_PREFIX + "doctor-test"
    listener = threading.Thread(target=client.brpop, args=([queue],), kwargs={"timeout": 30})
    listener.start()
    pause, tries = threading.Event(), 200
    while (found := examined()["worker"])[0] != "ok" and tries:
        tries -= 1
        pause.wait(0.05)
    other = redis.Redis.from_url(settings.REDIS_URL)
    other.lpush(queue, "done")
    listener.join(timeout=10)
    client.close()
    other.close()
    assert found[0] == "ok"


def test_doctor_when_egress_is_wide_open_then_a_warning(settings):
    for network, status in (("0.0.0.0/0", "warn"), ("169.254.169.254/32", "warn"), ("10.0.0.0/8", "ok")):
        settings.EGRESS_ALLOWED_NETWORKS = [network]
        assert examined()["egress"][0] == status


def test_doctor_when_the_queue_is_long_then_a_warning(settings):
    client = redis.Redis.from_url(settings.REDIS_URL)
    name = settings.REDIS_PREFIX + "events"
    client.rpush(name, *range(checkup.LONG_QUEUE + 1))
    try:
        assert examined()["queues"][0] == "warn"
    finally:
        client.delete(name)
        client.close()
